"""Bodies that wait: in order, and never more than memory allows, counting those that are still to come."""

from __future__ import annotations

from ray_downloader.fetch.base import FetchResult
from ray_downloader.fetch.receiver import MEMORY_BYTES, BodyBuffer, BodyRoom
from ray_downloader.worker.body_queue import BodyQueue
from tests.support.rows import a_row

ROW = a_row()


def with_bodies(*sizes_bytes: int) -> BodyQueue:
    waiting = BodyQueue(BodyRoom())
    for token, size_bytes in enumerate(sizes_bytes):
        waiting.add(ROW, FetchResult(token, None, body=bytes(size_bytes)))
    return waiting


def test_bodies_come_out_in_the_order_in_which_they_came() -> None:
    waiting = with_bodies(1, 2, 3)
    assert [len(waiting.take()[1].body) for _ in range(3)] == [1, 2, 3]
    assert not waiting


def test_requests_under_way_count_with_the_mean_size_of_bodies() -> None:
    waiting = with_bodies(MEMORY_BYTES // 10)
    assert waiting.has_room(under_way=7)
    assert not waiting.has_room(under_way=9)
    taken = waiting.take()[1]
    assert not waiting.has_room(under_way=9), "it is in memory until it was processed"
    waiting.dropped(taken)
    assert waiting.has_room(under_way=8)


def test_one_request_may_always_start_however_large_the_pictures_are() -> None:
    waiting = with_bodies(2 * MEMORY_BYTES)
    assert not waiting.has_room(under_way=0)
    waiting.dropped(waiting.take()[1])
    assert waiting.has_room(under_way=0)
    assert not waiting.has_room(under_way=1)


def test_what_is_announced_in_flight_counts_before_it_has_come() -> None:
    room = BodyRoom()
    waiting = BodyQueue(room)
    assert waiting.has_room(under_way=5)
    buffers = [BodyBuffer(room, MEMORY_BYTES // 4) for _ in range(4)]
    assert not waiting.has_room(under_way=5)
    buffers[0].discard()
    assert waiting.has_room(under_way=5)


def test_what_waits_at_the_end_of_a_slice_is_given_back() -> None:
    room = BodyRoom()
    waiting = BodyQueue(room)
    waiting.add(ROW, FetchResult(1, None, body=bytes(9)))
    assert room.in_memory_bytes == 9
    waiting.close()
    assert room.in_memory_bytes == 0


def test_a_body_of_mean_size_is_expected_for_each_request_to_the_byte() -> None:
    waiting = BodyQueue(BodyRoom(memory_bytes=100))
    waiting.add(ROW, FetchResult(1, None, body=bytes(20)))
    waiting.add(ROW, FetchResult(2, None, body=bytes(46)))  # a mean of 33
    waiting.dropped(waiting.take()[1])
    waiting.dropped(waiting.take()[1])
    assert waiting.has_room(under_way=2), "99 bytes"
    assert not waiting.has_room(under_way=3)


def test_the_next_body_must_fit_beside_all_that_is_announced() -> None:
    room = BodyRoom(memory_bytes=100)
    waiting = BodyQueue(room)
    waiting.add(ROW, FetchResult(1, None, body=bytes(40)))
    waiting.dropped(waiting.take()[1])
    announced = BodyBuffer(room, 60)
    assert not waiting.has_room(under_way=1)
    announced.discard()
    BodyBuffer(room, 59)
    assert waiting.has_room(under_way=1)


def test_nothing_is_expected_of_bodies_before_the_first_has_come() -> None:
    assert BodyQueue(BodyRoom(memory_bytes=2)).has_room(under_way=9)
