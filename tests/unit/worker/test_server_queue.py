"""Which row of a budget goes next, and what its queue requests and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.politeness.leases.pacer import HEARTBEAT_S
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, ProbeUrl, Verdict, WaitReason
from ray_downloader.politeness.server.runs import FORBIDDEN_RUN
from ray_downloader.worker.parked_hosts import NEVER
from ray_downloader.worker.request_policy import Failure, Route
from ray_downloader.worker.robots_gate import RobotsRequest
from ray_downloader.worker.row import Row
from ray_downloader.worker.server_queue import (
    ALONE_403_DELAY_S,
    BAN_S,
    MOST_CONNECTING_S,
    MOST_RECALLED,
    REPORT_INTERVAL_S,
    ControlRequest,
    ServerQueue,
    Work,
)
from tests.support.rows import HOST, a_row, rows_of

SERVED = Outcome(None, 200)
THROTTLED = Outcome(ErrorKind.HTTP_429, 429)
FORBIDDEN = Failure(ErrorKind.HTTP_4XX, "HTTP status 403", 403)
FREE = Lease("a.example", 100, valid_s=1e6, burst=100, connections=50, retries=100)


def a_queue(lease: Lease | None = FREE, rows: int = 0, now_s: float = 0.0) -> tuple[ServerQueue, list[Row]]:
    queue, fresh = ServerQueue("a.example", "task", 900.0, 3), rows_of(rows)
    for row in fresh:
        queue.add(row)
    if lease is not None:
        queue._pacer.requested(now_s)
        queue.granted(lease, now_s)
    return queue, fresh


def robots() -> RobotsRequest:
    return RobotsRequest("a.example", Route(RequestUrl.parse("http://a.example/robots.txt"), "a.example"))


class Unread(list[tuple[float, int, Work]]):
    """A list that nobody goes through."""

    def __iter__(self) -> Iterator[tuple[float, int, Work]]:
        raise AssertionError("all of it is read")


def failed(row: Row, not_before_s: float, queue: ServerQueue, attempt: int = 1) -> Row:
    row.attempt, row.is_retry = attempt, attempt > 1
    queue.add_deferred(row, not_before_s)
    return row


# -- order -----------------------------------------------------------------------------------------------------------


def test_what_is_under_way_goes_first_then_fresh_rows_then_those_that_failed() -> None:
    queue, (first, second) = a_queue(rows=2)
    refused, hop = rows_of(2)
    failed(refused, 0.0, queue)
    queue.add_first(hop)
    request = robots()
    queue.add_first(request)
    assert [queue.take_due(1.0) for _ in range(6)] == [hop, request, first, second, refused, None]


def test_a_row_that_failed_goes_before_fresh_ones_where_its_next_answer_tells_whose_fault_it_was() -> None:
    queue, (first, second, third) = a_queue(rows=3)
    failed(rows_of(1)[0], 0.0, queue).is_odd = True
    refused = failed(rows_of(1)[0], 2.0, queue)
    refused.failed_at_s = 0.0
    queue.judge.notice_served(1.0, HOST)
    assert queue.take_due(1.0) is first, "not due yet"
    assert queue.take_due(2.0) is refused
    failed(refused, 2.0, queue)
    queue.judge.notice_served(1.0, HOST)
    assert [queue.take_due(2.0) for _ in range(3)][:2] == [second, third], "it is known to be odd by now"


def test_a_row_that_failed_together_with_others_goes_before_fresh_ones_once_the_server_has_recovered() -> None:
    """Two rows that are refused for ever would otherwise be the last ones left, with no other to tell by."""
    queue, (fresh,) = a_queue(rows=1)
    refused = failed(rows_of(1)[0], 1.0, queue)
    queue.judge.has_delivered = True
    assert queue.take_due(1.0) is refused
    assert queue.take_due(1.0) is fresh


def test_rows_that_failed_go_in_the_order_of_their_times_and_not_before() -> None:
    queue, _ = a_queue()
    late, early = (failed(row, at_s, queue) for row, at_s in zip(rows_of(2), (5.0, 3.0), strict=True))
    assert queue.take_due(2.9) is None
    assert queue.take_due(3.0) is early
    assert queue.take_due(4.9) is None
    assert queue.take_due(5.0) is late


def test_a_probe_goes_to_the_row_farthest_from_those_that_failed() -> None:
    queue, rows = a_queue(replace(FREE, is_probe=True), rows=5)
    assert queue.take_due(0.0) is rows[-1]


def test_a_probe_takes_a_row_that_failed_if_there_is_no_other_due_or_not() -> None:
    queue, _ = a_queue(replace(FREE, is_probe=True, retries=0))
    row = failed(rows_of(1)[0], 1e9, queue, attempt=2)
    assert queue.next_start_s(0.0) == 0.0
    assert queue.take_due(0.0) is row


def test_retries_wait_for_a_lease_that_allows_them_and_deferrals_do_not() -> None:
    queue, _ = a_queue(replace(FREE, retries=0))
    failed(rows_of(1)[0], 0.0, queue, attempt=2)
    assert queue.take_due(1.0) is None
    queue, _ = a_queue(replace(FREE, retries=0))
    row = failed(rows_of(1)[0], 0.0, queue, attempt=1)
    assert queue.take_due(1.0) is row


def test_retries_are_charged_to_the_lease() -> None:
    queue, _ = a_queue(replace(FREE, retries=1))
    first, second = (failed(row, 0.0, queue, attempt=2) for row in rows_of(2))
    assert queue.take_due(1.0) is first
    assert queue.take_due(1.0) is None
    assert second in [work for _, _, work in queue._deferred]


def test_a_retry_is_given_up_once_the_retry_budget_is_spent_and_not_while_others_have_what_is_left_of_it() -> None:
    lease = replace(FREE, retries=0, valid_s=2.0)
    for may_retry_later in (False, True):
        queue, _ = a_queue(replace(lease, may_retry_later=may_retry_later))
        row = failed(rows_of(1)[0], 0.0, queue, attempt=2)
        assert queue.take_abandoned(1.0) == ([] if may_retry_later else [row])
    assert queue.next_start_s(1.0) == 2.0, "the next lease may allow it"


def test_a_row_whose_server_served_others_since_it_failed_starts_as_odd() -> None:
    queue, _ = a_queue()
    row = failed(rows_of(1)[0], 0.0, queue)
    row.failed_at_s = 0.0
    queue.judge.notice_served(1.0, HOST)
    assert queue.take_due(0.0) is row
    assert row.is_odd


def test_connections_of_the_lease_are_the_limit() -> None:
    queue, rows = a_queue(replace(FREE, connections=2), rows=3)
    assert [queue.take_due(0.0) for _ in range(3)] == [rows[0], rows[1], None]
    assert queue.next_start_s(0.0) == NEVER
    queue.finished(SERVED, 0.1)
    assert queue.take_due(0.1) is rows[2]


def test_the_next_request_waits_a_moment_for_one_that_still_connects() -> None:
    lease = Lease("a.example", 10, interval_s=0.1, valid_s=1e6, connections=5)
    queue, rows = a_queue(lease, rows=3)
    assert queue.take_due(0.0) is rows[0]
    assert queue.take_due(0.1 + MOST_CONNECTING_S - 0.001) is None
    queue.went_out(0.02)
    assert queue.take_due(0.119) is None, "the distance counts from when it went out"
    assert queue.take_due(0.12) is rows[1]
    assert queue.take_due(0.22 + MOST_CONNECTING_S) is rows[2], "and then it goes on"


# -- 403s ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "is_held"),
    [
        (FORBIDDEN, True),
        (Failure(ErrorKind.HTTP_4XX, "", 404), False),
        (Failure(ErrorKind.HTTP_403_BAN, "", 403), False),
    ],
)
def test_a_403_may_be_a_ban_unless_it_certainly_is_one(failure: Failure, is_held: bool) -> None:
    assert a_queue()[0].may_be_ban(failure) is is_held


def test_a_held_row_is_released_by_a_request_that_went_out_after_it_and_was_served() -> None:
    queue, _ = a_queue(rows=1)
    held = rows_of(2)
    queue.hold(held[0], FORBIDDEN, 10.0)
    queue.hold(held[1], FORBIDDEN, 12.0)
    assert queue.release_refused(10.0, "a.example") == []
    assert queue.release_refused(11.0, "a.example") == [(held[0], FORBIDDEN)]
    assert queue.release_refused(11.0, "a.example") == []
    assert len(queue) == 2


def hold_one_of_a_group(served: str) -> tuple[ServerQueue, Row]:
    """A group of which one host has served before, with other rows left and one of a.example that a 403 refused."""
    queue = ServerQueue("group", "task", 900.0, 3)
    for row in rows_of(3):
        queue.add(row)
    queue._pacer.requested(0.0)
    queue.granted(replace(FREE, server="group"), 0.0)
    url = RequestUrl.parse(f"http://{served}/0.jpg")
    queue.notice_file(Route(url, "group"), is_listed=True)
    held = a_row()
    held.route = Route(RequestUrl.parse("http://a.example/1.jpg"), "group")
    queue.hold(held, FORBIDDEN, 0.0)
    return queue, held


def test_another_host_of_a_group_shows_nothing_about_one_that_has_served_before() -> None:
    """Rows that one host refused for seconds were lost."""
    queue, held = hold_one_of_a_group("a.example")
    assert queue.release_refused(1.0, "b.example") == []
    assert queue.settle_held(1.0 + BAN_S) == []
    assert isinstance(queue.take_due(1.0 + BAN_S), ControlRequest), "its own host is asked once a ban may be over"
    assert queue.release_refused(1.0, "a.example") == [(held, FORBIDDEN)]


def test_any_host_of_a_group_shows_that_one_that_never_served_forbids_its_files() -> None:
    queue, held = hold_one_of_a_group("b.example")
    assert queue.release_refused(1.0, "b.example") == [(held, FORBIDDEN)]


def test_rows_that_one_host_of_a_group_refused_one_after_the_other_are_requested_once_more() -> None:
    queue, _ = hold_one_of_a_group("a.example")
    for number in range(2, FORBIDDEN_RUN + 1):
        row = a_row(number=number)
        row.route = Route(RequestUrl.parse(f"http://a.example/{number}.jpg"), "group")
        queue.hold(row, FORBIDDEN, 0.5)
    assert queue.release_refused(1.0, "a.example") == []
    assert len(queue._deferred_rows) == FORBIDDEN_RUN


def test_held_rows_wait_as_long_as_others_can_tell() -> None:
    queue, rows = a_queue(rows=2)
    held = rows_of(2)
    for row in held:
        queue.hold(row, FORBIDDEN, 0.0)
    assert queue.settle_held(1e6) == []
    assert [queue.take_due(1e6) for _ in range(3)] == [*rows, None]
    for _ in rows:
        queue.finished(SERVED, 1e6)
    assert queue.settle_held(1e6) == []
    assert not queue._deferred, "its budget may see a ban in what is to be reported"
    queue.request(1e6)
    queue.granted(FREE, 1e6)
    assert queue.settle_held(1e6) == []
    assert [(row.attempt, row.is_retry) for row in held] == [(2, True)] * 2
    assert [entry[0] for entry in queue._deferred] == [1e6 + ALONE_403_DELAY_S] * 2


def test_the_only_url_of_a_server_that_is_forbidden_is_believed() -> None:
    queue, _ = a_queue()
    (held,) = rows_of(1)
    queue.hold(held, FORBIDDEN, 0.0)
    assert queue.settle_held(0.0) == [(held, FORBIDDEN)]
    assert len(queue) == 0


def test_the_last_rows_are_compared_with_a_url_that_was_served() -> None:
    queue, _ = a_queue()
    served, held, other = rows_of(3)
    for row in (served, held, other):
        row.route = Route(RequestUrl.parse(row.identifier), "a.example")
    assert served.route is not None
    queue.notice_file(served.route, is_listed=True)
    queue.hold(held, FORBIDDEN, 1.0)
    queue.hold(other, FORBIDDEN, 1.0)
    assert queue.settle_held(1.0) == []
    control = queue.take_due(1e6)
    assert isinstance(control, ControlRequest)
    assert control.route is served.route
    assert queue.release_refused(2.0, "a.example") == [(held, FORBIDDEN), (other, FORBIDDEN)]


def test_in_a_ban_held_rows_are_tried_again_and_have_spent_nothing() -> None:
    queue, _ = a_queue(replace(FREE, is_403_ban=True), rows=1)
    (held,) = rows_of(1)
    queue.hold(held, FORBIDDEN, 0.0)
    assert queue.settle_held(5.0) == []
    assert queue._deferred[0][::2] == (5.0, held)
    assert held.attempt == 1
    assert held.failure is not None
    assert held.failure.kind is ErrorKind.HTTP_403_BAN


def test_a_run_of_403_is_reported_at_once_and_nothing_is_sent_meanwhile() -> None:
    queue, _ = a_queue(rows=10)
    for row in rows_of(FORBIDDEN_RUN - 1):
        queue.in_flight += 1
        queue.hold(row, FORBIDDEN, 0.0)
        queue.finished(Outcome(ErrorKind.HTTP_4XX, 403), 0.0)
    assert queue.take_due(0.1) is not None
    assert queue.request(0.1) is None
    queue.hold(rows_of(1)[0], FORBIDDEN, 0.2)
    queue.finished(Outcome(ErrorKind.HTTP_4XX, 403), 0.2)
    assert queue.take_due(0.5) is None
    assert queue.request(0.5) is not None
    assert queue.take_due(1.0) is None, "the budget has not answered"
    queue.granted(FREE, 1.1)
    assert queue.take_due(1.5) is not None


@pytest.mark.parametrize(
    ("is_troubled", "is_odd", "after_s", "is_own"),
    [(False, False, 1.0, True), (True, False, 1.0, False), (True, True, 1.0, True), (False, True, BAN_S + 1, False)],
)
def test_a_403_that_came_with_others_is_believed_the_second_time(
    is_troubled: bool, is_odd: bool, after_s: float, is_own: bool
) -> None:
    queue, _ = a_queue(replace(FREE, is_probe=is_troubled))
    (held,) = rows_of(1)
    held.is_odd = is_odd
    queue.hold(held, FORBIDDEN, 0.0)
    assert bool(queue.release_refused(after_s, "a.example")) is is_own
    assert (held.attempt, held.is_retry) == ((2, True) if after_s > BAN_S else (1, False))


# -- what is abandoned -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [Verdict.DEAD, Verdict.REFUSED, Verdict.OPTED_OUT, Verdict.BANNED])
def test_a_final_verdict_ends_every_row(verdict: Verdict) -> None:
    queue, (row,) = a_queue(Lease("a.example", 0, verdict=verdict), rows=1)
    hop, refused, held = rows_of(3)
    queue.add_first(hop)
    failed(refused, 1e9, queue)
    queue.hold(held, FORBIDDEN, 0.0)
    assert queue.take_abandoned(0.0) == [hop, row, refused, held]
    assert len(queue) == 0
    assert not queue.is_busy


@pytest.mark.parametrize("verdict", [Verdict.OPEN, Verdict.PAUSED])
def test_other_verdicts_end_none(verdict: Verdict) -> None:
    queue, _ = a_queue(Lease("a.example", 0, verdict=verdict), rows=1)
    failed(rows_of(1)[0], 0.0, queue, attempt=2)
    assert queue.take_abandoned(1.0) == []


def test_a_retry_is_given_up_only_when_it_is_due_and_refused_and_nothing_else_is_left() -> None:
    queue, (fresh,) = a_queue(replace(FREE, retries=0), rows=1)
    row = failed(rows_of(1)[0], 5.0, queue, attempt=2)
    assert queue.take_abandoned(6.0) == [], "a fresh row may earn it"
    assert queue.take_due(6.0) is fresh
    assert queue.take_abandoned(6.0) == [], "so may one under way"
    queue.finished(SERVED, 6.0)
    assert queue.take_abandoned(4.9) == [], "not due"
    assert queue.take_abandoned(5.0) == [row]


def test_a_row_that_spent_nothing_is_not_given_up() -> None:
    queue, _ = a_queue(replace(FREE, retries=0))
    failed(rows_of(1)[0], 0.0, queue, attempt=1)
    assert queue.take_abandoned(1.0) == []


# -- the budget ------------------------------------------------------------------------------------------------------


def test_it_requests_what_it_could_start_soon() -> None:
    queue, _ = a_queue(None, rows=2)
    queue.add_first(rows_of(1)[0])
    soon, late = rows_of(2)
    failed(soon, 10.0 + REPORT_INTERVAL_S, queue)
    failed(late, 10.1 + REPORT_INTERVAL_S, queue)
    request = queue.request(10.0)
    assert request is not None
    assert (request.server, request.holder, request.wanted) == ("a.example", "task", 4)
    assert queue.request(10.0) is None, "one at a time"


def test_a_server_in_trouble_is_asked_for_one_probe() -> None:
    queue, _ = a_queue(Lease("a.example", 0, request_again_in_s=5.0, reason=WaitReason.BACKOFF))
    for row in rows_of(3):
        failed(row, 1e9, queue)
    request = queue.request(5.0)
    assert request is not None
    assert request.wanted == 1


def test_a_server_in_trouble_is_asked_for_all_rows_that_are_due() -> None:
    """One that failed and is not due is its probe only where there is no other."""
    queue, _ = a_queue(Lease("a.example", 0, request_again_in_s=5.0, reason=WaitReason.BACKOFF), rows=3)
    failed(rows_of(1)[0], 1e9, queue)
    request = queue.request(5.0)
    assert request is not None
    assert request.wanted == 3


def test_it_reports_outcomes_within_a_second_and_at_once_when_more_hangs_on_them() -> None:
    queue, _ = a_queue(rows=5)
    queue.take_due(0.0)
    queue.take_due(0.0)
    queue.finished(replace(SERVED, size_bytes=7), 0.2)
    assert queue.request(0.5) is None
    assert queue.next_wake_s(0.5) == 0.5, "another row may start"
    request = queue.request(REPORT_INTERVAL_S)
    assert request is not None
    assert [(outcome.size_bytes, round(outcome.age_s, 9)) for outcome in request.outcomes] == [(7, 0.8)]
    queue.granted(FREE, 1.0)
    assert queue.request(1.0) is None, "told once"
    queue.finished(SERVED, 1.0 + 0.9 * REPORT_INTERVAL_S)
    assert queue.request(1.0 + 0.9 * REPORT_INTERVAL_S) is None, "the last report is not long ago"
    assert queue.request(1.0 + REPORT_INTERVAL_S) is not None


def test_a_throttled_answer_gives_back_all_permits_and_is_reported_at_once() -> None:
    queue, _ = a_queue(rows=5)
    queue.take_due(0.0)
    queue.finished(THROTTLED, 0.1)
    assert queue.take_due(0.1) is None
    request = queue.request(0.1)
    assert request is not None
    assert (request.unused, len(request.outcomes)) == (99, 1)


def test_permits_that_are_on_their_way_when_the_server_says_stop_are_given_back_too() -> None:
    queue, _ = a_queue(replace(FREE, permits=2), rows=50)
    queue.take_due(0.0)
    queue.take_due(0.0)
    assert queue.request(0.0) is not None
    queue.finished(THROTTLED, 0.1)
    queue.granted(replace(FREE, permits=20, serial=1), 0.2)
    assert queue.take_due(0.2) is None
    request = queue.request(0.2)
    assert request is not None
    assert request.unused == 20


def test_the_refusal_of_an_odd_row_keeps_the_permits() -> None:
    queue, rows = a_queue(rows=2)
    queue.take_due(0.0)
    queue.finished(replace(THROTTLED, is_odd=True), 0.1)
    assert queue.take_due(0.1) is rows[1]


def test_the_last_request_gives_everything_back() -> None:
    queue, _ = a_queue(rows=3)
    queue.take_due(0.0)
    queue.obey_crawl_delay(4.0)
    last = queue.last_request(1.0)
    assert (last.wanted, last.in_flight, last.unused, last.crawl_delay_s) == (0, 0, 99, 4.0)


def test_a_refused_lease_is_requested_again_when_it_says() -> None:
    queue, _ = a_queue(Lease("a.example", 0, request_again_in_s=7.0), rows=1)
    assert queue.next_start_s(0.0) == 7.0
    assert queue.request(6.9) is None
    assert queue.request(7.0) is not None


@pytest.mark.parametrize(
    ("lease", "troubled"),
    [
        (FREE, False),
        (replace(FREE, is_probe=True), True),
        (Lease("a.example", 0, reason=WaitReason.RETRY_AFTER), True),
        (Lease("a.example", 0, reason=WaitReason.OUTAGE), True),
        (Lease("a.example", 0, reason=WaitReason.CRAWL_DELAY), False),
        (Lease("a.example", 0), False),
    ],
)
def test_a_queue_is_busy_unless_its_server_is_in_trouble(lease: Lease, troubled: bool) -> None:
    queue, _ = a_queue(lease, rows=1)
    assert queue.is_troubled is troubled
    assert queue.is_busy is not troubled
    empty, _ = a_queue(lease)
    assert not empty.is_busy


def test_a_queue_is_not_busy_before_its_budget_has_said_how_the_server_is() -> None:
    queue, _ = a_queue(lease=None, rows=1)
    assert not queue.is_busy


def test_a_transfer_under_way_keeps_it_busy() -> None:
    queue, _ = a_queue(rows=1)
    queue.take_due(0.0)
    assert (len(queue), queue.is_busy) == (0, True)
    queue.finished(SERVED, 1.0)
    assert not queue.is_busy


def test_news_of_the_last_row_starts_nothing() -> None:
    queue, _ = a_queue(rows=1)
    queue.take_due(0.0)
    queue.finished(SERVED, 0.1)
    assert queue.next_start_s(0.1) == NEVER
    assert queue.request(REPORT_INTERVAL_S) is not None
    assert queue.next_start_s(REPORT_INTERVAL_S) == NEVER


def test_nothing_to_do_never_wakes() -> None:
    queue, _ = a_queue()
    assert queue.next_start_s(0.0) == NEVER
    assert queue.next_wake_s(0.0) == NEVER


def test_while_a_slow_transfer_holds_its_connection_more_are_asked_for() -> None:
    """The lease allowed one connection, as fast answers need no more; the server stood still for the whole transfer."""
    queue, _ = a_queue(replace(FREE, permits=1, connections=1), rows=2)
    assert queue.take_due(0.0)
    assert queue.next_wake_s(0.0) <= 0.0
    assert queue.request(0.0) == LeaseRequest("a.example", "task", wanted=1, in_flight=1)
    queue.granted(replace(FREE, permits=0, connections=1, request_again_in_s=0.9), 0.1)
    assert queue.next_wake_s(0.1) == pytest.approx(1.0)


def test_a_transfer_under_way_is_reported_now_and_then() -> None:
    queue, _ = a_queue(replace(FREE, permits=1, connections=1), rows=1)
    queue.take_due(0.0)
    assert queue.next_wake_s(0.0) == HEARTBEAT_S
    assert queue.request(HEARTBEAT_S) == LeaseRequest("a.example", "task", wanted=0, in_flight=1)


@pytest.mark.parametrize(
    "act",
    [
        lambda queue, row: queue.add(row),
        lambda queue, row: queue.add_first(row),
        lambda queue, row: queue.add_deferred(row, 5.0),
        lambda queue, row: queue.hold(row, FORBIDDEN, 5.0),
        lambda queue, row: queue.went_out(5.0),
        lambda queue, row: queue.went_out(None),
        lambda queue, row: queue.finished(SERVED, 5.0),
        lambda queue, row: queue.granted(FREE, 5.0),
    ],
    ids=["add", "add_first", "add_deferred", "hold", "went_out", "not_sent", "finished", "granted"],
)
def test_whatever_happens_to_a_queue_wakes_it_at_once(act: Callable[[ServerQueue, Row], None]) -> None:
    queue, _ = a_queue(rows=1)
    assert queue.take_due(0.0)
    queue.wake_at_s = 100.0
    act(queue, rows_of(1)[0])
    assert queue.wake_at_s == 0.0


def test_a_queue_that_is_full_sleeps_until_something_happens_to_it() -> None:
    queue, _ = a_queue(replace(FREE, connections=1), rows=3)
    assert queue.next_start_s(0.0) == 0.0
    queue.take_due(0.0)
    assert queue.next_start_s(0.0) == NEVER
    queue.went_out(0.0)
    queue.finished(SERVED, 0.5)
    assert queue.next_start_s(0.5) == 0.5


def test_rows_of_a_host_are_taken_from_wherever_they_wait_and_the_others_stay_in_order() -> None:
    queue, _ = a_queue()
    ours, others = rows_of(4), [a_row(f"http://b.example/{number}.jpg") for number in range(4)]
    request = robots()
    queue.add_first(request)
    for add in (queue.add_first, queue.add):
        for row in (ours.pop(), others.pop()):
            add(row)
    for row, not_before_s in ((others[0], 9.0), (ours[0], 3.0)):
        queue.add_deferred(row, not_before_s)
    for row in (others[1], ours[1]):
        queue.hold(row, FORBIDDEN, 1.0)
    taken = queue.take_work_of({"b.example"})
    assert len(taken) == 4
    assert {row.route.server for row in taken if row.route} == {"b.example"}
    assert queue.take_work_of({"b.example", "c.example"}) == []
    taken = queue.take_work_of({"a.example"})
    assert len(taken) == 5
    assert request in taken, "an order for its host is one for its robots.txt, too"
    assert queue.take_due(20.0) is None
    assert queue.take_due(20.0) is None


def test_requests_for_robots_txt_are_looked_for_a_few_at_a_time_and_what_is_sent_next_always() -> None:
    queue, _ = a_queue()
    waiting = [robots() for _ in range(2 * MOST_RECALLED + 1)]
    for request in waiting[:-1]:
        queue.add_deferred(request, 5.0)
    queue.add_first(waiting[-1])
    assert queue.due_robots_requests(1.0) == [waiting[-1], *waiting[:MOST_RECALLED]]
    assert queue.due_robots_requests(1.0) == [waiting[-1], *waiting[MOST_RECALLED:-1]]
    queue.drop(waiting[0])
    assert queue.take_due(1.0) is waiting[-1], "it is sent, so nobody else has to fetch it"
    assert queue.due_robots_requests(1.0) == waiting[1 : MOST_RECALLED + 1]
    queue.went_out(1.0)
    queue.finished(SERVED, 1.0)
    assert queue.take_due(6.0) is waiting[1], "what another task has fetched is not sent"


def test_rows_that_failed_are_not_searched_for_requests_for_robots_txt() -> None:
    queue, _ = a_queue()
    for row in rows_of(3):
        failed(row, 0.0, queue)
    queue._deferred = Unread(queue._deferred)
    assert queue.due_robots_requests(1.0) == []


@pytest.mark.parametrize(("delays", "expected"), [((None,), None), ((2.0, None), 2.0), ((2.0, 5.0, 1.0), 5.0)])
def test_the_strictest_crawl_delay_of_a_groups_hosts_is_reported(
    delays: tuple[float | None, ...], expected: float | None
) -> None:
    queue, _ = a_queue(rows=1)
    for delay in delays:
        queue.obey_crawl_delay(delay)
    assert queue.last_request(0.0).crawl_delay_s == expected


# -- a URL that was served before ------------------------------------------------------------------------------------

PROBE = replace(FREE, permits=1, is_probe=True)


def routed(row: Row) -> Row:
    row.route = Route(RequestUrl.parse(row.url), "a.example")
    return row


def test_a_probe_with_only_failed_rows_goes_to_one_of_them_and_then_to_a_url_that_was_served() -> None:
    queue, _ = a_queue(PROBE)
    row = routed(failed(rows_of(1)[0], 99.0, queue))
    served = Route(RequestUrl.parse("http://a.example/served.jpg"), "a.example")
    other = Route(RequestUrl.parse("http://b.example/served.jpg"), "a.example")
    queue.notice_file(served, is_listed=True)
    queue.notice_file(other, is_listed=True)
    assert queue.take_due(0.0) is row
    queue.finished(THROTTLED, 0.0)
    failed(row, 99.0, queue)
    queue.granted(replace(PROBE, serial=2), 1.0)
    control = queue.take_due(1.0)
    assert isinstance(control, ControlRequest)
    assert control.route is served, "its own host; a rule may unite several"
    assert len(queue) == 1, "the row still waits"


def test_a_url_with_a_password_is_not_told_to_others_as_one_that_was_served() -> None:
    queue, _ = a_queue(PROBE)
    for url in ("http://user:secret@b.example/served.jpg", "http://a.example/served.jpg"):
        queue.notice_file(Route(RequestUrl.parse(url), "a.example"), is_listed=True)
    assert queue.last_request(0.0).controls == ("http://a.example/served.jpg",)


def test_without_a_url_that_was_served_or_with_fresh_rows_a_probe_is_a_row() -> None:
    queue, _ = a_queue(PROBE)
    row = routed(failed(rows_of(1)[0], 99.0, queue))
    row.is_probe = True
    assert queue.take_due(0.0) is row
    queue, (fresh,) = a_queue(PROBE, rows=1)
    failed(row, 99.0, queue)
    queue.notice_file(Route(RequestUrl.parse("http://a.example/served.jpg"), "a.example"), is_listed=True)
    assert queue.take_due(0.0) is fresh


def test_a_row_that_was_told_to_come_back_tomorrow_is_not_asked_to_find_out_about_its_server() -> None:
    queue, _ = a_queue(PROBE)
    row = routed(failed(rows_of(1)[0], 99.0, queue))
    row.failure = Failure(ErrorKind.HTTP_429, "", 429, 86_400.0)
    queue.notice_file(Route(RequestUrl.parse("http://a.example/served.jpg"), "a.example"), is_listed=True)
    assert isinstance(queue.take_due(0.0), ControlRequest)


def test_rows_of_a_server_that_was_given_up_are_due_now_however_short_the_slice() -> None:
    """The verdict said "again in 6 s", the slice had 5 s: it ended with its rows, for ever."""
    queue, (row,) = a_queue(rows=1, lease=Lease("a.example", 0, verdict=Verdict.REFUSED, request_again_in_s=6.0))
    assert queue.next_start_s(1.0) == 1.0
    assert queue.take_abandoned(1.0) == [row]
    assert queue.next_start_s(1.0) == NEVER


def test_a_403_of_long_before_is_not_about_its_file_because_others_are_served_now() -> None:
    queue, _ = a_queue()
    soon, long_ago = rows_of(2)
    queue.hold(long_ago, FORBIDDEN, 0.0)
    queue.hold(soon, FORBIDDEN, 40.0)
    assert queue.release_refused(45.0, "a.example") == [(soon, FORBIDDEN)]
    assert (len(queue), long_ago.attempt) == (1, 2)
    assert queue.take_due(45.0) is long_ago


# -- the last rows, which all failed ---------------------------------------------------------------------------------

BROKEN = Failure(ErrorKind.HTTP_5XX, "", 500)
SERVED_BEFORE = Route(RequestUrl.parse("http://a.example/served.jpg"), "a.example")


def failing(queue: ServerQueue, count: int = 2, at_s: float = 5.0) -> list[Row]:
    """Rows that failed one after the other, and may be retried at once."""
    rows = [routed(row) for row in rows_of(count)]
    for row in rows:
        row.failure = BROKEN
        queue.judge.judge(row, BROKEN, at_s)
        queue.add_deferred(row, at_s)
    return rows


@pytest.mark.parametrize(
    ("wait_s", "refusals", "is_odd", "is_first"),
    [(6.0, 1, False, True), (4.0, 1, False, False), (None, 1, False, False), (6.0, 2, False, False),
     (6.0, 1, True, False), (600.0, 1, False, False)],
    ids=["told once", "not for long", "not how long", "told before", "odd", "not over"],
)  # fmt: skip
def test_a_row_that_was_told_how_long_to_wait_comes_first_after_that_once(
    wait_s: float | None, refusals: int, is_odd: bool, is_first: bool
) -> None:
    queue, fresh = a_queue(rows=2)
    told = failed(rows_of(1)[0], 5.0, queue)
    told.failure, told.refusals, told.is_odd = Failure(ErrorKind.HTTP_429, "", 429, wait_s), refusals, is_odd
    told.told_until_s = wait_s or 0.0
    assert queue.take_due(4.0) is fresh[0]
    queue.went_out(4.0)
    assert queue.take_due(6.0) is (told if is_first else fresh[1])


def test_before_the_last_rows_are_retried_a_url_that_was_served_is_requested_once() -> None:
    queue, _ = a_queue()
    queue.notice_file(SERVED_BEFORE, is_listed=True)
    rows = failing(queue)
    queue.compare_failed(6.0)
    queue.compare_failed(6.0)
    control = queue.take_due(6.0)
    assert isinstance(control, ControlRequest) and control.route is SERVED_BEFORE
    assert queue.take_due(6.1) is None, "they wait for its answer"
    assert queue.next_start_s(6.1) == NEVER
    queue.went_out(6.0)
    queue.finished(SERVED, 7.0)
    queue.control_served(6.0, HOST)
    assert [row.controls for row in rows] == [1, 1]
    queue.compare_failed(7.0)
    assert queue.take_due(7.0) in rows, "nothing failed since the last comparison"


@pytest.mark.parametrize(
    ("answer", "refunded"), [(ServerQueue.control_failed, True), (ServerQueue.control_told_nothing, False)]
)
def test_a_comparison_that_fails_is_the_servers_fault_and_one_that_tells_nothing_is_nobodys(
    answer: Callable[[ServerQueue], None], refunded: bool
) -> None:
    queue, _ = a_queue()
    queue.notice_file(SERVED_BEFORE, is_listed=True)
    rows = failing(queue)
    for row in rows:
        row.attempt = 2
    queue.compare_failed(6.0)
    queue.take_due(6.0)
    queue.went_out(6.0)
    queue.finished(SERVED, 7.0)
    answer(queue)
    assert [row.attempt for row in rows] == ([1, 1] if refunded else [2, 2])
    for row in rows:
        row.attempt = 2
    queue.control_failed()
    assert [row.attempt for row in rows] == [2, 2], "nothing was compared"
    assert queue.take_due(7.0) in rows


def in_trouble(queue: ServerQueue) -> None:
    queue.granted(replace(FREE, reason=WaitReason.BACKOFF), 5.0)


@pytest.mark.parametrize(
    "act",
    [
        lambda queue: queue.add(rows_of(1)[0]),
        lambda queue: queue.add_first(rows_of(1)[0]),
        lambda queue: queue.hold(rows_of(1)[0], FORBIDDEN, 5.0),
        lambda queue: setattr(queue, "in_flight", 1),
        in_trouble,
        lambda queue: queue.judge.notice_served(5.5, HOST),
    ],
    ids=["fresh", "first", "held", "in flight", "in trouble", "served since"],
)
def test_nothing_is_compared_while_others_tell(act: Callable[[ServerQueue], None]) -> None:
    queue, _ = a_queue()
    queue.notice_file(SERVED_BEFORE, is_listed=True)
    failing(queue)
    act(queue)
    queue.compare_failed(6.0)
    assert not any(isinstance(work, ControlRequest) for work in queue._first)


def test_one_row_or_rows_of_a_host_that_served_nothing_are_not_compared() -> None:
    for count, route in ((1, SERVED_BEFORE), (2, Route(RequestUrl.parse("http://b.example/1"), "a.example"))):
        queue, _ = a_queue()
        queue.notice_file(route, is_listed=True)
        failing(queue, count)
        queue.compare_failed(6.0)
        assert not queue._first


@pytest.mark.parametrize("is_odd", [False, True])
@pytest.mark.parametrize(("attempt", "is_compared"), [(2, False), (3, True)])
def test_the_last_row_is_compared_before_its_last_attempt(attempt: int, is_compared: bool, is_odd: bool) -> None:
    """Whether its server is well now nobody knows: what it served was before the row failed."""
    queue, _ = a_queue()
    queue.notice_file(SERVED_BEFORE, is_listed=True)
    (row,) = failing(queue, 1)
    row.attempt, row.is_odd, row.odd_sort = attempt, is_odd, "failed"
    queue.compare_failed(6.0)
    assert bool(queue._first) is is_compared
    if is_compared:
        queue.take_due(6.0)
        queue.control_failed()
        assert not row.is_odd, "its server is at fault"


def test_rows_that_failed_after_a_comparison_are_compared_again() -> None:
    queue, _ = a_queue()
    queue.notice_file(SERVED_BEFORE, is_listed=True)
    rows = failing(queue)
    queue.compare_failed(5.0)
    queue.take_due(5.0)
    queue.went_out(5.0)
    queue.finished(SERVED, 5.0)
    queue.control_told_nothing()
    queue.compare_failed(5.5)
    assert not queue._first
    queue.judge.judge(rows[1], BROKEN, 6.0)
    queue.compare_failed(6.5)
    assert len(queue._first) == 1


def test_a_url_that_was_served_to_another_task_is_one_to_compare_with_unless_there_is_one_of_our_own() -> None:
    learned = Route(RequestUrl.parse("http://a.example/learned.jpg"), "a.example")
    for own, expected in ((None, learned), (SERVED_BEFORE, SERVED_BEFORE)):
        queue, _ = a_queue()
        if own is not None:
            queue.notice_file(own, is_listed=True)
        queue.learn_control(learned)
        failing(queue)
        queue.compare_failed(6.0)
        control = queue.take_due(6.0)
        assert isinstance(control, ControlRequest) and control.route is expected


def test_controls_are_reported_once_and_only_listed_urls_of_new_hosts() -> None:
    queue, _ = a_queue()
    for url, is_listed in (
        ("http://a.example/1", True),
        ("http://a.example/2", True),
        ("http://b.example/target", False),
    ):
        queue.notice_file(Route(RequestUrl.parse(url), "a.example"), is_listed=is_listed)
    assert queue.last_request(0.0).controls == ("http://a.example/1",)
    assert queue.last_request(0.0).controls == ()


def test_controls_are_reported_again_to_a_budget_that_has_lost_them() -> None:
    queue, _ = a_queue()
    queue.granted(Lease(HOST, 0), 0.0)
    assert queue.last_request(0.0).controls == ()
    queue.notice_file(Route(RequestUrl.parse("http://a.example/1"), "a.example"), is_listed=True)
    for _ in range(2):
        assert queue.last_request(0.0).controls == ("http://a.example/1",)
        queue.granted(Lease(HOST, 0), 0.0)
    queue.last_request(0.0)
    queue.granted(Lease(HOST, 0, controls=("http://a.example/1",)), 0.0)
    assert queue.last_request(0.0).controls == ()


def test_held_rows_are_compared_once_and_then_tried_again() -> None:
    queue, _ = a_queue()
    queue.notice_file(SERVED_BEFORE, is_listed=True)
    held = [routed(row) for row in rows_of(2)]
    for row, at_s in zip(held, (3.0, 4.0), strict=True):
        queue.hold(row, FORBIDDEN, at_s)
    assert queue.settle_held(5.0) == []
    assert isinstance(queue.take_due(5.0), ControlRequest)
    queue.went_out(5.0)
    queue.finished(Outcome(ErrorKind.HTTP_4XX, 404), 6.0)
    queue.request(7.0)
    queue.granted(FREE, 7.0)
    assert queue.settle_held(7.0) == []
    assert [entry[::2] for entry in sorted(queue._deferred)] == [(7.0 + ALONE_403_DELAY_S, row) for row in held]
    assert [(row.failure, row.is_retry, row.attempt) for row in held] == [(FORBIDDEN, True, 2)] * 2


def test_a_short_patience_shortens_the_delay_of_rows_that_have_no_others_and_each_attempt_lengthens_it() -> None:
    queue = ServerQueue("a.example", "task", 20.0, 3)
    held = rows_of(2)
    held[1].attempt = 2
    for row in held:
        queue.hold(row, FORBIDDEN, 0.0)
    assert queue.settle_held(1.0) == []
    assert [entry[0] for entry in sorted(queue._deferred)] == [11.0, 21.0]


# -- the URL of a probe ----------------------------------------------------------------------------------------------


def test_a_budget_that_wants_to_know_how_what_was_served_fares_gets_that() -> None:
    queue, (fresh,) = a_queue(replace(PROBE, probe_url=ProbeUrl.SERVED), rows=1)
    routed(fresh)
    queue.notice_file(SERVED_BEFORE, is_listed=True)
    control = queue.take_due(0.0)
    assert isinstance(control, ControlRequest) and control.route is SERVED_BEFORE
    assert len(queue) == 1


def test_a_budget_that_wants_what_was_served_gets_a_row_where_there_is_none() -> None:
    queue, (fresh,) = a_queue(replace(PROBE, probe_url=ProbeUrl.SERVED), rows=1)
    assert queue.take_due(0.0) is routed(fresh)
    queue, (fresh,) = a_queue(replace(FREE, probe_url=ProbeUrl.SERVED), rows=1)
    queue.notice_file(SERVED_BEFORE, is_listed=True)
    assert queue.take_due(0.0) is fresh, "it is no probe"


@pytest.mark.parametrize(("url", "is_failed"), [(ProbeUrl.FAILED, True), (ProbeUrl.NEW, False)])
def test_a_budget_that_wants_what_failed_gets_that_before_fresh_rows(url: ProbeUrl, is_failed: bool) -> None:
    queue, (first, last) = a_queue(replace(PROBE, probe_url=url), rows=2)
    row = failed(rows_of(1)[0], 99.0, queue)
    assert queue.take_due(0.0) is (row if is_failed else last)
    assert row.is_probe is is_failed
    assert first in queue._fresh


def test_a_probe_leaves_a_row_alone_that_was_told_to_wait() -> None:
    """It was requested ten seconds before its own `Retry-After` was over."""
    queue, (_, last) = a_queue(replace(PROBE, probe_url=ProbeUrl.FAILED), rows=2)
    row = failed(rows_of(1)[0], 99.0, queue)
    row.failure = Failure(ErrorKind.HTTP_429, "", 429, 99.0)
    assert queue.take_due(0.0) is last


def test_nor_is_it_the_probe_if_it_is_the_last() -> None:
    queue, _ = a_queue(PROBE, rows=0)
    row = failed(rows_of(1)[0], 99.0, queue)
    row.failure = Failure(ErrorKind.HTTP_429, "", 429, 99.0)
    assert queue.take_due(98.0) is None
    assert queue.take_due(99.0) is row


# -- rows that tell --------------------------------------------------------------------------------------------------


def test_a_row_that_was_refused_twice_tells_again_only_after_others_were_served() -> None:
    queue, (first, second) = a_queue(rows=2)
    refused = failed(rows_of(1)[0], 0.0, queue)
    refused.refusals, refused.failed_at_s = 2, None
    queue.judge.has_delivered = True
    queue._telling_s = 1.0
    assert queue.take_due(2.0) is first
    queue.judge.notice_served(1.5, HOST)
    assert queue.take_due(2.0) is refused
    assert queue._telling_s == 2.0
    assert queue.take_due(2.0) is second


def test_a_row_that_was_refused_twice_tells_where_no_fresh_one_is_left() -> None:
    queue, _ = a_queue()
    refused = failed(rows_of(1)[0], 0.0, queue)
    refused.refusals, refused.failed_at_s = 2, None
    queue.judge.has_delivered = True
    queue._telling_s = 1.0
    queue._advance_telling(2.0)
    assert list(queue._first) == [refused]


def test_while_a_server_forbids_everything_no_row_tells() -> None:
    queue, (fresh,) = a_queue(replace(FREE, is_403_ban=True), rows=1)
    failed(rows_of(1)[0], 0.0, queue)
    queue.judge.has_delivered = True
    assert queue.take_due(1.0) is fresh


# -- the end of a task -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "lease", "attempt"),
    [
        ("", FREE, 2),
        ("fresh", FREE, 1),
        ("deferred", FREE, 1),
        ("first", FREE, 1),
        ("robots", FREE, 2),
        ("", replace(FREE, is_probe=True), 1),
    ],
    ids=["alone", "with a fresh row", "with a failed row", "with a hop", "with a robots.txt", "in trouble"],
)
def test_a_403_without_others_has_spent_an_attempt_when_the_task_ends(others: str, lease: Lease, attempt: int) -> None:
    queue, _ = a_queue(lease)
    (held, other) = rows_of(2)
    queue.hold(held, FORBIDDEN, 0.0)
    if others == "deferred":
        queue.add_deferred(other, 9.0)
    elif others:
        {"fresh": queue.add, "first": queue.add_first, "robots": queue.add_first}[others](
            robots() if others == "robots" else other  # type: ignore[arg-type] # which of them takes it
        )
    queue.give_back()
    assert held.attempt == attempt


@pytest.mark.parametrize(("is_odd", "attempt"), [(False, 1), (True, 2)])
def test_a_403_of_a_row_that_is_odd_has_spent_an_attempt_whatever_others_there_are(is_odd: bool, attempt: int) -> None:
    """At a request in twelve seconds, each slice of five asked for such a row first, and for nothing else."""
    queue, _ = a_queue(rows=1)
    (held,) = rows_of(1)
    held.is_odd = is_odd
    queue.hold(held, FORBIDDEN, 0.0)
    queue.give_back()
    assert held.attempt == attempt


def test_what_failed_in_a_task_is_judged_as_it_ends() -> None:
    queue, _ = a_queue()
    (row,) = failing(queue, 1, at_s=1.0)
    queue.add_deferred(robots(), 0.0)
    queue.judge.notice_served(2.0, HOST)
    queue.give_back()
    assert row.is_odd


def test_permits_that_a_server_took_back_are_returned_at_once_though_others_are_under_way() -> None:
    """Nothing waits here: the other tasks are to know that the server says stop, and that these permits are free."""
    queue, _ = a_queue(rows=2)
    queue.take_due(0.0)
    queue.take_due(0.0)
    queue.finished(THROTTLED, 0.1)
    request = queue.request(0.1)
    assert request is not None
    assert (request.wanted, request.in_flight, request.unused) == (0, 1, 98)
    assert queue.request(0.1) is None


def test_a_task_that_may_start_nothing_more_or_waits_for_permits_does_not_wake_for_its_rows() -> None:
    queue, _ = a_queue(rows=2)
    assert queue.next_wake_s(0.0) == 0.0
    queue.allow_starts(False)
    assert queue.next_wake_s(0.0) == NEVER
    queue.allow_starts(True)
    waiting, _ = a_queue(None, rows=2)
    assert waiting.request(0.0) is not None
    assert waiting.next_wake_s(0.0) == NEVER, "the answer wakes it"


def test_a_row_is_compared_once_also_at_the_moment_in_which_it_was_refused() -> None:
    queue, _ = a_queue()
    queue.notice_file(SERVED_BEFORE, is_listed=True)
    for row in rows_of(2):
        queue.hold(routed(row), FORBIDDEN, 5.0)
    for at_s in (5.0, 6.0):
        assert queue.settle_held(at_s) == []
        work = queue.take_due(at_s)
        assert isinstance(work, ControlRequest) is (at_s == 5.0)
        if work:
            queue.went_out(at_s)
            queue.finished(Outcome(ErrorKind.HTTP_4XX, 404), at_s)
            queue.request(at_s + 1.0)
            queue.granted(FREE, at_s + 1.0)


def test_connections_of_other_tasks_count_as_open_as_far_as_the_lease_says() -> None:
    queue, _ = a_queue(None, rows=1)
    assert queue.open_connections == 0
    queue, _ = a_queue(replace(FREE, connections_elsewhere=3), rows=1)
    queue.take_due(0.0)
    assert queue.open_connections == 4


def test_a_queue_with_something_to_report_is_not_idle() -> None:
    queue, _ = a_queue(rows=1)
    queue.take_due(0.0)
    queue.wake_at_s = NEVER
    assert not queue.is_idle, "a request is in flight"
    queue.finished(SERVED, 0.1)
    assert not queue.is_idle
    queue.wake_at_s = NEVER
    assert not queue.is_idle, "what came of it is not reported yet"
    assert queue.request(REPORT_INTERVAL_S) is not None
    assert not queue.is_idle, "the answer is on its way"
    queue.granted(FREE, REPORT_INTERVAL_S)
    queue.wake_at_s = NEVER
    assert queue.is_idle


def test_fresh_rows_are_taken_by_their_server_and_once() -> None:
    queue, rows = a_queue(rows=2)
    other = a_row("http://b.example/1.jpg")
    other.server = "b.example"
    queue.add(other)
    assert queue.take_fresh("b.example") == [other]
    assert queue.take_fresh("a.example") == rows
    assert queue.take_fresh("a.example") == []


def test_only_the_lease_that_was_on_its_way_when_the_server_said_stop_is_given_back() -> None:
    queue, _ = a_queue()
    queue.in_flight, queue.is_requesting = 1, True
    queue.finished(THROTTLED, 0.0)
    left = []
    for _ in range(2):
        queue._pacer.requested(0.0)
        queue.granted(FREE, 0.0)
        left.append(queue._pacer.left(0.0))
    assert left == [0, 100]
