from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.politeness.leases.pacer import ANSWER_TIMEOUT_S, HEARTBEAT_S, LeasePacer
from ray_downloader.politeness.messages import Lease, Verdict


def lease(permits: int = 10, **fields: object) -> Lease:
    values = {"first_in_s": 0.0, "interval_s": 0.1, "valid_s": 1.0, "connections": 4, "serial": 1} | fields
    return Lease("s", permits, **values)  # type: ignore[arg-type]


def pacer_with(first: Lease, now_s: float = 0.0) -> LeasePacer:
    pacer = LeasePacer()
    pacer.requested(now_s)
    pacer.granted(first, now_s)
    return pacer


def take_all(pacer: LeasePacer, now_s: float) -> list[float]:
    times_s = []
    while (due_s := pacer.next_due_s(now_s)) is not None:
        now_s = max(now_s, due_s)
        assert pacer.take(now_s)
        times_s.append(now_s)
    return times_s


def test_nothing_goes_out_without_a_lease() -> None:
    assert not LeasePacer().take(0.0)
    assert LeasePacer().next_due_s(0.0) is None
    assert LeasePacer().connections == 0


def test_permits_go_out_one_every_distance() -> None:
    assert take_all(pacer_with(lease(4)), 0.0) == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_a_burst_goes_out_at_once_and_then_the_distance_holds() -> None:
    assert take_all(pacer_with(lease(5, burst=3)), 0.0) == pytest.approx([0.0, 0.0, 0.0, 0.1, 0.2])


def test_the_first_permit_counts_from_the_answer_and_the_end_from_the_question() -> None:
    pacer = LeasePacer()
    pacer.requested(0.0)
    pacer.granted(lease(10, first_in_s=0.5, valid_s=1.0), 0.2)
    times_s = take_all(pacer, 0.2)
    assert times_s[0] == pytest.approx(0.7)
    assert times_s[-1] <= 1.0


def test_late_use_shifts_what_follows_and_the_end_stays() -> None:
    pacer = pacer_with(lease(10, valid_s=0.95))
    assert pacer.take(0.25)
    assert not pacer.take(0.3)
    assert take_all(pacer, 0.3) == pytest.approx([0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95])


def test_the_distance_is_kept_across_leases() -> None:
    pacer = pacer_with(lease(1))
    assert pacer.take(0.0)
    pacer.requested(0.01)
    pacer.granted(lease(1, serial=2), 0.02)
    assert not pacer.take(0.05)
    assert pacer.take(0.1)


def test_a_renewal_adds_to_what_is_left() -> None:
    pacer = pacer_with(lease(4, valid_s=0.35))
    pacer.take(0.0)
    pacer.requested(0.01)
    pacer.granted(lease(4, first_in_s=0.38, valid_s=0.8, serial=2), 0.02)
    assert pacer.left(0.02) == 3 + 4
    assert len(take_all(pacer, 0.02)) == 7


def test_a_lease_given_again_replaces_its_first_copy() -> None:
    pacer = pacer_with(lease(4, first_in_s=0.5))
    pacer.requested(0.1)
    pacer.granted(lease(4, first_in_s=0.4), 0.1)
    assert pacer.left(0.1) == 4


def test_only_permits_that_time_allows_are_left() -> None:
    pacer = pacer_with(lease(10, valid_s=0.95))
    assert pacer.left(0.0) == 10
    assert pacer.left(0.5) == 5
    assert pacer.left(2.0) == 0


def test_retries_need_a_permit_for_retries() -> None:
    pacer = pacer_with(lease(3, retries=1))
    assert pacer.take(0.0, is_retry=True)
    assert pacer.retries_left() == 0
    assert not pacer.take(0.2, is_retry=True)
    assert pacer.take(0.2)


def test_a_lease_is_renewed_when_a_third_is_left() -> None:
    pacer = pacer_with(lease(9, valid_s=0.9))
    for number in range(6):
        assert not pacer.needs_renewal(number * 0.1, waiting=50)
        assert pacer.take(number * 0.1)
    assert pacer.needs_renewal(0.5, waiting=50)
    assert not pacer.needs_renewal(0.5, waiting=3)


def test_a_question_is_not_asked_twice_unless_its_answer_is_lost() -> None:
    pacer = LeasePacer()
    assert pacer.needs_renewal(0.0, waiting=1)
    pacer.requested(0.0)
    assert not pacer.needs_renewal(1.0, waiting=1)
    assert pacer.needs_renewal(ANSWER_TIMEOUT_S, waiting=1)


def test_a_refusal_says_when_to_ask_again() -> None:
    pacer = pacer_with(lease(0, request_again_in_s=3.0))
    assert not pacer.needs_renewal(2.9, waiting=1)
    assert pacer.needs_renewal(3.0, waiting=1)


def test_a_refusal_leaves_a_running_lease_alone() -> None:
    pacer = pacer_with(lease(5))
    pacer.requested(0.1)
    pacer.granted(lease(0, request_again_in_s=3.0, connections=0), 0.1)
    assert pacer.connections == 4
    assert pacer.take(0.1)


@pytest.mark.parametrize("verdict", [Verdict.PAUSED, Verdict.DEAD, Verdict.OPTED_OUT, Verdict.BANNED])
def test_a_verdict_ends_what_runs(verdict: Verdict) -> None:
    pacer = pacer_with(lease(5))
    pacer.requested(0.1)
    pacer.granted(lease(0, request_again_in_s=3.0, verdict=verdict), 0.1)
    assert pacer.left(0.1) == 0


def test_requests_under_way_are_a_reason_to_speak_now_and_then() -> None:
    pacer = pacer_with(lease(0, request_again_in_s=1e6))
    assert not pacer.needs_renewal(HEARTBEAT_S - 0.1, waiting=0, in_flight=1)
    assert pacer.needs_renewal(HEARTBEAT_S, waiting=0, in_flight=1)
    assert not pacer.needs_renewal(HEARTBEAT_S, waiting=0)


def test_what_is_given_back_is_gone() -> None:
    pacer = pacer_with(lease(5))
    pacer.take(0.0)
    assert pacer.give_back() == 4
    assert not pacer.take(0.5)
    assert pacer.needs_renewal(0.5, waiting=1)


def test_without_a_rate_all_permits_go_out_at_once() -> None:
    assert take_all(pacer_with(lease(50, interval_s=0.0, burst=50)), 0.0) == [0.0] * 50


@given(
    burst=st.integers(1, 4),
    leases=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 9)), max_size=8),
    waits_s=st.lists(st.floats(0, 0.3), min_size=60, max_size=60),
)
def test_whatever_the_leases_no_window_sees_more_than_the_budget(
    burst: int, leases: list[tuple[float, float, int]], waits_s: list[float]
) -> None:
    pacer, now_s, used_s = LeasePacer(), 0.0, []
    waiting = list(enumerate(leases))
    for wait_s in waits_s:
        now_s += wait_s
        if waiting and not pacer.left(now_s):
            serial, (first_in_s, longer_s, permits) = waiting.pop()
            pacer.requested(now_s)
            pacer.granted(
                lease(permits, first_in_s=first_in_s, valid_s=first_in_s + longer_s, burst=burst, serial=serial), now_s
            )
        while pacer.take(now_s):
            used_s.append(now_s)
    for first, start_s in enumerate(used_s):
        for last, end_s in enumerate(used_s[first:], first):
            assert last - first + 1 <= (end_s - start_s) / 0.1 + burst + 1e-6


def test_a_new_pacer_asks_at_once_and_has_nothing() -> None:
    pacer = LeasePacer()
    assert pacer.lease is None
    assert (pacer.left(0.0), pacer.retries_left(), pacer.give_back()) == (0, 0, 0)
    assert pacer.needs_renewal(0.0, waiting=1)
    assert not pacer.needs_renewal(0.0, waiting=0)


def test_a_permit_is_due_a_nanosecond_early_and_not_more() -> None:
    pacer = pacer_with(lease(2))
    assert pacer.take(0.0)
    assert not pacer.take(0.1 - 1e-8)
    assert pacer.take(0.1 - 1e-10)


def test_the_end_of_a_lease_is_the_last_moment_it_can_be_used() -> None:
    pacer = pacer_with(lease(3, valid_s=0.5))
    assert pacer.next_due_s(0.5) == 0.0
    assert pacer.take(0.5)
    late = pacer_with(lease(3, valid_s=0.5))
    assert late.next_due_s(0.5 + 1e-6) is None
    assert late.left(0.6) == 0


def test_a_use_counts_from_when_it_went_out() -> None:
    pacer = pacer_with(lease(3, valid_s=9.0))
    assert pacer.take(0.0)
    pacer.went_out(0.5)
    assert pacer.next_due_s(0.5) == pytest.approx(0.6)
    assert pacer.take(0.6)
    pacer.went_out(0.5)
    assert pacer.next_due_s(0.6) == pytest.approx(0.7), "never earlier than it was"


def test_retries_are_counted_and_a_request_that_is_none_is_not() -> None:
    pacer = pacer_with(lease(9, retries=2, valid_s=9.0))
    assert pacer.retries_left() == 2
    assert pacer.take(0.0)
    assert pacer.retries_left() == 2
    assert pacer.take(0.1, is_retry=True)
    assert pacer.retries_left() == 1
    assert not pacer.take(0.1, is_retry=True), "not due yet: nothing is counted"
    assert pacer.retries_left() == 1
    pacer.requested(0.1)
    pacer.granted(lease(9, retries=5, serial=2), 0.1)
    assert pacer.retries_left() == 5
    pacer.give_back()
    assert pacer.retries_left() == 0


def test_permits_in_hand_are_void_after_a_pause_and_not_after_a_wait() -> None:
    pacer = pacer_with(lease(5, valid_s=9.0))
    pacer.requested(0.1)
    pacer.granted(lease(0, request_again_in_s=60.0, verdict=Verdict.PAUSED), 0.1)
    assert not pacer.take(0.2)
    assert not pacer.needs_renewal(60.0, waiting=5)
    assert pacer.needs_renewal(60.1, waiting=5)


def test_a_refusal_is_the_lease_once_nothing_is_left_of_the_one_before() -> None:
    pacer = pacer_with(lease(1))
    pacer.take(0.0)
    pacer.requested(0.1)
    pacer.granted(lease(0, request_again_in_s=3.0, connections=0), 0.1)
    assert pacer.connections == 0
    first = LeasePacer()
    first.requested(0.0)
    first.granted(lease(0, request_again_in_s=3.0, connections=2), 0.0)
    assert first.connections == 2


def test_a_granted_lease_takes_back_the_wait_of_a_refusal() -> None:
    pacer = pacer_with(lease(0, request_again_in_s=50.0))
    pacer.requested(1.0)
    pacer.granted(lease(1, serial=2), 1.0)
    assert pacer.take(1.0)
    assert pacer.needs_renewal(1.0, waiting=1)


def test_only_the_last_lease_can_be_given_again() -> None:
    pacer = pacer_with(lease(2, valid_s=5.0, serial=1))
    for serial in (2, 3):
        pacer.requested(0.1)
        pacer.granted(lease(2, first_in_s=1.0 * serial, valid_s=9.0, serial=serial), 0.1)
    pacer.requested(0.2)
    pacer.granted(lease(2, first_in_s=3.0, valid_s=9.0, serial=3), 0.2)
    assert pacer.left(0.2) == 6
    assert pacer.give_back() == 6


@pytest.mark.parametrize(
    ("used", "now_s", "is_renewed"),
    [(5, 0.5, False), (6, 0.55, True), (0, 0.55, False), (0, 0.61, True)],
)
def test_a_lease_is_renewed_when_a_third_of_permits_or_time_is_left(used: int, now_s: float, is_renewed: bool) -> None:
    pacer = pacer_with(lease(9, valid_s=0.9))
    for number in range(used):
        assert pacer.take(number * 0.1)
    assert pacer.needs_renewal(now_s, waiting=50) == is_renewed


def test_a_lease_that_has_not_begun_is_not_nearly_over() -> None:
    pacer = pacer_with(lease(2, first_in_s=0.8, valid_s=1.0))
    assert not pacer.needs_renewal(0.7, waiting=50)
    assert not pacer.needs_renewal(0.8, waiting=50)
    assert pacer.needs_renewal(0.95, waiting=50)


def test_who_has_enough_does_not_ask() -> None:
    pacer = pacer_with(lease(3, valid_s=9.0))
    pacer.take(0.0)
    pacer.take(0.1)
    assert pacer.left(0.1) == 1
    assert not pacer.needs_renewal(0.1, waiting=1)
    assert pacer.needs_renewal(0.1, waiting=2)


def test_a_burst_is_used_by_as_much_as_time_allows() -> None:
    pacer = pacer_with(lease(9, burst=3, valid_s=0.25))
    assert pacer.left(0.0) == 2 + 3
    assert pacer.left(0.25) == 3
    assert pacer_with(lease(9, interval_s=0.0, valid_s=1.0)).left(1.0) == 9
    assert pacer_with(lease(9, interval_s=0.0, valid_s=1.0)).left(1.1) == 0
    assert pacer_with(lease(9, valid_s=0.3)).left(0.0) == 4, "the one at its very end, too"


def test_an_answer_that_was_lost_is_waited_for_ten_seconds() -> None:
    pacer = LeasePacer()
    pacer.requested(5.0)
    assert not pacer.needs_renewal(14.9, waiting=9, in_flight=9)
    assert pacer.needs_renewal(15.0, waiting=0)
