"""Whose fault a failure is: one that stands alone is the row's, those that come together are the server's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.worker.evidence import (
    LOST_BY_CHANCE,
    MOST_REFUSALS,
    SERVERS_FAULT_ROWS,
    Fault,
    FaultJudge,
    blames_server,
    is_own_fault,
)
from ray_downloader.worker.request_policy import Failure
from ray_downloader.worker.row import OTHERS_SERVED_SINCE, Row, RowState
from tests.support.rows import HOST, rows_of

THROTTLED = Failure(ErrorKind.HTTP_429, "", 429)
BUSY = Failure(ErrorKind.HTTP_5XX, "", 503)
BROKEN = Failure(ErrorKind.HTTP_5XX, "", 500)
SLOW = Failure(ErrorKind.TIMEOUT, "")
RESET = Failure(ErrorKind.RESET, "")
GONE = Failure(ErrorKind.CONNECT, "")


@pytest.mark.parametrize(
    ("failure", "is_servers"),
    [
        (THROTTLED, True), (BUSY, True), (GONE, True), (Failure(ErrorKind.DNS, ""), True),
        (Failure(ErrorKind.RESET, ""), True), (Failure(ErrorKind.HTTP_403_BAN, "", 403), True),
        (BROKEN, False), (SLOW, False), (Failure(ErrorKind.TRUNCATED, "", 200), False),
        (Failure(ErrorKind.EMPTY, "", 200), False), (Failure(ErrorKind.HTTP_5XX, "", 502), False),
    ],
)  # fmt: skip
def test_refusals_and_lost_connections_speak_of_the_server(failure: Failure, is_servers: bool) -> None:
    assert blames_server(failure) is is_servers


def fail(judge: FaultJudge, row: Row, failure: Failure, others: int = 0) -> Fault:
    judge.review(row)
    fault = judge.judge(row, failure, 0.0, others)
    if fault is Fault.ROW:
        row.attempt += 1
    return fault


def test_a_lonely_refusal_is_charged_when_others_were_served_after_it() -> None:
    judge, (odd, *_) = FaultJudge(), rows_of(2)
    assert fail(judge, odd, THROTTLED) is Fault.SERVER
    assert odd.attempt == 1
    judge.notice_served(1.0, HOST)
    judge.review(odd)
    assert (odd.is_odd, odd.attempt) == (True, 2)
    assert judge.judge(odd, THROTTLED, 0.0) is Fault.ROW
    judge.review(odd)
    assert odd.attempt == 2, "charged once"


@pytest.mark.parametrize(("others_refused", "refusals"), [(0, 1), (1, 1), (5, 3), (10, 6), (100, 8)])
def test_the_more_rows_are_refused_the_more_refusals_make_a_row_odd(others_refused: int, refusals: int) -> None:
    """At a limit that refuses every other request, a row meets several refusals in a row by chance."""
    judge, (odd, *others) = FaultJudge(), rows_of(102)
    for number in range(10):
        judge.notice_served(float(number), HOST)
    for other in others[:others_refused]:
        judge.judge(other, THROTTLED, 20.0)
    needed = 0
    while not odd.is_odd:
        judge.judge(odd, THROTTLED, 30.0 + needed)
        needed += 1
        judge._note_sent(30.5 + needed, HOST)
        judge.review(odd)
    assert needed == refusals


def test_a_refusal_is_compared_with_what_its_own_host_of_a_group_serves() -> None:
    """Rows that a quota of one host refused were lost, as the others of its group were served."""
    judge, (refused, *_) = FaultJudge(), rows_of(1)
    fail(judge, refused, THROTTLED)
    judge.notice_served(1.0, "other.example")
    judge.review(refused)
    assert (refused.is_odd, refused.attempt) == (False, 1)
    judge.notice_served(2.0, HOST)
    judge.review(refused)
    assert (refused.is_odd, refused.attempt) == (True, 2)


def test_a_row_that_is_refused_very_often_is_compared_with_all_hosts_of_a_group() -> None:
    """Or those of a host that refuses everything would be requested as long as others are left."""
    judge, (refused, *_) = FaultJudge(), rows_of(1)
    for _ in range(MOST_REFUSALS):
        fail(judge, refused, THROTTLED)
    judge.notice_served(1.0, "other.example")
    judge.review(refused)
    assert refused.is_odd


def odd_row(judge: FaultJudge, failure: Failure) -> Row:
    """A row that was refused, others being served after that, and then refused for itself."""
    odd = rows_of(1)[0]
    odd.move(RowState.IN_FLIGHT)
    fail(judge, odd, failure)
    for _ in range(50):
        judge.notice_served(1.0, HOST)
    judge.review(odd)
    assert (odd.is_odd, odd.attempt) == (True, 2)
    return odd


def test_an_odd_row_that_is_refused_together_with_a_new_one_owes_nothing_for_that() -> None:
    judge, (_, other, late) = FaultJudge(), rows_of(3)
    odd = odd_row(judge, THROTTLED)
    assert judge.judge(odd, THROTTLED, 2.0) is Fault.ROW
    odd.attempt += 1
    odd.defer(THROTTLED, 3.0)
    judge.judge(other, THROTTLED, 2.5)
    assert (odd.is_odd, odd.attempt, odd.owes_attempt) == (False, 2, True)
    judge.notice_served(4.0, HOST)
    judge.review(odd)
    assert (odd.is_odd, odd.attempt) == (True, 3)
    odd.move(RowState.IN_FLIGHT)
    judge.judge(odd, THROTTLED, 5.0)
    odd.defer(THROTTLED, 6.0)
    judge.notice_served(6.0, HOST)
    judge.judge(late, THROTTLED, 7.0)
    assert (odd.is_odd, odd.attempt) == (True, 3), "another was served in between"


@pytest.mark.parametrize(("then_s", "fault"), [(1.0, Fault.SERVER), (50.0, Fault.ROW), (None, Fault.ROW)])
def test_an_odd_row_that_is_told_a_much_shorter_wait_has_met_the_end_of_a_window(
    then_s: float | None, fault: Fault
) -> None:
    judge = FaultJudge()
    told = replace(THROTTLED, retry_after_s=58.0)
    odd = odd_row(judge, told)
    odd.defer(told, 60.0)
    assert judge.judge(odd, replace(THROTTLED, retry_after_s=then_s), 60.0) is fault


def test_rows_that_get_their_attempts_back_do_not_count_as_retries() -> None:
    judge, failed = FaultJudge(), rows_of(SERVERS_FAULT_ROWS)
    for row in failed:
        row.is_retry = fail(judge, row, BROKEN) is Fault.ROW
    assert [(row.attempt, row.is_retry) for row in failed] == [(1, False)] * SERVERS_FAULT_ROWS


def test_an_answer_to_what_was_asked_before_a_failure_says_nothing_of_it() -> None:
    """A server that goes away still answers what it was asked for: its rows were taken for odd, and lost."""
    judge, (row, other) = FaultJudge(), rows_of(2)
    assert judge.judge(row, GONE, 10.0) is Fault.SERVER
    judge.notice_served(9.5, HOST)
    judge.review(row)
    assert (row.is_odd, row.attempt) == (False, 1)
    assert judge.judge(other, SLOW, 10.5) is Fault.ROW
    assert judge.judge(row, GONE, 11.0) is Fault.SERVER, "the two still count together"
    assert other.attempt == 1


def test_a_reset_is_the_servers_only_where_other_connections_were_open() -> None:
    """A file whose connection is always reset, last of its server, was asked for every second without end."""
    judge, (row, other) = FaultJudge(), rows_of(2)
    assert judge.judge(row, RESET, 0.0, others=1) is Fault.SERVER
    assert judge.judge(other, RESET, 0.0) is Fault.ROW


def test_resets_are_the_rows_own_once_the_only_connection_was_reset_too() -> None:
    """Of four connections that a server reset, three cost no attempt: 64 requests for six rows, 20 s each."""
    judge, (first, second, last, next_one, other) = FaultJudge(), rows_of(5)
    for row in (first, second):
        assert fail(judge, row, RESET, others=1) is Fault.SERVER
    assert fail(judge, last, RESET) is Fault.ROW
    assert [row.attempt for row in (first, second, last)] == [2, 2, 2]
    assert [(row.is_retry, row.owes_attempt) for row in (first, second)] == [(True, False)] * 2
    assert fail(judge, next_one, RESET, others=3) is Fault.ROW, "the number is not the reason"
    judge.notice_served(1.0, HOST)
    assert fail(judge, other, RESET, others=1) is Fault.SERVER, "others are answered"


@pytest.mark.parametrize("failure", [BROKEN, SLOW], ids=["answered", "silent"])
def test_an_answer_of_any_kind_shows_that_connections_work(failure: Failure) -> None:
    judge, (row, answered, other) = FaultJudge(), rows_of(3)
    judge.judge(row, RESET, 0.0)
    judge.judge(answered, failure, 1.0)
    is_answer = failure.http_status is not None
    assert judge.judge(other, RESET, 2.0, others=1) is (Fault.SERVER if is_answer else Fault.ROW)


def test_only_rows_that_were_reset_are_charged_for_the_last_reset() -> None:
    judge, (gone, last) = FaultJudge(), rows_of(2)
    judge.judge(gone, GONE, 0.0, others=1)
    judge.judge(last, RESET, 1.0)
    assert (gone.attempt, gone.owes_attempt) == (1, True)


def test_a_refusal_with_nobody_served_since_stays_the_servers() -> None:
    judge, (row,) = FaultJudge(), rows_of(1)
    for _ in range(5):
        assert fail(judge, row, BUSY) is Fault.SERVER
    assert (row.attempt, row.is_odd) == (1, False)


def test_rows_refused_together_owe_nothing_once_the_server_is_back() -> None:
    judge, rows = FaultJudge(), rows_of(3)
    for row in rows:
        assert fail(judge, row, THROTTLED) is Fault.SERVER
    judge.notice_served(1.0, HOST)
    for row in rows:
        judge.review(row)
    assert [(row.is_odd, row.attempt) for row in rows] == [(False, 1)] * 3


def test_a_broken_file_spends_its_own_attempts() -> None:
    judge, (row,) = FaultJudge(), rows_of(1)
    assert [fail(judge, row, BROKEN) for _ in range(3)] == [Fault.ROW] * 3
    assert row.attempt == 4


def test_many_broken_files_in_a_row_are_the_server_and_get_their_attempts_back() -> None:
    judge, rows = FaultJudge(), rows_of(SERVERS_FAULT_ROWS + 2)
    faults = [fail(judge, row, BROKEN) for row in rows]
    assert faults == [Fault.ROW] * (SERVERS_FAULT_ROWS - 1) + [Fault.SERVER] * 3
    assert [row.attempt for row in rows] == [1] * len(rows)


def test_ten_is_the_number_that_the_budget_slows_down_at() -> None:
    assert SERVERS_FAULT_ROWS == 10


def test_what_was_torn_when_the_network_went_is_refunded() -> None:
    judge, (torn, other) = FaultJudge(), rows_of(2)
    assert fail(judge, torn, SLOW) is Fault.ROW
    assert fail(judge, other, GONE) is Fault.SERVER
    assert (torn.attempt, other.attempt) == (1, 1)


def test_a_refund_is_given_once() -> None:
    judge, rows = FaultJudge(), rows_of(3)
    rows[0].attempt = 2
    fail(judge, rows[0], SLOW)
    fail(judge, rows[1], GONE)
    fail(judge, rows[2], GONE)
    assert rows[0].attempt == 2


def test_success_between_failures_starts_the_count_anew() -> None:
    judge, rows = FaultJudge(), rows_of(2 * SERVERS_FAULT_ROWS)
    for number, row in enumerate(rows):
        if number == SERVERS_FAULT_ROWS - 1:
            judge.notice_served(1.0, HOST)
        assert fail(judge, row, BROKEN) is (Fault.ROW if number < 2 * SERVERS_FAULT_ROWS - 2 else Fault.SERVER)


def test_files_that_were_broken_before_end_even_if_only_they_are_left() -> None:
    judge, rows = FaultJudge(), rows_of(20)
    for row in rows[:9]:
        fail(judge, row, BROKEN)
    judge.notice_served(1.0, HOST)
    assert [fail(judge, row, BROKEN) for row in rows[:9]] == [Fault.ROW] * 9
    assert all(row.is_odd for row in rows[:9])


def test_an_odd_row_that_probes_a_server_in_trouble_spends_nothing() -> None:
    judge, (odd,) = FaultJudge(), rows_of(1)
    odd.is_odd, odd.is_probe = True, True
    assert [fail(judge, odd, failure) for failure in (THROTTLED, BROKEN, SLOW)] == [Fault.SERVER] * 3
    odd.is_probe = False
    assert fail(judge, odd, THROTTLED) is Fault.ROW


@pytest.mark.parametrize("failure", [GONE, Failure(ErrorKind.DNS, "")])
def test_a_row_that_cannot_be_connected_while_others_are_served_is_odd(failure: Failure) -> None:
    """Its `https:` is dead, say, and their `http:` is not."""
    judge, (row,) = FaultJudge(), rows_of(1)
    assert fail(judge, row, failure) is Fault.SERVER
    judge.notice_served(1.0, HOST)
    judge.review(row)
    assert (row.is_odd, row.attempt) == (True, 2)
    assert fail(judge, row, failure) is Fault.ROW


def test_a_403_with_a_retry_after_is_the_servers_until_others_are_served_and_it_comes_again() -> None:
    judge, (row,) = FaultJudge(), rows_of(1)
    failure = Failure(ErrorKind.HTTP_403_BAN, "", 403)
    assert fail(judge, row, failure) is Fault.SERVER
    judge.notice_served(1.0, HOST)
    judge.review(row)
    assert (row.is_odd, row.attempt) == (True, 2)
    assert fail(judge, row, failure) is Fault.ROW


def test_many_empty_answers_in_a_row_are_still_their_rows() -> None:
    """The budget sees a server that answers, so it would never be given up: they were asked for without end."""
    judge, rows = FaultJudge(), rows_of(SERVERS_FAULT_ROWS + 3)
    assert [fail(judge, row, Failure(ErrorKind.EMPTY, "", 200)) for row in rows] == [Fault.ROW] * len(rows)


def test_a_row_that_fails_twice_while_a_url_that_was_served_before_still_is_is_odd() -> None:
    judge, rows = FaultJudge(), rows_of(2)
    for row in rows:
        assert judge.judge(row, GONE, 1.0) is Fault.SERVER
    judge.notice_control(rows, 2.0, HOST)
    assert [judge.would_be_odd(row) for row in rows] == [False, False], "the server may just have recovered"
    for row in rows:
        judge.judge(row, GONE, 3.0)
    judge.notice_control(rows, 4.0, HOST)
    for row in rows:
        judge.review(row)
        assert (row.is_odd, row.attempt) == (True, 2)


def test_the_only_row_that_failed_is_odd_once_a_url_that_was_served_before_is_served_again() -> None:
    judge, (row,) = FaultJudge(), rows_of(1)
    judge.judge(row, THROTTLED, 1.0)
    judge.notice_control([row], 0.5, HOST)
    assert not judge.would_be_odd(row), "that was asked before it failed"
    judge.notice_control([row], 2.0, HOST)
    assert judge.would_be_odd(row)


def test_a_row_that_is_odd_for_refusals_is_not_at_fault_for_not_being_reached() -> None:
    """As the network is down, or the server: its attempts are not for that."""
    judge, (odd, *_) = FaultJudge(), rows_of(2)
    fail(judge, odd, THROTTLED)
    odd.failure = THROTTLED
    judge.notice_served(1.0, HOST)
    judge.review(odd)
    assert is_own_fault(odd, THROTTLED)
    lost = Failure(ErrorKind.DNS, "")
    assert not is_own_fault(odd, lost)
    assert judge.judge(odd, lost, 2.0) is Fault.SERVER
    assert not odd.is_odd


def test_what_a_row_is_odd_for_does_not_change_with_what_it_fails_with_as_a_probe() -> None:
    judge, (odd, *_) = FaultJudge(), rows_of(2)
    empty, lost = Failure(ErrorKind.EMPTY, "", 200), Failure(ErrorKind.DNS, "")
    fail(judge, odd, empty)
    odd.failure = empty
    judge.notice_served(1.0, HOST)
    judge.review(odd)
    odd.is_probe = True
    assert judge.judge(odd, lost, 2.0) is Fault.SERVER
    odd.failure, odd.is_probe = lost, False
    assert judge.judge(odd, lost, 3.0) is Fault.SERVER


def test_what_was_served_counts_from_when_it_was_sent() -> None:
    judge = FaultJudge()
    judge.notice_served(2.0, HOST)
    judge.notice_served(1.0, HOST)
    assert [judge.has_served_since(at_s) for at_s in (1.9, 2.0, 2.1)] == [True, False, False]


@pytest.mark.parametrize(
    ("failure", "is_failing"),
    [
        (BROKEN, True), (SLOW, True), (RESET, True), (GONE, True), (THROTTLED, True),
        (Failure(ErrorKind.TOO_SLOW, ""), True), (Failure(ErrorKind.EMPTY, "", 200), False),
        (Failure(ErrorKind.TRUNCATED, "", 200), False),
    ],
)  # fmt: skip
def test_what_may_be_its_servers_is_failing_until_others_or_comparisons_have_shown(
    failure: Failure, is_failing: bool
) -> None:
    judge, (row,) = FaultJudge(), rows_of(1)
    assert not judge.is_failing(row), "it has not failed"
    row.failure = failure
    assert not judge.is_failing(row), "that is forgiven"
    judge.judge(row, failure, 1.0)
    assert judge.is_failing(row) is is_failing
    row.controls = 1
    assert judge.is_failing(row) is is_failing
    row.controls = 2
    assert not judge.is_failing(row)
    row.controls = 0
    judge.notice_served(2.0, HOST)
    assert not judge.is_failing(row)


def test_a_server_that_is_blamed_pays_for_what_failed_since_it_last_served() -> None:
    judge, (first, torn, refused) = FaultJudge(), rows_of(3)
    assert fail(judge, first, BROKEN) is Fault.ROW
    judge.notice_served(1.0, HOST)
    assert judge.judge(torn, BROKEN, 2.0) is Fault.ROW
    torn.attempt = 2
    judge.judge(refused, THROTTLED, 2.0)
    refused.owes_attempt = True
    judge.blame_server(())
    assert [row.attempt for row in (first, torn, refused)] == [2, 1, 1]
    assert not refused.owes_attempt
    judge.blame_server(())
    assert torn.attempt == 1, "once"
    later, other = rows_of(2)
    for row in (later, other):
        assert fail(judge, row, SLOW) is Fault.ROW
    judge.blame_server(())
    assert [(row.attempt, row.is_retry) for row in (later, other)] == [(1, False)] * 2, "each looked like its own fault"


def test_at_the_end_of_a_task_an_isolated_failure_stays_suspect_and_those_among_others_do_not() -> None:
    judge, (alone, *_) = FaultJudge(), rows_of(1)
    judge.judge(alone, THROTTLED, 1.0)
    judge.give_back(alone)
    assert (alone.owes_attempt, alone.failed_at_s) == (True, 1.0)
    judge, rows = FaultJudge(), rows_of(3)
    for row in rows:
        judge.judge(row, THROTTLED, 1.0)
    rows[1].controls = 2
    rows[2].owes_attempt = False
    for row in rows:
        judge.give_back(row)
    assert [(row.owes_attempt, row.failed_at_s) for row in rows] == [(False, None), (True, 1.0), (False, 1.0)]


def test_a_refused_row_is_yet_to_be_compared_in_the_next_task() -> None:
    judge, (refused, broken) = FaultJudge(), rows_of(2)
    judge.judge(refused, THROTTLED, 1.0)
    judge.judge(broken, BROKEN, 1.0)
    judge.notice_served(2.0, HOST)
    for row in (refused, broken):
        judge.judge(row, THROTTLED if row is refused else BROKEN, 1.0)
        judge.give_back(row)
    assert (refused.failed_at_s, refused.is_odd) == (OTHERS_SERVED_SINCE, False)
    assert (broken.failed_at_s, broken.is_odd) == (1.0, True)


def test_answers_of_long_ago_count_half() -> None:
    judge, rows = FaultJudge(), rows_of(150)
    for row in rows[:100]:
        judge.judge(row, THROTTLED, 1.0)
    for number in range(100):
        judge.notice_served(float(number), HOST)
    assert (judge._refused, judge._served) == (100, 100)
    judge.notice_served(101.0, HOST)
    assert (judge._refused, judge._served) == (50, 50)
    judge.notice_served(102.0, HOST, is_new=False)
    assert (judge._refused, judge._served) == (50, 50), "it had been refused before"


def test_a_row_is_comparable_at_once_unless_it_was_refused_a_few_times() -> None:
    judge, (row,) = FaultJudge(), rows_of(1)
    judge.spacing.started(1.0)
    at_once = float("-inf")
    for refusals, failed_at_s, expected in ((0, 1.0, at_once), (1, None, at_once), (8, 1.0, at_once), (7, 1.0, 11.0)):
        row.refusals, row.failed_at_s = refusals, failed_at_s
        assert judge.comparable_at_s(row) == expected


@pytest.mark.parametrize(
    ("first", "others"), [(THROTTLED, (BROKEN, GONE)), (BROKEN, (THROTTLED, GONE)), (GONE, (THROTTLED, BROKEN))]
)
def test_a_row_is_odd_for_one_sort_of_failure_only(first: Failure, others: tuple[Failure, ...]) -> None:
    judge, (odd,) = FaultJudge(), rows_of(1)
    judge.judge(odd, first, 0.0)
    odd.failure = first
    judge.notice_served(1.0, HOST)
    judge.review(odd)
    assert is_own_fault(odd, first) and is_own_fault(odd, None)
    assert [is_own_fault(odd, other) for other in others] == [False, False]


def test_a_url_that_is_served_again_ends_what_was_counted_before_it_was_asked() -> None:
    judge, (before, after) = FaultJudge(), rows_of(2)
    judge.judge(before, THROTTLED, 1.0)
    judge.judge(after, THROTTLED, 3.0)
    judge.notice_control([], 2.0, HOST)
    judge.blame_server(())
    assert [row.owes_attempt for row in (before, after)] == [True, False]


def test_an_odd_row_is_not_lost_to_refusals_that_chance_brings() -> None:
    """Where one request in five is refused at random, three of 300 good rows ended with an error."""
    judge, (odd, *others) = FaultJudge(), rows_of(30)
    for number in range(80):
        judge.notice_served(float(number), HOST)
    for other in others[:20]:
        judge.judge(other, THROTTLED, 100.0)
    odd.is_odd, odd.odd_sort, odd.attempt = True, "refused", 2
    for refusals in range(1, 8):
        assert judge.judge(odd, THROTTLED, 200.0) is Fault.ROW
        assert odd.refusals == refusals
        assert judge.is_lost_by_chance(odd) is ((19.5 / 105) ** refusals > LOST_BY_CHANCE)
    odd.refusals = MOST_REFUSALS
    assert not judge.is_lost_by_chance(odd)
    assert [FaultJudge().is_lost_by_chance(odd) for odd.refusals in range(6)] == [False, True, True, True, False, False]


def test_odd_rows_of_a_task_that_has_served_nothing_need_not_be_far_apart() -> None:
    judge, (odd,) = FaultJudge(), rows_of(1)
    odd.refusals, odd.failed_at_s = 1, 10.0
    judge.spacing.started(20.0)
    assert judge.comparable_at_s(odd) == 30.0
    odd.is_odd = True
    assert judge.comparable_at_s(odd) == float("-inf")
    judge.has_delivered = True
    assert judge.comparable_at_s(odd) == 30.0


def test_how_closely_others_were_served_goes_with_a_refused_row_into_the_next_task() -> None:
    """The last rows of a server, which it refuses for themselves, were retried ten seconds apart in each task."""
    judge, (row, other) = FaultJudge(), rows_of(2)
    for at_s in (10.0, 10.5, 11.0):
        judge.spacing.started(at_s)
    judge.judge(row, THROTTLED, 10.1)
    judge.notice_served(11.0, HOST)
    judge.give_back(row)
    assert (row.failed_at_s, row.served_spans_s[:3]) == (OTHERS_SERVED_SINCE, (0.5, 1.0, float("inf")))
    later = FaultJudge()
    later.spacing.started(1000.0)
    assert later.comparable_at_s(row) == 1000.4
    later.give_back(row)
    assert row.served_spans_s[:2] == (0.5, 1.0), "what this task did not see is kept"
    later.judge(row, THROTTLED, 1001.0)
    assert row.served_spans_s == (), "others have to be served after that"
    later.judge(other, THROTTLED, 1002.0)
    later.give_back(other)
    assert other.served_spans_s == ()
