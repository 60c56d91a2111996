"""A folder is held by one process at a time, over all machines that see it, also where its file system knows no locks.

Beside the lock of the operating system, which ends with its process but may not reach other machines, the holder keeps
a lease: a file that says who holds the folder, and in which a number goes up every few seconds. Clocks of machines
differ, so nobody reads times from it: whoever wants the folder watches the number. If it stays the same for as long as
several heartbeats, the holder is gone.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ray_downloader.processes import may_be_alive, started_s
from ray_downloader.run_folder.heartbeat import Heartbeat
from ray_downloader.run_folder.small_json import parse_object

_log = logging.getLogger(__name__)

#: A lease is renewed this often, and given up after the second number: four heartbeats, as a file server may pause.
HEARTBEAT_S = 5.0
STALE_AFTER_S = 20.0
_POLL_S = 0.5
#: Always one sector: whoever reads while it is renewed finds the old record or the new one.
_RECORD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Timing:
    """How time passes; tests have their own."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


REAL_TIME = Timing()


class HeldElsewhere(Exception):  # noqa: N818 (a finding, not a failure)
    """Another process renews the lease; the message says which."""


class LeaseFile:
    """The lease of one folder.

    Args:
        path: The file.
        is_lock_held: Whether this process has the lock of the operating system, so that a holder on this machine that
            does not run any more is known to be gone.
        timing: How time passes.
    """

    def __init__(self, path: Path, is_lock_held: bool, timing: Timing = REAL_TIME) -> None:
        self._path = path
        self._is_lock_held = is_lock_held
        self._timing = timing
        self._token = uuid.uuid4().hex
        process = psutil.Process()
        self._facts = {
            "token": self._token,
            "host": platform.node(),
            "pid": process.pid,
            "started_s": started_s(process),
            "job": os.environ.get("SLURM_JOB_ID", ""),
        }
        self._beats = 0
        self._heartbeat = Heartbeat(str(path.parent), HEARTBEAT_S, self.renew)

    def acquire(self) -> None:
        """Take the lease, if need be after waiting whether its holder still renews it.

        Raises:
            HeldElsewhere: It does.
            OSError: The folder cannot be written.
        """
        while not self._create():
            found = self._read()
            if found is not None and not self._is_known_to_be_gone(found):
                self._watch(found)
            self._remove(found)
        self._heartbeat.start()

    def release(self) -> None:
        """Give the lease back."""
        self._heartbeat.stop()
        if self._is_ours(self._read()):
            self._path.unlink(missing_ok=True)

    def _create(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._record())
        except OSError:  # on a full disk: an empty file would be watched by whoever comes next
            self._path.unlink(missing_ok=True)
            raise
        return True

    def _record(self) -> bytes:
        return json.dumps({**self._facts, "beats": self._beats}).encode().ljust(_RECORD_BYTES)

    def _read(self) -> bytes | None:
        """The content, opened anew, as a network file system only then asks its server; None without a file."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def _is_ours(self, found: bytes | None) -> bool:
        return found is not None and _facts(found).get("token") == self._token

    def _is_known_to_be_gone(self, found: bytes) -> bool:
        facts = _facts(found)
        if not self._is_lock_held or facts.get("host") != platform.node():
            return False
        return not may_be_alive(facts.get("pid"), facts.get("started_s"))

    def _watch(self, found: bytes) -> None:
        """Wait whether the lease is renewed.

        Raises:
            HeldElsewhere: It is.
        """
        until_s = self._timing.clock() + STALE_AFTER_S
        while self._timing.clock() < until_s:
            self._timing.sleep(_POLL_S)
            now = self._read()
            if now is None:
                return
            if now != found:
                raise HeldElsewhere(_holder(now))
        # A warning, as nothing else is shown before the run holds its folder: it has waited.
        _log.warning("%s: %s has not renewed it for %g s and is gone", self._path, _holder(found), STALE_AFTER_S)

    def _remove(self, found: bytes | None) -> None:
        """Remove a stale lease, unless another process has just replaced it by its own."""
        aside = self._path.with_name(f"{self._path.name}.{self._token}")
        try:
            self._path.rename(aside)
        except FileNotFoundError:
            return
        if aside.read_bytes() == found:
            aside.unlink()
            return
        with suppress(FileExistsError):
            os.link(aside, self._path)
        aside.unlink()

    def renew(self) -> bool:
        """Show that this process lives; False if another one has taken the lease."""
        found = self._read()
        if found is None:
            return self._create()  # somebody cleaned up
        if not self._is_ours(found):
            return False
        self._beats += 1
        with self._path.open("r+b") as file:
            file.write(self._record())
            file.flush()
            os.fsync(file.fileno())
        return True


def holder_of(path: Path) -> str:
    """Who holds a lease, in words; empty if nobody says so."""
    try:
        return _holder(path.read_bytes())
    except OSError:
        return ""


def _facts(found: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(found)
    except ValueError:  # it is being written, or damaged
        return {}


def _holder(found: bytes) -> str:
    facts = _facts(found)
    job = f", job {facts['job']}" if facts.get("job") else ""
    return f"process {facts['pid']} on {facts['host']}{job}" if {"pid", "host"} <= facts.keys() else ""
