from __future__ import annotations

import pytest

from ray_downloader.politeness.server.limiters import (
    PHASES,
    Bounds,
    bucket_bounds,
    calendar_bounds,
    distance_bounds,
    window_bounds,
)


def test_the_nearest_answered_pair_and_the_widest_refused_bound_a_distance() -> None:
    bounds = distance_bounds([0.0, 0.5, 0.75], [1.0 - 0.05])
    assert (bounds.low_rps, bounds.high_rps) == (pytest.approx(4.0), pytest.approx(5.0))


def test_a_window_is_bounded_by_the_fullest_second_and_by_the_one_that_was_refused() -> None:
    answered_s = [number * 0.1 for number in range(11)]
    bounds = window_bounds(answered_s, [1.05])
    assert (bounds.low_rps, bounds.high_rps) == (10.0, 10.0)


def test_a_calendar_second_shows_in_the_phase_that_has_it() -> None:
    answered_s = [0.95, 1.0, 1.1, 1.2, 1.3, 2.0, 2.3, 2.6, 2.9]
    bounds = calendar_bounds(answered_s, [1.4, 2.95])
    assert len(bounds) == PHASES
    assert (bounds[0].low_rps, bounds[0].high_rps) == (4.0, 4.0)


def test_only_the_bucket_of_the_right_depth_agrees_with_two_refusals() -> None:
    answered_s, refused_s, tokens, at_s, before_s = [], [], 5.0, 0.0, 0.0
    for rps in [20.0] * 40 + [0.5] + [15.0] * 60:
        at_s += 1 / rps
        tokens, before_s = min(5.0, tokens + (at_s - before_s) * 10.0), at_s
        if tokens >= 1:
            tokens -= 1
            answered_s.append(at_s)
        elif not refused_s or at_s > refused_s[-1] + 2.0:
            refused_s.append(at_s)
            at_s += 2.0
    agreeing = [it for it in bucket_bounds(answered_s, refused_s) if it.agrees]
    assert len(agreeing) == 2  # five requests, and half a second of ten
    assert [it.high_rps for it in agreeing] == pytest.approx([10.0, 10.0], rel=0.03)


def test_bounds_agree_within_their_tolerance_only() -> None:
    assert Bounds(10.0, 10.5).is_exact
    assert Bounds(10.2, 10.0).agrees
    assert not Bounds(10.2, 10.0).is_exact
    assert not Bounds(11.0, 10.0).agrees
