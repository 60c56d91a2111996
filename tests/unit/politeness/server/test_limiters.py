from __future__ import annotations

from collections.abc import Iterable

import pytest

from ray_downloader.politeness.server.limiters import (
    DEPTHS,
    PHASES,
    Bounds,
    bucket_bounds,
    calendar_bounds,
    distance_bounds,
    window_bounds,
)


def bucket_log(
    rps: float, depth: float, gaps_s: Iterable[float], pause_s: float, quiet_s: float
) -> tuple[list[float], list[float]]:
    """What a bucket answers of requests that come after such gaps, and what it refuses first.

    Args:
        pause_s: How long nothing comes after a refusal.
        quiet_s: A refusal that comes sooner after another is not noted.
    """
    answered_s: list[float] = []
    refused_s: list[float] = []
    tokens, at_s, before_s = depth, 100.0, 100.0
    for gap_s in gaps_s:
        at_s += gap_s
        tokens, before_s = min(depth, tokens + (at_s - before_s) * rps), at_s
        if tokens >= 1:
            tokens -= 1
            answered_s.append(at_s)
        elif not refused_s or at_s > refused_s[-1] + quiet_s:
            refused_s.append(at_s)
            at_s += pause_s
    return answered_s, refused_s


def test_the_nearest_answered_pair_and_the_widest_refused_bound_a_distance() -> None:
    bounds = distance_bounds([0.0, 0.5, 0.75], [1.0 - 0.05])
    assert (bounds.low_rps, bounds.high_rps) == (pytest.approx(4.0), pytest.approx(5.0))


def test_requests_at_one_moment_bound_a_distance_by_a_number() -> None:
    bounds = distance_bounds([0.0, 1.0, 1.0], [1.0 + 1e-9])
    assert (bounds.low_rps, bounds.high_rps) == (pytest.approx(1e6), pytest.approx(1e6))


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
    gaps_s = [1 / rps for rps in [20.0] * 40 + [0.5] + [15.0] * 60]
    answered_s, refused_s = bucket_log(10.0, 5.0, gaps_s, pause_s=2.0, quiet_s=2.0)
    agreeing = [it for it in bucket_bounds(answered_s, refused_s) if it.agrees]
    assert len(agreeing) == 2  # five requests, and half a second of ten
    assert [it.high_rps for it in agreeing] == pytest.approx([10.0, 10.0], rel=0.03)


def test_bounds_agree_within_their_tolerance_only() -> None:
    assert Bounds(10.0, 10.5).is_exact
    assert Bounds(10.0, 10.0).is_exact
    assert Bounds(10.2, 10.0).agrees
    assert not Bounds(10.2, 10.0).is_exact
    assert not Bounds(11.0, 10.0).agrees


def a_log(rps: float, depth: float) -> tuple[list[float], list[float]]:
    """Requests that come unevenly to a bucket: what it answered, and what it refused first."""
    gaps_s = [(0.6 + 0.2 * (number % 5)) / (1.5 * rps) for number in range(400)]
    return bucket_log(rps, depth, gaps_s, pause_s=1.5, quiet_s=1.0)


LOGS = [(10.0, 4.0), (3.0, 1.0), (40.0, 60.0)]


@pytest.mark.parametrize(
    ("log", "low_rps", "high_rps"), [(LOGS[0], 25, 15), (LOGS[1], 0.552147239, 3.21428571), (LOGS[2], 100, 60)]
)
def test_distances_of_a_known_log(log: tuple[float, float], low_rps: float, high_rps: float) -> None:
    bounds = distance_bounds(*a_log(*log))
    assert (bounds.low_rps, bounds.high_rps) == (pytest.approx(low_rps), pytest.approx(high_rps))


@pytest.mark.parametrize(
    ("log", "low_rps", "high_rps", "tolerance"),
    [(LOGS[0], 10, 9, 1.11111111), (LOGS[1], 1, 1, 2), (LOGS[2], 61, 60, 1.01666667)],
)
def test_seconds_of_a_known_log(log: tuple[float, float], low_rps: float, high_rps: float, tolerance: float) -> None:
    bounds = window_bounds(*a_log(*log))
    assert (bounds.low_rps, bounds.high_rps) == (low_rps, high_rps)
    assert bounds.tolerance == pytest.approx(tolerance)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            LOGS[0],
            [
                (10, 1),
                (10, 1),
                (10, 1),
                (10, 1),
                (10, 1),
                (10, 1),
                (10, 1),
                (9, 1),
                (9, 1),
                (9, 1),
                (9, 1),
                (9, 1),
                (9, 1),
                (9, 1),
                (10, 1),
                (10, 1),
                (10, 1),
                (10, 1),
                (10, 1),
                (10, 1),
            ],
        ),
        (
            LOGS[2],
            [
                (60, 25),
                (60, 1),
                (60, 3),
                (60, 6),
                (60, 9),
                (60, 12),
                (60, 15),
                (60, 18),
                (60, 21),
                (60, 24),
                (60, 27),
                (60, 30),
                (60, 1),
                (60, 4),
                (60, 7),
                (60, 10),
                (60, 13),
                (60, 16),
                (60, 19),
                (60, 22),
            ],
        ),
    ],
)
def test_calendar_seconds_of_a_known_log(log: tuple[float, float], expected: list[tuple[float, float]]) -> None:
    assert [(it.low_rps, it.high_rps) for it in calendar_bounds(*a_log(*log))] == expected


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            LOGS[0],
            [
                (13.8132512, 13.4807118),
                (8.18011793, 8.34793009),
                (4.11783855, 1.49786011),
                (9.01761954, 9.09116633),
                (6.18093361, 6.25670417),
                (4.16831814, 4.11783855),
                (4.01870595, 1.94248424),
                (3.79657831, 1.03085427),
            ],
        ),
        (
            LOGS[1],
            [
                (0.488238977, 0.129376164),
                (0.488238977, 0.129376164),
                (0.488238977, 0.129376164),
                (0.496235508, 2.46835518),
                (0.496235508, 1.52233343),
                (0.496235508, 0.865635308),
                (0.488238977, 0.38577074),
                (0.488238977, 0.196576038),
            ],
        ),
        (
            LOGS[2],
            [
                (58.3818531, 56.2863707),
                (58.3818531, 56.2863707),
                (56.9763717, 56.2863707),
                (51.4752659, 51.6847532),
                (45.0185629, 45.0185629),
                (37.6515042, 36.0064254),
                (28.5654252, 22.3877184),
                (20.3084834, 13.7514381),
            ],
        ),
    ],
)
def test_buckets_of_a_known_log(log: tuple[float, float], expected: list[tuple[float, float]]) -> None:
    """Depths of 2, 5 and 10 requests, then of 0.5, 1, 2, 5 and 10 seconds."""
    found = [(it.low_rps, it.high_rps) for it in bucket_bounds(*a_log(*log))]
    assert found == [(pytest.approx(low, rel=1e-6), pytest.approx(high, rel=1e-6)) for low, high in expected]


def test_a_bucket_with_just_one_token_would_have_answered() -> None:
    """One of half a second has room for one below two requests a second; it is full again after a second."""
    bounds = bucket_bounds([0.0, 1.0, 2.0], [3.0])
    half_a_second = bounds[len(DEPTHS)]
    assert half_a_second.high_rps == pytest.approx(1.0, rel=0.01)


def test_what_came_first_or_at_the_same_moment_is_infinitely_far_or_near() -> None:
    assert distance_bounds([1.0, 1.0], [0.5]).low_rps == pytest.approx(1e6)
    assert distance_bounds([1.0, 2.0], [1.0]).high_rps == 0.0
    assert window_bounds([0.0, 1.0, 1.5], [0.0]).high_rps == 1.0, "at least one a second"
    assert window_bounds([0.0, 1.0, 1.5], [2.0]).high_rps == 1.0, "a second ago is not within the second"


def test_buckets_that_are_too_deep_for_the_first_refusal_are_left_out() -> None:
    answered_s = [number / 20.0 for number in range(200)]
    all_kinds = bucket_bounds(answered_s, [10.02])
    shallow = bucket_bounds(answered_s, [10.02], most_depth=10)
    assert all(it in all_kinds for it in shallow)
    assert 3 <= len(shallow) < len(all_kinds)
