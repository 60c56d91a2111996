"""Keeps a hold alive, on a folder or on a run in a store: renews it every few seconds, in a thread.

A process that was suspended for so long that another took over must not go on writing: it stops itself.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Heartbeat:
    """The thread.

    Args:
        place: What is held, for messages.
        interval_s: The time between two beats.
        renew: Shows that this process lives; False if another one holds the place now. An `OSError` is trouble that
            may pass, and the next beat tries again.
    """

    def __init__(self, place: str, interval_s: float, renew: Callable[[], bool]) -> None:
        self._place = place
        self._interval_s = interval_s
        self._renew = renew
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it has begun; a beat that is under way ends first."""
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(self._interval_s):
            try:
                is_ours = self._renew()
            except OSError as error:
                _log.warning("%s could not be renewed: %s", self._place, error.strerror or error)
                continue
            if not is_ours:
                _log.error("another run took over %s, as this one was silent for too long", self._place)
                os.kill(os.getpid(), signal.SIGTERM)
                return
