"""Sends what a run publishes while it goes on, in a thread of the driver: finished batches, progress, what was learned.

Trouble with the store never stops the download: what could not be sent is sent again, after a growing delay, and what
is left at the end is sent by the same command.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.lease_file import REAL_TIME, Timing
from ray_downloader.stores.base import StoreError
from ray_downloader.stores.mirror import Mirror
from ray_downloader.stores.published import LocalFile, of_batch, rest, state

#: Progress and what was learned go up this often: a machine that is lost costs at most that.
STATE_INTERVAL_S = 15.0
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
#: How long a run that was told to stop still tries: Slurm kills a job 30 s to 90 s after its signal.
PATIENCE_OF_A_STOPPED_RUN_S = 20.0

_log = logging.getLogger(__name__)


class Uploads:
    """The thread, and what it has yet to do.

    Args:
        place: The run's URL, for messages.
    """

    def __init__(self, mirror: Mirror, layout: RunLayout, place: str, timing: Timing = REAL_TIME) -> None:
        self._mirror = mirror
        self._layout = layout
        self._place = place
        self._timing = timing
        self._changed = threading.Condition()
        self._folders: dict[Path, None] = {}
        self._is_rest_due = False
        self._is_all_due = True
        self._is_over = False
        self._is_compared = False
        self._delay_s = 0.0
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier process did not send."""
        self._thread.start()

    def publish(self, folders: Iterable[Path]) -> None:
        """Send finished batches."""
        with self._changed:
            self._folders.update(dict.fromkeys(folders))
            self._changed.notify()

    def refresh(self) -> None:
        """Send what has changed beside the batches."""
        with self._changed:
            self._is_rest_due = True
            self._changed.notify()

    def stop(self) -> None:
        """End the thread; what it had yet to do is left to `finish`."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                is_due = self._changed.wait_for(self._is_work_due, self._delay_s or STATE_INTERVAL_S)
                if self._is_over:
                    return
                if is_due and self._delay_s:  # what is new does not shorten the delay after a failure
                    self._changed.wait_for(lambda: self._is_over, self._delay_s)
                is_all, self._is_all_due = self._is_all_due, False
                is_rest, self._is_rest_due = self._is_rest_due, False
                folders, self._folders = self._folders, {}
            try:
                self._push(is_all, is_rest, folders)  # what changes meanwhile is announced again, or sent at the end
            except StoreError as error:
                self._put_off(error)
            except Exception:  # a fault of ours must not end what sends results; the end of the run tries again
                _log.exception("%s: sending failed", self._place)
                self._put_off(None)
            else:
                if self._delay_s:
                    _log.warning("%s takes files again", self._place)
                self._delay_s = 0.0
                continue
            with self._changed:
                self._is_all_due |= is_all
                self._is_rest_due |= is_rest
                self._folders = {**folders, **self._folders}

    def _is_work_due(self) -> bool:
        return self._is_over or self._is_all_due or self._is_rest_due or bool(self._folders)

    def _push(self, is_all: bool, is_rest: bool, folders: Iterable[Path]) -> None:
        if is_all:
            self.push_all()
            return
        files: list[LocalFile] = list(rest(self._layout) if is_rest else state(self._layout))
        for folder in folders:
            files += of_batch(self._layout, folder)
        self._mirror.push(files)

    def push_all(self) -> bool:
        """Send everything; as `Mirror.push`."""
        if not self._is_compared:
            self._mirror.compare()
            self._is_compared = True
        return self._mirror.push_all()

    def _put_off(self, error: StoreError | None) -> None:
        if error is not None and not self._delay_s:
            _log.warning("%s; results are kept in %s and sent later", error, self._layout.root)
        self._delay_s = min(LONGEST_DELAY_S, self._delay_s * 2 or FIRST_DELAY_S)

    def finish(self, patience_s: float) -> bool:
        """End the thread and send what is left.

        Args:
            patience_s: How long trouble that may pass is waited for.

        Returns:
            Whether the store has everything now.
        """
        self.stop()
        until_s, delay_s = self._timing.clock() + patience_s, FIRST_DELAY_S
        while True:
            try:
                if self.push_all():
                    return True
                reason = f"files of {self._layout.root} change while they are sent"
            except StoreError as error:
                reason = str(error)
                if not error.may_pass:
                    break
            if self._timing.clock() + delay_s > until_s:
                break
            self._timing.sleep(delay_s)
            delay_s = min(LONGEST_DELAY_S, delay_s * 2)
        _log.error("not all results are in %s: %s; they are kept in %s, and the same command sends them",
                   self._place, reason, self._layout.root)  # fmt: skip
        return False
