from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.politeness.gcra import MAX_SLACK_S, MIN_SLACK_S, LeaseSchedule, slack_s


def test_intervals_of_two_holders_do_not_touch() -> None:
    schedule = LeaseSchedule(0.0)
    first = schedule.reserve("a", 5, 0.1, 1, 0.0)
    second = schedule.reserve("b", 5, 0.1, 1, 0.0)
    assert second.start_s == pytest.approx(first.end_s + 0.1)


def test_a_holder_that_follows_itself_loses_no_slack() -> None:
    schedule = LeaseSchedule(0.0)
    schedule.reserve("a", 5, 0.1, 1, 0.0)
    assert schedule.reserve("a", 5, 0.1, 1, 0.0).start_s == pytest.approx(0.5)


def test_a_lease_ends_a_little_after_its_last_permit() -> None:
    interval = LeaseSchedule(0.0).reserve("a", 5, 0.1, 1, 0.0)
    assert interval.end_s == pytest.approx(0.4 + slack_s(5, 0.1))


def test_slack_is_bounded() -> None:
    assert slack_s(1, 0.001) == MIN_SLACK_S
    assert slack_s(1, 600.0) == MAX_SLACK_S


def test_released_time_goes_to_the_next_holder() -> None:
    schedule = LeaseSchedule(0.0)
    schedule.reserve("a", 20, 0.1, 1, 0.0)
    schedule.release("a", 0.5)
    assert schedule.reserve("b", 5, 0.1, 1, 0.5).start_s == pytest.approx(0.6)


def test_a_lease_that_has_not_begun_is_released_whole() -> None:
    schedule = LeaseSchedule(0.0)
    schedule.reserve("a", 5, 0.1, 1, 0.0)
    later = schedule.reserve("b", 5, 0.1, 1, 0.0)
    schedule.release("b", 0.2)
    assert schedule.free_s == later.start_s


def test_time_that_others_reserved_after_is_not_released() -> None:
    schedule = LeaseSchedule(0.0)
    schedule.reserve("a", 5, 0.1, 1, 0.0)
    schedule.reserve("b", 5, 0.1, 1, 0.0)
    free_s = schedule.free_s
    schedule.release("a", 0.1)
    assert schedule.free_s == free_s


def test_every_lease_has_its_own_number() -> None:
    schedule = LeaseSchedule(0.0)
    assert schedule.reserve("a", 1, 0.1, 1, 0.0).serial != schedule.reserve("a", 1, 0.1, 1, 0.0).serial


@given(
    burst=st.integers(1, 6),
    leases=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.floats(0, 1)), max_size=30),
)
def test_a_holder_as_late_as_can_be_leaves_the_next_one_a_whole_budget(
    burst: int, leases: list[tuple[str, int, float]]
) -> None:
    every_s, schedule, arrival_s, previous = 0.1, LeaseSchedule(0.0), 0.0, ""
    for holder, permits, wait_s in leases:
        interval = schedule.reserve(holder, permits, every_s, burst, arrival_s * wait_s)
        assert holder == previous or interval.start_s >= arrival_s - 1e-9
        for _ in range(permits):
            at_s = max(interval.end_s, arrival_s - (burst - 1) * every_s)
            if at_s <= interval.end_s:
                arrival_s = max(at_s, arrival_s) + every_s
        previous = holder
