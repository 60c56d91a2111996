"""Which row of a budget goes next, and what its queue requests and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.politeness.leases.pacer import HEARTBEAT_S
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, Verdict, WaitReason
from ray_downloader.politeness.server.runs import FORBIDDEN_RUN
from ray_downloader.worker.request_policy import Failure, Route
from ray_downloader.worker.robots_gate import RobotsRequest
from ray_downloader.worker.row import Row
from ray_downloader.worker.server_queue import (
    ALONE_403_DELAY_S,
    BAN_S,
    MOST_CONNECTING_S,
    MOST_RECALLED,
    NEVER,
    REPORT_INTERVAL_S,
    ControlRequest,
    ServerQueue,
    Work,
)
from tests.support.rows import a_row, rows_of

SERVED = Outcome(None, 200)
THROTTLED = Outcome(ErrorKind.HTTP_429, 429)
FORBIDDEN = Failure(ErrorKind.HTTP_4XX, "HTTP status 403", 403)
FREE = Lease("a.example", 100, valid_s=1e6, burst=100, connections=50, retries=100)


def a_queue(lease: Lease | None = FREE, rows: int = 0, now_s: float = 0.0) -> tuple[ServerQueue, list[Row]]:
    queue, fresh = ServerQueue("a.example", "task", 900.0), rows_of(rows)
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
    queue.judge.notice_served(1.0)
    assert queue.take_due(1.0) is first, "not due yet"
    assert queue.take_due(2.0) is refused
    failed(refused, 2.0, queue)
    queue.judge.notice_served(1.0)
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


def test_a_row_whose_server_served_others_since_it_failed_starts_as_odd() -> None:
    queue, _ = a_queue()
    row = failed(rows_of(1)[0], 0.0, queue)
    row.failed_at_s = 0.0
    queue.judge.notice_served(1.0)
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
    assert queue.release_refused(10.0) == []
    assert queue.release_refused(11.0) == [(held[0], FORBIDDEN)]
    assert queue.release_refused(11.0) == []
    assert len(queue) == 2


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
    assert queue.release_refused(2.0) == [(held, FORBIDDEN), (other, FORBIDDEN)]


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
    assert bool(queue.release_refused(after_s)) is is_own
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
    taken = queue.take_rows_of({"b.example"})
    assert len(taken) == 4
    assert {row.route.server for row in taken if row.route} == {"b.example"}
    assert queue.take_rows_of({"b.example", "c.example"}) == []
    assert len(queue.take_rows_of({"a.example"})) == 4
    assert queue.take_due(20.0) is request, "a request for all rows is nobody's row"
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
    assert queue.release_refused(45.0) == [(soon, FORBIDDEN)]
    assert (len(queue), long_ago.attempt) == (1, 2)
    assert queue.take_due(45.0) is long_ago
