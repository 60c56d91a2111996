"""Bodies that wait: in order, and never more than memory allows, counting those that are still to come."""

from __future__ import annotations

from typing import Any, cast

from ray_downloader.fetch.base import FetchResult
from ray_downloader.worker.body_queue import MAX_BODIES_BYTES, Backlog

JOB = cast(Any, None)  # a backlog only passes it on


def with_bodies(*sizes_bytes: int) -> Backlog:
    backlog = Backlog()
    for token, size_bytes in enumerate(sizes_bytes):
        backlog.add(JOB, FetchResult(token, None, body=bytes(size_bytes)))
    return backlog


def test_bodies_come_out_in_the_order_in_which_they_came() -> None:
    backlog = with_bodies(1, 2, 3)
    assert [len(backlog.take()[1].body) for _ in range(3)] == [1, 2, 3]
    assert not backlog


def test_requests_under_way_count_with_the_mean_size_of_bodies() -> None:
    backlog = with_bodies(MAX_BODIES_BYTES // 10)
    assert backlog.has_room(under_way=7)
    assert not backlog.has_room(under_way=9)
    backlog.take()
    assert backlog.has_room(under_way=8)


def test_one_request_may_always_start_however_large_the_pictures_are() -> None:
    backlog = with_bodies(2 * MAX_BODIES_BYTES)
    assert not backlog.has_room(under_way=0)
    backlog.take()
    assert backlog.has_room(under_way=0)
    assert not backlog.has_room(under_way=1)
