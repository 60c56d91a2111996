"""One process at a time has a run in a store; one that is gone is followed, one that lives is not."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ray_downloader.errors import FolderBusyError
from ray_downloader.processes import started_s
from ray_downloader.run_folder.lease_file import Timing
from ray_downloader.stores.base import StoreError
from ray_downloader.stores.lease import LEASE, STALE_AFTER_S, Holder, StoreLease
from tests.support.memory_store import MemoryStore, failing

PLACE = "s3://bucket/run"
ELSEWHERE = Holder(token="theirs", work="w1", folder="/tmp/w", host="other", pid=7, job="12", beats=3)


class Time:
    """Virtual time.

    Args:
        meanwhile: Called at each sleep.
    """

    def __init__(self, meanwhile: Callable[[float], None] = lambda _: None) -> None:
        self.now_s = 0.0
        self._meanwhile = meanwhile
        self.timing = Timing(lambda: self.now_s, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self._meanwhile(self.now_s)


def lease_on(store: MemoryStore, time: Time | None = None) -> StoreLease:
    return StoreLease(store, Path("/tmp/mine"), PLACE, (time or Time()).timing)


def put(store: MemoryStore, holder: Holder) -> None:
    store.objects[LEASE] = holder.to_bytes()


def held(store: MemoryStore) -> Holder:
    return Holder.parse(store.objects[LEASE])


def test_a_run_that_nobody_has_is_taken_and_given_back() -> None:
    store = MemoryStore()
    lease = lease_on(store)
    assert lease.acquire() == ""
    assert (held(store).pid, held(store).host, held(store).folder) == (os.getpid(), platform.node(), "/tmp/mine")
    lease.claim("w2")
    assert held(store).work == "w2"
    lease.release()
    assert (held(store).token, held(store).work) == ("", "w2")
    again = lease_on(store)
    assert again.acquire() == "w2"
    again.release()


def test_a_live_process_of_this_machine_is_busy_at_once() -> None:
    store, time = MemoryStore(), Time()
    me = psutil.Process()
    here = replace(ELSEWHERE, host=platform.node(), pid=me.pid, started_s=started_s(me))
    put(store, here)
    with pytest.raises(FolderBusyError, match=rf"another run holds {PLACE}; .* \(process {me.pid} on "):
        lease_on(store, time).acquire()
    assert time.now_s == 0
    put(store, replace(here, started_s=started_s(me) - 100))
    lease = lease_on(store, time)
    assert lease.acquire() == "w1", "another process has its number now"
    assert time.now_s == 0
    lease.release()


def test_a_process_of_another_machine_is_watched_and_busy_if_it_renews() -> None:
    store = MemoryStore()
    put(store, ELSEWHERE)
    time = Time(lambda now_s: put(store, replace(ELSEWHERE, beats=4)) if now_s > 10 else None)
    with pytest.raises(FolderBusyError, match="process 7 on other, job 12"):
        lease_on(store, time).acquire()
    assert time.now_s < STALE_AFTER_S


def test_a_process_of_another_machine_that_is_silent_is_followed() -> None:
    store, time = MemoryStore(), Time()
    put(store, ELSEWHERE)
    lease = lease_on(store, time)
    assert lease.acquire() == "w1"
    assert time.now_s >= STALE_AFTER_S
    lease.release()


def test_a_run_that_is_given_back_meanwhile_is_taken() -> None:
    store = MemoryStore()
    put(store, ELSEWHERE)
    time = Time(lambda now_s: put(store, replace(ELSEWHERE, token="", work="w9")) if now_s > 10 else None)
    lease = lease_on(store, time)
    assert lease.acquire() == "w9"
    assert time.now_s < STALE_AFTER_S
    lease.release()


def test_of_two_that_find_it_free_one_gets_it() -> None:
    store = MemoryStore()
    me = psutil.Process()
    winner = replace(ELSEWHERE, host=platform.node(), pid=me.pid, started_s=started_s(me))

    def overtake(request: str) -> None:
        if request == f"read {LEASE}":
            store.before = lambda _: None
            put(store, winner)

    # The object appears between reading and replacing: as if the read had still found nothing.
    read = store.read

    def stale_read(key: str) -> object:
        found = read(key)
        overtake(f"read {key}")
        store.read = read  # type: ignore[method-assign]
        return found

    store.read = stale_read  # type: ignore[method-assign, assignment]
    with pytest.raises(FolderBusyError):
        lease_on(store).acquire()
    assert held(store) == winner


def test_one_that_was_overtaken_notices_and_does_not_take_it_back() -> None:
    store = MemoryStore()
    lease = lease_on(store)
    lease.acquire()
    put(store, ELSEWHERE)
    lease.claim("w2")
    assert not lease.is_ours
    lease.release()
    assert held(store) == ELSEWHERE


def test_a_lost_answer_is_no_other_process() -> None:
    store = MemoryStore()
    lease = lease_on(store)
    lease.acquire()

    def lose_answer(_request: str) -> None:
        store.after = lambda _: None
        raise StoreError("timeout", may_pass=True)

    store.after = lose_answer
    with pytest.raises(StoreError):
        lease.claim("w2")
    lease.claim("w3")
    assert lease.is_ours
    assert held(store).work == "w3"
    del store.objects[LEASE]
    lease.claim("w4")
    assert held(store).work == "w4", "somebody cleaned up"
    lease.release()


def test_a_store_that_is_gone_at_the_end_changes_nothing() -> None:
    store = MemoryStore()
    lease = lease_on(store)
    lease.acquire()
    store.before = failing()
    lease.release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"token": 1}', b"\xff"], ids=range(5))
def test_a_damaged_object_is_nobodys(content: bytes) -> None:
    store = MemoryStore()
    store.objects[LEASE] = content
    lease = lease_on(store)
    assert lease.acquire() == ""
    lease.release()
