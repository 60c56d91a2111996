"""Two machines, one folder: the second is refused while the first lives, and takes over when it is gone."""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.errors import ExitCode, FolderBusyError, UserError
from ray_downloader.run_folder import lease_file, lock
from ray_downloader.run_folder.heartbeat import Heartbeat
from ray_downloader.run_folder.lease_file import STALE_AFTER_S, HeldElsewhere, LeaseFile, Timing
from ray_downloader.run_folder.lock import holding

LEASE = ".lock-lease"


class Time:
    """Time that passes only by sleeping, with something that happens meanwhile."""

    def __init__(self, meanwhile: Callable[[float], None] = lambda _: None) -> None:
        self.now_s = 0.0
        self._meanwhile = meanwhile
        self.timing = Timing(lambda: self.now_s, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self._meanwhile(self.now_s)


@pytest.fixture(autouse=True)
def _no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Heartbeat, "_run", lambda _: None)  # a test renews by itself


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LeaseFile]:
    """A lease that a process of another machine holds."""
    with monkeypatch.context() as patched:
        patched.setattr(platform, "node", lambda: "node-1")
        patched.setenv("SLURM_JOB_ID", "77")
        lease = LeaseFile(tmp_path / LEASE, is_lock_held=False)
        lease.acquire()
    yield lease


def never() -> Any:
    raise AssertionError("it was held twice")


def test_a_folder_that_another_machine_holds_is_refused_as_soon_as_it_shows_life(
    tmp_path: Path, elsewhere: LeaseFile
) -> None:
    time = Time(lambda now_s: now_s % 5 or elsewhere.renew())
    refused = pytest.raises(FolderBusyError, match=r"^busy, or wait .* \(process \d+ on node-1, job 77\)$")
    with refused as refusal, holding(tmp_path / ".lock", "busy", time.timing):
        never()
    assert refusal.value.exit_code is ExitCode.BUSY
    assert time.now_s == 5.0
    assert elsewhere.renew(), "the holder did not notice"


def test_a_folder_whose_holder_on_another_machine_is_gone_is_taken_over(tmp_path: Path, elsewhere: LeaseFile) -> None:
    time = Time()
    with holding(tmp_path / ".lock", "busy", time.timing):
        assert STALE_AFTER_S <= time.now_s < STALE_AFTER_S + 1
        assert json.loads((tmp_path / LEASE).read_text())["host"] == platform.node()
        assert not elsewhere.renew(), "should it only have been suspended, it learns that it is not the holder"
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_holder_that_ends_while_somebody_waits_is_followed_at_once(tmp_path: Path, elsewhere: LeaseFile) -> None:
    time = Time(lambda now_s: elsewhere.release() if now_s == 2.0 else None)
    with holding(tmp_path / ".lock", "busy", time.timing):
        assert time.now_s == 2.0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": 3}', b"\xff" * 10])
def test_a_damaged_lease_is_taken_over_if_nobody_renews_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LEASE).write_bytes(content)
    time = Time()
    with holding(tmp_path / ".lock", "busy", time.timing):
        assert time.now_s >= STALE_AFTER_S


def test_a_process_of_this_machine_that_was_killed_is_followed_without_waiting(tmp_path: Path) -> None:
    gone = {"host": platform.node(), "pid": 2**22 - 1, "started_s": 1.0, "token": "x"}
    reused = {**gone, "pid": os.getpid()}
    for facts in (gone, reused):
        (tmp_path / LEASE).write_text(json.dumps(facts))
        time = Time()
        with holding(tmp_path / ".lock", "busy", time.timing):
            assert time.now_s == 0.0


@pytest.fixture(params=["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def _no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""

    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, request.param), "no locks here")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)


@pytest.mark.usefixtures("_no_locks")
def test_where_there_are_no_locks_the_lease_alone_decides(tmp_path: Path) -> None:
    with holding(tmp_path / ".lock", "busy"):
        first = json.loads((tmp_path / LEASE).read_text())
        second = LeaseFile(tmp_path / LEASE, False, Time(lambda _: renewed(tmp_path)).timing)
        with pytest.raises(HeldElsewhere):
            second.acquire()
    time = Time()
    (tmp_path / LEASE).write_text(json.dumps(first))  # killed: it was not given back
    with holding(tmp_path / ".lock", "busy", time.timing):
        assert time.now_s >= STALE_AFTER_S, "without a lock, a process that is not seen may be in another container"


def renewed(folder: Path) -> None:
    facts = json.loads((folder / LEASE).read_text())
    (folder / LEASE).write_text(json.dumps({**facts, "beats": facts["beats"] + 1}))


def test_of_two_that_wait_for_a_dead_holder_one_gets_the_folder(tmp_path: Path, elsewhere: LeaseFile) -> None:
    other = LeaseFile(tmp_path / LEASE, False, Time().timing)
    found = (tmp_path / LEASE).read_bytes()
    other.acquire()
    one = LeaseFile(tmp_path / LEASE, False, Time(lambda _: other.renew()).timing)
    one._remove(found)  # it has waited as long as the other, and comes a moment later
    assert other.renew(), "what it had found is not there any more"
    with pytest.raises(HeldElsewhere):
        one.acquire()
    assert [path.name for path in tmp_path.iterdir()] == [LEASE]


def test_a_lease_that_somebody_deleted_is_written_again(tmp_path: Path) -> None:
    lease = LeaseFile(tmp_path / LEASE, True)
    lease.acquire()
    (tmp_path / LEASE).unlink()
    assert lease.renew() and (tmp_path / LEASE).exists()
    lease.release()
    assert not (tmp_path / LEASE).exists()


def test_a_lease_is_as_long_after_many_renewals_as_at_first(tmp_path: Path) -> None:
    lease = LeaseFile(tmp_path / LEASE, True)
    lease.acquire()
    for _ in range(12):
        lease.renew()
    found = (tmp_path / LEASE).read_bytes()
    assert len(found) == 512, "a sector, so whoever reads meanwhile finds the old one or the new one"
    assert json.loads(found)["beats"] == 12
    assert (tmp_path / LEASE).stat().st_mode & 0o777 | 0o044 == 0o644, "others may read who holds the folder"
    lease.release()


def test_a_holder_that_lost_its_folder_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(lease_file, "HEARTBEAT_S", 0.01)
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *given: sent.append(given))
    lease = LeaseFile(tmp_path / LEASE, True)
    lease.acquire()
    while b'"beats": 0' in (tmp_path / LEASE).read_bytes():
        pass
    (tmp_path / LEASE).write_text('{"token": "another"}')
    lease._heartbeat._thread.join()
    assert sent == [(os.getpid(), signal.SIGTERM)]
    lease.release()
    assert (tmp_path / LEASE).exists(), "it is the other one's"


def test_a_disk_that_is_full_keeps_nobody_waiting_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: LeaseFile) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(LeaseFile, "_record", full)
        with pytest.raises(UserError, match="no space or no inodes"), holding(tmp_path / ".lock", "busy"):
            never()
    time = Time()
    with holding(tmp_path / ".lock", "busy", time.timing):
        assert time.now_s == 0
