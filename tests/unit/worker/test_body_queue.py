"""Bodies that wait: in order, and never more than memory allows, counting those that are still to come."""

from __future__ import annotations

from ray_downloader.fetch.base import FetchResult
from ray_downloader.worker.body_queue import MAX_BODIES_BYTES, BodyQueue
from tests.support.rows import a_row

ROW = a_row()


def with_bodies(*sizes_bytes: int) -> BodyQueue:
    waiting = BodyQueue()
    for token, size_bytes in enumerate(sizes_bytes):
        waiting.add(ROW, FetchResult(token, None, body=bytes(size_bytes)))
    return waiting


def test_bodies_come_out_in_the_order_in_which_they_came() -> None:
    waiting = with_bodies(1, 2, 3)
    assert [len(waiting.take()[1].body) for _ in range(3)] == [1, 2, 3]
    assert not waiting


def test_requests_under_way_count_with_the_mean_size_of_bodies() -> None:
    waiting = with_bodies(MAX_BODIES_BYTES // 10)
    assert waiting.has_room(under_way=7)
    assert not waiting.has_room(under_way=9)
    waiting.take()
    assert waiting.has_room(under_way=8)


def test_one_request_may_always_start_however_large_the_pictures_are() -> None:
    waiting = with_bodies(2 * MAX_BODIES_BYTES)
    assert not waiting.has_room(under_way=0)
    waiting.take()
    assert waiting.has_room(under_way=0)
    assert not waiting.has_room(under_way=1)
