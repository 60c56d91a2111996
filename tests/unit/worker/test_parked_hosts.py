"""What is set aside for hosts that cannot be reached, and when it comes back."""

from __future__ import annotations

from ray_downloader.politeness.messages import HostWait, Verdict
from ray_downloader.worker.parked_hosts import NEVER, PROBE_TIMEOUT_S, ParkedHosts
from ray_downloader.worker.server_queue import ControlRequest
from tests.support.rows import HOST, a_row, rows_of

PAUSED = HostWait(HOST, Verdict.PAUSED, 5.0)
PROBE = HostWait(HOST, Verdict.PAUSED, 0.0)
DEAD = HostWait(HOST, Verdict.DEAD, said="no route")


def test_only_work_of_named_hosts_is_parked_until_they_are_named_no_more() -> None:
    parked, rows = ParkedHosts(), rows_of(2)
    other = a_row("http://b.example/3.jpg", 3)
    assert not parked.takes(rows[0])
    assert parked.update([PAUSED], (), 10.0) == ([], [])
    assert [parked.takes(row) for row in (*rows, other)] == [True, True, False]
    assert parked
    assert parked.next_s == 15.0
    assert parked.update([HostWait("b.example", Verdict.PAUSED)], (), 11.0) == (rows, [])
    assert not parked
    assert parked.next_s == NEVER


def test_a_host_is_asked_about_when_it_is_due_and_one_row_is_its_probe() -> None:
    parked, rows = ParkedHosts(), rows_of(2)
    parked.update([PAUSED], (), 0.0)
    for row in rows:
        parked.takes(row)
    assert parked.due(4.9) == ()
    assert parked.due(5.0) == (HOST,)
    assert parked.update([PROBE], (), 5.0) == ([], []), "another request was answered"
    assert parked.update([PROBE], (HOST,), 5.0) == ([], rows[:1])
    assert not parked.takes(rows[0]), "it waits to be sent"
    assert parked.due(5.0 + PROBE_TIMEOUT_S - 0.1) == ()
    assert parked.due(5.0 + PROBE_TIMEOUT_S) == (HOST,)
    parked.sent(rows[0])
    assert parked.takes(rows[0]), "it failed, and waits like the others"
    assert parked.update([PAUSED], (HOST,), 6.0) == ([], [])
    assert parked.due(11.0) == (HOST,)


def test_work_of_a_host_that_was_given_up_leaves_with_the_last_word_on_it() -> None:
    parked, rows = ParkedHosts(), rows_of(1)
    parked.update([PAUSED], (), 0.0)
    parked.takes(rows[0])
    assert parked.take_lost() == []
    parked.update([DEAD], (HOST,), 1.0)
    assert parked.take_lost() == [(rows[0], DEAD)]
    assert parked.take_lost() == []
    late = rows_of(1)[0]
    assert parked.takes(late), "rows that come later are lost as well"
    assert parked.take_lost() == [(late, DEAD)]


def test_the_operator_and_the_end_of_a_task_take_everything() -> None:
    parked, rows = ParkedHosts(), rows_of(2)
    parked.update([PAUSED], (), 0.0)
    for row in rows:
        parked.takes(row)
    assert parked.rows() == rows
    assert parked.take_of({"b.example"}) == []
    assert parked.take_of({HOST, "b.example"}) == rows
    parked.takes(rows[0])
    assert parked.take_all() == rows[:1]
    assert not parked.takes(rows[1])


def test_of_several_hosts_the_one_that_is_due_first_counts() -> None:
    parked, other = ParkedHosts(), "b.example"
    parked.update([PAUSED, HostWait(other, Verdict.PAUSED, 2.0)], (), 0.0)
    parked.takes(rows_of(1)[0])
    assert parked.next_s == 5.0, "nothing waits for the other"
    parked.takes(a_row(f"http://{other}/3.jpg", 3))
    assert parked.next_s == 2.0
    assert parked.due(2.0) == (other,)


def test_a_request_that_only_compares_is_never_parked() -> None:
    parked, (row,) = ParkedHosts(), rows_of(1)
    assert row.route is not None
    parked.update([PAUSED], (), 0.0)
    assert not parked.takes(ControlRequest(row.route))
    row.route = None
    assert not parked.takes(row), "where it will go is not known yet"
