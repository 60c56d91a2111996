from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_downloader.politeness.leases.timeline import (
    ARRIVAL_JITTER_S,
    MAX_SLACK_S,
    MIN_SLACK_S,
    LeaseTimeline,
    slack_s,
    spacing_s,
)
from tests.unit.politeness.virtual_run import widest_excess


def test_intervals_of_two_holders_do_not_touch() -> None:
    schedule = LeaseTimeline(0.0)
    first = schedule.reserve("a", 5, 0.1, 1, 0.0)
    second = schedule.reserve("b", 5, 0.1, 1, 0.0)
    assert second.start_s == pytest.approx(first.end_s + 0.1)


def test_a_holder_that_follows_itself_loses_no_slack() -> None:
    schedule = LeaseTimeline(0.0)
    schedule.reserve("a", 5, 0.1, 1, 0.0)
    assert schedule.reserve("a", 5, 0.1, 1, 0.0).start_s == pytest.approx(0.5)


def test_a_lease_ends_a_little_after_its_last_permit() -> None:
    interval = LeaseTimeline(0.0).reserve("a", 5, 0.1, 1, 0.0)
    assert interval.end_s == pytest.approx(0.4 + slack_s(5, 0.1))


def test_slack_is_bounded() -> None:
    assert slack_s(1, 0.001) == MIN_SLACK_S
    assert slack_s(1, 600.0) == MAX_SLACK_S


def test_released_time_goes_to_the_next_holder() -> None:
    schedule = LeaseTimeline(0.0)
    schedule.reserve("a", 20, 0.1, 1, 0.0)
    schedule.release("a", 0.5)
    assert schedule.reserve("b", 5, 0.1, 1, 0.5).start_s == pytest.approx(0.6)


def test_a_lease_that_has_not_begun_is_released_whole() -> None:
    schedule = LeaseTimeline(0.0)
    schedule.reserve("a", 5, 0.1, 1, 0.0)
    later = schedule.reserve("b", 5, 0.1, 1, 0.0)
    schedule.release("b", 0.2)
    assert schedule.earliest_s("another") == later.start_s


def test_time_that_others_reserved_after_is_not_released() -> None:
    schedule = LeaseTimeline(0.0)
    schedule.reserve("a", 5, 0.1, 1, 0.0)
    schedule.reserve("b", 5, 0.1, 1, 0.0)
    free_s = schedule.earliest_s("another")
    schedule.release("a", 0.1)
    assert schedule.earliest_s("another") == free_s


def test_every_lease_has_its_own_number() -> None:
    schedule = LeaseTimeline(0.0)
    assert schedule.reserve("a", 1, 0.1, 1, 0.0).serial != schedule.reserve("a", 1, 0.1, 1, 0.0).serial


def test_a_burst_pays_for_lateness_so_that_a_change_of_holder_costs_nothing() -> None:
    schedule = LeaseTimeline(0.0)
    first, second = schedule.reserve("a", 4, 0.1, 4, 0.0), schedule.reserve("b", 4, 0.1, 4, 0.0)
    assert second.start_s == pytest.approx(0.4)
    assert first.end_s > second.start_s


def test_requests_are_spaced_wider_than_the_ceiling_by_what_arrivals_vary() -> None:
    assert spacing_s(20.0) - 1 / 20.0 == pytest.approx(ARRIVAL_JITTER_S)
    assert spacing_s(0.2) == pytest.approx(5.0, rel=0.001)
    assert spacing_s(1000.0) * 1000.0 == pytest.approx(1.02)


def test_what_was_released_is_void() -> None:
    schedule = LeaseTimeline(0.0)
    schedule.reserve("a", 20, 0.1, 1, 0.0, is_alone=True)
    schedule.release("a", 0.5)
    assert schedule.expires_s == pytest.approx(0.6)


@settings(deadline=None)
@given(
    burst=st.integers(1, 6),
    leases=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=30),
    lateness=st.randoms(use_true_random=False),
)
def test_however_late_holders_are_no_window_sees_more_than_the_budget(
    burst: int, leases: list[tuple[str, int, bool]], lateness: Random
) -> None:
    interval_s, schedule, times_s, arrivals_s = 0.1, LeaseTimeline(0.0), [], dict.fromkeys("abc", -1.0)
    for holder, permits, is_alone in leases:
        interval = schedule.reserve(holder, permits, interval_s, burst, 0.0, is_alone=is_alone)
        late_s = lateness.choice([0.0, 0.1, 10.0])
        for _ in range(permits):
            due_s = max(interval.first_s, arrivals_s[holder] - (interval.burst - 1) * interval_s)
            at_s = max(due_s, min(interval.end_s, due_s + lateness.uniform(0.0, late_s)))
            if at_s <= interval.end_s:
                times_s.append(at_s)
                arrivals_s[holder] = max(at_s, arrivals_s[holder]) + interval_s
    assert widest_excess(times_s, 1 / interval_s) <= burst + 1e-6


def test_an_interval_is_from_its_first_permit_to_a_little_after_its_last() -> None:
    timeline = LeaseTimeline(10.0)
    interval = timeline.reserve("a", 5, 0.1, 1, 0.0)
    assert (interval.holder, interval.permits, interval.interval_s, interval.burst) == ("a", 5, 0.1, 1)
    assert (interval.start_s, interval.first_s) == (10.0, 10.0)
    assert interval.end_s == pytest.approx(10.4 + 0.025)
    assert timeline.earliest_s("another") == pytest.approx(10.5 + 0.025)
    assert timeline.expires_s == timeline.earliest_s("another")


def test_the_earliest_time_that_was_asked_for_is_kept() -> None:
    timeline = LeaseTimeline(10.0)
    assert timeline.reserve("a", 1, 0.1, 1, 12.0).start_s == 12.0
    assert timeline.earliest_s("a") == pytest.approx(12.1)
    assert timeline.earliest_s("b") == timeline.earliest_s("another")


@pytest.mark.parametrize(("permits", "first_s"), [(1, 0.0), (2, 0.1), (8, 0.1)])
def test_of_a_burst_of_four_two_go_out_at_once_and_the_rest_pays_for_lateness(permits: int, first_s: float) -> None:
    """Two at once: the later of them is in time, the earlier one late by one distance."""
    timeline = LeaseTimeline(0.0)
    interval = timeline.reserve("a", permits, 0.1, 4, 0.0)
    assert interval.burst == 2
    assert interval.first_s == pytest.approx(first_s)
    assert interval.end_s == pytest.approx((permits - 1) * 0.1 + 0.2)
    assert timeline.earliest_s("another") == pytest.approx(permits * 0.1), "the next holder waits for no lateness"


def test_lateness_that_the_burst_does_not_pay_costs_the_next_holder_time() -> None:
    timeline = LeaseTimeline(0.0)
    interval = timeline.reserve("a", 200, 0.1, 2, 0.0)
    assert interval.end_s == pytest.approx(19.9 + 0.5)
    assert timeline.earliest_s("another") == pytest.approx(20.0 + 0.5 - 0.1)


def test_slow_permits_pay_for_half_a_second_at_most() -> None:
    interval = LeaseTimeline(0.0).reserve("a", 1, 10.0, 4, 0.0)
    assert interval.end_s == pytest.approx(0.5)


def test_a_holder_that_is_alone_has_all_of_the_burst_and_time_to_use_it() -> None:
    timeline = LeaseTimeline(0.0)
    timeline.reserve("b", 1, 0.1, 1, 0.0)
    interval = timeline.reserve("a", 6, 0.1, 4, 5.0, is_alone=True)
    assert (interval.burst, interval.start_s, interval.first_s) == (4, 5.0, 5.0)
    assert interval.end_s == pytest.approx(5.0 + 0.2 + 0.3)
    assert timeline.earliest_s("another") == pytest.approx(interval.end_s + 0.4)
    assert timeline.expires_s == timeline.earliest_s("another")
    few = LeaseTimeline(0.0)
    few.reserve("b", 1, 0.1, 1, 0.0)
    assert few.reserve("a", 2, 0.1, 4, 5.0, is_alone=True).end_s == pytest.approx(5.3)


def test_one_that_was_among_others_first_waits_for_what_their_lateness_used() -> None:
    timeline = LeaseTimeline(0.0)
    timeline.reserve("b", 1, 0.1, 4, 0.0)
    first = timeline.reserve("a", 4, 0.1, 4, 5.0, is_alone=True)
    assert first.start_s == pytest.approx(5.0 + 0.3)
    second = timeline.reserve("a", 4, 0.1, 4, 5.0, is_alone=True)
    assert second.start_s == pytest.approx(first.start_s + 0.4), "once"


def test_nobody_is_alone_while_permits_of_others_can_be_used() -> None:
    timeline = LeaseTimeline(0.0)
    other = timeline.reserve("b", 5, 0.1, 4, 0.0)
    assert other.end_s == pytest.approx(0.6)
    assert timeline.reserve("a", 1, 0.1, 4, 0.99, is_alone=True).burst == 2
    timeline.release("a", 0.0)
    again = LeaseTimeline(0.0)
    again.reserve("b", 5, 0.1, 4, 0.0)
    assert again.reserve("a", 1, 0.1, 4, 1.01, is_alone=True).burst == 4


def test_what_a_holder_has_is_void_from_when_it_gave_it_back_and_the_rest_stays() -> None:
    timeline = LeaseTimeline(0.0)
    other = timeline.reserve("b", 5, 0.1, 1, 0.0)
    mine = timeline.reserve("a", 50, 0.1, 1, 0.0)
    timeline.release("a", 0.2)
    assert timeline.earliest_s("another") == mine.start_s, "it had not begun"
    assert timeline.expires_s == pytest.approx(max(other.end_s, mine.start_s))
    assert timeline.earliest_s("a") == timeline.earliest_s("another")


def test_a_lease_that_is_given_back_at_its_start_was_never_used() -> None:
    timeline = LeaseTimeline(0.0)
    interval = timeline.reserve("a", 5, 0.1, 1, 3.0)
    timeline.release("a", 3.0)
    assert timeline.earliest_s("another") == interval.start_s
    used = LeaseTimeline(0.0)
    used.reserve("a", 5, 0.1, 1, 3.0)
    used.release("a", 3.05)
    assert used.earliest_s("another") == pytest.approx(3.15)
    late = LeaseTimeline(0.0)
    free_s = late.reserve("a", 5, 0.1, 1, 3.0) and late.earliest_s("another")
    late.release("a", 9.0)
    assert late.earliest_s("another") == free_s, "what is over needs no more"


def test_serials_go_on_over_leases_with_and_without_a_rate() -> None:
    timeline = LeaseTimeline(0.0)
    serials = [timeline.next_serial(), timeline.reserve("a", 1, 0.1, 1, 0.0).serial, timeline.next_serial()]
    assert serials == [1, 2, 3]


@pytest.mark.parametrize(
    ("permits", "interval_s", "expected_s"), [(1, 0.1, 0.005), (2, 0.1, 0.01), (10, 0.1, 0.05), (200, 0.1, 0.5)]
)
def test_slack_is_a_twentieth_of_the_lease(permits: int, interval_s: float, expected_s: float) -> None:
    assert slack_s(permits, interval_s) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("ceiling_rps", "margin"), [(2.0, 0.005), (20.0, 0.05), (24.0, 0.06), (30.0, 0.05), (100.0, 0.02)]
)
def test_the_margin_is_what_arrivals_vary_and_less_where_that_keeps_nothing_apart(
    ceiling_rps: float, margin: float
) -> None:
    assert spacing_s(ceiling_rps) == pytest.approx((1 + margin) / ceiling_rps)
