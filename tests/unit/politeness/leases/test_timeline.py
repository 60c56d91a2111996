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
    assert schedule.free_s == later.start_s


def test_time_that_others_reserved_after_is_not_released() -> None:
    schedule = LeaseTimeline(0.0)
    schedule.reserve("a", 5, 0.1, 1, 0.0)
    schedule.reserve("b", 5, 0.1, 1, 0.0)
    free_s = schedule.free_s
    schedule.release("a", 0.1)
    assert schedule.free_s == free_s


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
