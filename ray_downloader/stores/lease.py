"""A run in a store is held by one process at a time, on all machines: an object names it, and a number in it rises.

It is replaced only if it is still the object that was read, which S3 and Google Cloud Storage check themselves. Clocks
are not compared: whoever wants the run watches the number, and if that stays the same for several beats, the holder is
gone. The object also says which work folder sent the run's files last.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import threading
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from ray_downloader.errors import FolderBusyError
from ray_downloader.processes import may_be_alive, started_s
from ray_downloader.run_folder.heartbeat import Heartbeat
from ray_downloader.run_folder.lease_file import REAL_TIME, Timing
from ray_downloader.run_folder.small_json import parse_object
from ray_downloader.stores.base import ChangedMeanwhileError, ObjectStore, StoreError

#: Its key; readers of folders skip such names.
LEASE = "_work.json"
#: A request costs money, so it is renewed less often than the lease of a folder.
HEARTBEAT_S = 15.0
STALE_AFTER_S = 60.0
_POLL_S = 3.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holder:
    """What the object says.

    Args:
        token: Of the process; empty if none holds the run.
        work: The work folder that last sent the run's files; empty if none did.
        folder: Its path.
        beats: Rises while the process lives.
    """

    token: str = ""
    work: str = ""
    folder: str = ""
    host: str = ""
    pid: int = 0
    started_s: float = 0.0
    job: str = ""
    beats: int = 0

    @classmethod
    def parse(cls, content: bytes) -> Holder:
        """Read the object; one that cannot be read is nobody's."""
        try:
            values = parse_object(content)
            return cls(**{name: type(getattr(_NOBODY, name))(values[name]) for name in cls.__slots__})
        except (ValueError, KeyError, TypeError):
            return _NOBODY

    def to_bytes(self) -> bytes:
        """The object."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return (json.dumps(values, ensure_ascii=False) + "\n").encode()

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"

    @property
    def lives_here(self) -> bool | None:
        """Whether its process runs on this machine; None if it is another machine's."""
        if self.host != platform.node():
            return None
        return may_be_alive(self.pid, self.started_s)


_NOBODY = Holder()


class StoreLease:
    """This process's hold on a run.

    Args:
        store: The run's place.
        folder: The work folder.
        place: The run's URL, for messages.
    """

    def __init__(self, store: ObjectStore, folder: Path, place: str, timing: Timing = REAL_TIME) -> None:
        self._store = store
        self._place = place
        self._timing = timing
        process = psutil.Process()
        self._facts = Holder(
            token=uuid.uuid4().hex,
            folder=str(folder),
            host=platform.node(),
            pid=process.pid,
            started_s=started_s(process),
            job=os.environ.get("SLURM_JOB_ID", ""),
        )
        self._etag: str | None = None
        self._lock = threading.Lock()
        self._is_lost = threading.Event()
        self._heartbeat = Heartbeat(place, HEARTBEAT_S, self._renew)

    @property
    def is_ours(self) -> bool:
        """Whether no other process has taken the run over."""
        return not self._is_lost.is_set()

    def acquire(self) -> str:
        """Take the run, if need be after watching whether its holder is still there.

        Returns:
            The work folder that last sent its files.

        Raises:
            FolderBusyError: Another process holds it.
            StoreError: The store cannot be used.
        """
        while True:
            found = self._store.read(LEASE)
            holder, etag = (Holder.parse(found[0]), found[1].etag) if found else (_NOBODY, None)
            if holder.token and not self._is_gone(holder, etag):
                continue
            self._facts = replace(self._facts, work=holder.work)
            try:
                self._etag = self._store.replace(LEASE, self._facts.to_bytes(), etag)
            except ChangedMeanwhileError:
                continue
            self._heartbeat.start()
            return holder.work

    def _is_gone(self, holder: Holder, etag: str | None) -> bool:
        """Whether the holder does not live any more; False if the object changed in a way that must be read again.

        Raises:
            FolderBusyError: It lives.
        """
        lives_here = holder.lives_here
        if lives_here is False:
            return True
        until_s = self._timing.clock() + STALE_AFTER_S
        while not lives_here:
            if self._timing.clock() >= until_s:
                _log.warning("%s: %s has not renewed its hold for %g s and is gone", self._place, holder, STALE_AFTER_S)
                return True
            self._timing.sleep(_POLL_S)
            found = self._store.read(LEASE)
            if found is None or not (now := Holder.parse(found[0])).token:
                return False
            lives_here = found[1].etag != etag
            holder = now
        raise FolderBusyError(
            f"another run holds {self._place}; choose another path_to_output, or wait for it to end ({holder})"
        )

    def claim(self, work: str) -> None:
        """From now on the run's files are those of this work folder.

        Raises:
            StoreError: The store did not take it.
        """
        self._write(work=work)

    def _write(self, *, work: str | None = None, is_held: bool = True) -> None:
        with self._lock:
            facts = self._facts
            self._facts = replace(facts, work=facts.work if work is None else work, beats=facts.beats + 1)
            content = (self._facts if is_held else replace(self._facts, token="")).to_bytes()
            while self.is_ours:
                try:
                    self._etag = self._store.replace(LEASE, content, self._etag)
                    return
                except ChangedMeanwhileError:
                    self._note_change()

    def _note_change(self) -> None:
        """Somebody wrote the object: another process, or ours in a request whose answer was lost.

        Raises:
            StoreError: The store does not say who.
        """
        found = self._store.read(LEASE)
        if found is None:
            self._etag = None  # somebody cleaned up
        elif Holder.parse(found[0]).token == self._facts.token:
            self._etag = found[1].etag
        else:
            self._is_lost.set()

    def _renew(self) -> bool:
        try:
            self._write()
        except StoreError as error:
            _log.debug("%s", error)
        return self.is_ours

    def release(self) -> None:
        """Give the run back; a store that cannot be reached learns it from the number that does not rise."""
        self._heartbeat.stop()
        try:
            if self.is_ours:
                self._write(is_held=False)
        except StoreError as error:
            _log.debug("%s", error)
