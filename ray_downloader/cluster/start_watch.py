"""Notices that a process of our own Ray was killed while this process waits for it in a call, as while Ray starts.

Ray's client, which is C++, retries for up to a minute; then the call raises something that does not name the cause, or
the client ends this process with words of its own. The driver notices a death between two calls (`connect.py`).
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from ray_downloader.errors import ExitCode
from ray_downloader.slurm.node_memory import memory_sentence
from ray_downloader.slurm.ray_words import death_sentence

_GCS = "gcs_server"
_NAMES = frozenset({_GCS, "raylet"})
_INTERVAL_S = 0.3
#: For the driver, which notices within seconds and starts Ray once more; the client gives up after 60 s.
GCS_PATIENCE_S = 20.0

_log = logging.getLogger(__name__)


class StartWatch:
    """Looks at the processes of Ray that this process has started since the watch was created.

    Attributes:
        killed: The sentence about the first one that was killed; empty if none was. One that ended by itself has a
            reason, which the next start meets again.
        gcs_death: The sentence about the death of the GCS, however it came.
    """

    def __init__(self) -> None:
        self._earlier = {child.pid for child in psutil.Process().children()}
        self._dead: set[int] = set()
        self.killed = ""
        self.gcs_death = ""

    def look(self) -> None:
        """Look now. A death counts when it is seen twice: if Ray itself ends a process, it waits for it at once."""
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if child.pid in self._earlier or child.status() != psutil.STATUS_ZOMBIE or child.name() not in _NAMES:
                    continue
                if child.pid not in self._dead:
                    self._dead.add(child.pid)
                elif (exit_code := _exit_code(child.pid)) is not None:
                    self._note(child.name(), exit_code)

    def _note(self, name: str, exit_code: int) -> None:
        sentence = death_sentence(platform.node(), (name, exit_code), exit_code, memory_sentence(name))
        if name == _GCS:
            self.gcs_death = self.gcs_death or sentence
        if exit_code == -signal.SIGKILL:
            self.killed = self.killed or sentence


@contextmanager
def watching_ray(
    end: Callable[[int], object] = os._exit, interval_s: float = _INTERVAL_S, patience_s: float = GCS_PATIENCE_S
) -> Iterator[StartWatch]:
    """Watch over the Ray that this process starts in the block.

    Args:
        end: Receives the exit code if the GCS has died and the block does not end.
        interval_s: How often its processes are looked at.
        patience_s: How long after that the block may take to end.
    """
    is_over = threading.Event()
    watch = StartWatch()

    def keep_looking() -> None:
        while not is_over.wait(interval_s):
            watch.look()
            if watch.gcs_death:
                if not is_over.wait(patience_s):
                    _log.error("%s; the run stops, and the same command continues it", watch.gcs_death)
                    end(ExitCode.STOPPED)
                return

    thread = threading.Thread(target=keep_looking, name="ray watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()


def _exit_code(pid: int) -> int | None:
    """As `subprocess` has it, without taking it from Ray, which waits for the process, too."""
    with suppress(ChildProcessError, AttributeError):  # Ray has waited for it; a system without waitid
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is not None:
            return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
    return None
