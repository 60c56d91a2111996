"""When a row that a server refused can be compared with others that it served."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ray_downloader.worker.spacing import APART_S, REMEMBERED, SAME_PACE, SCALES, Spacing

FIRST = float("-inf")


def spacing_of(starts_s: list[float], served_s: list[float]) -> Spacing:
    spacing = Spacing()
    for at_s in starts_s:
        spacing.started(at_s)
        if at_s in served_s:
            spacing.served(at_s)
    return spacing


def test_before_any_request_everything_is_comparable() -> None:
    assert Spacing().comparable_at_s(FIRST) == FIRST


def test_nothing_is_compared_where_nothing_was_served_but_a_request_far_from_all_others() -> None:
    assert spacing_of([5.0], []).comparable_at_s(FIRST) == 5.0 + APART_S
    assert spacing_of([1.0, 5.0], [1.0]).comparable_at_s(3.0) == 5.0 + APART_S, "served before the row failed"


def test_after_a_pause_the_second_request_follows_more_closely_than_the_first() -> None:
    assert spacing_of([0.0, 20.0], [20.0]).comparable_at_s(10.0) == 20.0 + APART_S


def test_at_an_even_pace_a_row_is_soon_comparable() -> None:
    starts_s = [number * 0.1 for number in range(SCALES[-1] + 2)]
    at_s = spacing_of(starts_s, starts_s).comparable_at_s(FIRST)
    assert starts_s[-1] < at_s <= starts_s[-1] + 0.1


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
def test_a_request_that_a_bucket_of_any_depth_refuses_is_not_comparable(depth: int) -> None:
    """It is refused because so many went before it since the pause."""
    starts_s = [20.0 + number * 0.1 for number in range(depth)]
    assert spacing_of([0.0, *starts_s], starts_s).comparable_at_s(10.0) > starts_s[-1] + 0.1


def test_a_slightly_uneven_pace_is_the_same_pace() -> None:
    starts_s = [number * 0.1 for number in range(SCALES[-1] + 2)]
    spacing = spacing_of(starts_s, starts_s)
    assert spacing.comparable_at_s(FIRST) == pytest.approx(starts_s[-1] + 0.1 / SAME_PACE, abs=0.03)


def test_what_was_long_ago_is_forgotten() -> None:
    starts_s = [number * 0.01 for number in range(60)] + [1.0 + number for number in range(REMEMBERED + 1)]
    spacing = spacing_of(starts_s, starts_s)
    assert min(after - before for before, after in pairwise(starts_s)) < 0.02
    assert spacing.comparable_at_s(FIRST) > starts_s[-1] + 0.5


@pytest.mark.parametrize(("late_s", "is_known"), [(0.0, True), (0.9e-3, True), (1.1e-3, False)])
def test_a_request_is_known_by_when_it_was_sent_within_a_millisecond(late_s: float, is_known: bool) -> None:
    spacing = Spacing()
    spacing.started(5.0)
    spacing.served(5.0 - late_s)
    assert spacing.comparable_at_s(FIRST) == 5.0 + APART_S, "nothing went before it"
    assert bool(spacing._served) is is_known


def test_the_first_request_of_all_followed_none() -> None:
    spacing = spacing_of([5.0], [5.0])
    assert spacing._served[0] == (5.0, (float("inf"),) * len(SCALES))
    spacing.started(6.0)
    spacing.served(6.0)
    assert spacing._served[1] == (6.0, (1.0, *(float("inf"),) * (len(SCALES) - 1)))


def test_scales_are_the_next_eight_requests_and_two_longer_ones() -> None:
    assert SCALES == (1, 2, 3, 4, 5, 6, 7, 8, 13, 21)


def test_no_more_starts_are_kept_than_can_be_compared() -> None:
    """A task sends a million requests to one server."""
    spacing = spacing_of([float(number) for number in range(1000)], [])
    assert len(spacing._starts_s) == SCALES[-1] + REMEMBERED


def test_what_an_earlier_task_served_is_compared_as_well() -> None:
    earlier = spacing_of([0.0, 0.5, 1.5], [0.5, 1.5]).least_s(FIRST)
    assert earlier == (0.5, 1.5, *(float("inf"),) * (len(SCALES) - 2))
    now = spacing_of([20.0], [])
    assert now.least_s(FIRST) == ()
    assert now.comparable_at_s(FIRST, earlier) == 20.0 + 0.5 / SAME_PACE
    both = spacing_of([20.0, 20.3, 21.3], [20.3])
    assert both.least_s(FIRST, earlier) == pytest.approx((0.3, 1.5, *(float("inf"),) * (len(SCALES) - 2)))
    assert both.least_s(20.3, earlier) == earlier, "nothing was served after that"
