"""A server that resets a connection while others are open takes one fewer; more are tried slowly."""

from __future__ import annotations

import pytest

from ray_downloader.politeness.server.connections import Connections
from ray_downloader.politeness.server.snapshot import Reader


def lowered(most: int = 8, were_open: int = 4) -> Connections:
    connections = Connections(most, 0.0)
    connections.lost_one(were_open, 5.0, 10.0)
    return connections


def serve(connections: Connections, files: int, now_s: float) -> int:
    for _ in range(files):
        connections.served(now_s)
    return connections.limit


def test_the_one_that_was_too_many_is_not_opened_again() -> None:
    assert Connections(8, 0.0).limit == 8
    assert lowered(were_open=4).limit == 3
    assert lowered(were_open=2).limit == 1
    assert lowered(most=2, were_open=9).limit == 2, "never raised"


def test_others_that_break_with_it_count_only_where_they_are_far_fewer() -> None:
    connections = lowered(were_open=8)
    assert connections.limit == 7
    connections.lost_one(6, 9.0, 11.0)
    connections.lost_one(4, 9.0, 11.0)
    assert connections.limit == 7
    connections.lost_one(3, 9.0, 11.0)
    assert connections.limit == 2
    connections.lost_one(2, 11.0, 12.0)
    assert connections.limit == 1, "one that was sent after the change is news"


def test_where_all_of_them_broke_their_number_was_not_why() -> None:
    connections = lowered(were_open=4)
    connections.lost_one(1, 9.0, 11.0)
    assert connections.limit == 8
    served = lowered(were_open=4)
    served.served(10.5)
    served.lost_one(1, 9.0, 11.0)
    assert served.limit == 3, "a file came in between"
    alone = Connections(8, 0.0)
    alone.lost_one(1, 5.0, 10.0)
    assert alone.limit == 8


@pytest.mark.parametrize(("files", "now_s", "limit"), [(50, 70.0, 4), (49, 70.0, 3), (50, 69.9, 3)])
def test_one_more_is_tried_after_a_minute_and_fifty_files(files: int, now_s: float, limit: int) -> None:
    assert serve(lowered(), files, now_s) == limit


def test_each_failed_try_doubles_the_wait_for_the_next() -> None:
    connections, now_s, waits_s = lowered(), 10.0, []
    for _ in range(9):
        wait_s = 60.0
        while serve(connections, 50, now_s + wait_s - 0.1) == 3 and serve(connections, 1, now_s + wait_s) == 3:
            wait_s *= 2
        waits_s.append(wait_s)
        now_s += wait_s + 1.0
        connections.lost_one(4, now_s, now_s)
    assert waits_s == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3840.0, 3840.0, 3840.0]


def test_a_limit_that_is_reached_rises_no_further() -> None:
    connections = lowered(most=4)
    assert serve(connections, 50, 100.0) == 4
    assert serve(connections, 500, 1e6) == 4


def test_what_was_learned_goes_on_and_the_first_failure_after_it_is_one_of_a_try() -> None:
    connections = lowered()
    assert connections.dump() == {"connections": 3, "connection_doublings": 0}
    assert Connections(8, 0.0).dump() == {"connections": None, "connection_doublings": 0}
    again = Connections(8, 0.0)
    again.load(Reader({"connections": 3, "connection_doublings": 2}))
    assert again.limit == 3
    again.lost_one(3, 1.0, 1.0)
    assert again.dump() == {"connections": 2, "connection_doublings": 3}
    smaller = Connections(2, 0.0)
    smaller.load(Reader({"connections": 3, "connection_doublings": 99}))
    assert (smaller.limit, smaller.dump()["connection_doublings"]) == (2, 6)
    none = Connections(5, 0.0)
    none.load(Reader({"connections": None, "connection_doublings": 0}))
    assert none.limit == 5
