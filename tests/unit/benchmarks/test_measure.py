"""Figures of a log that is known."""

from __future__ import annotations

import pytest

from benchmarks.politeness.behaviours import LIMIT_RPS
from benchmarks.politeness.measure import Figures, excess_over, most_in_a_second, settled_after_s
from benchmarks.politeness.running import Request


def steady(rate_rps: float, start_s: float, seconds: float) -> list[float]:
    return [start_s + number / rate_rps for number in range(int(rate_rps * seconds))]


def test_a_steady_client_needs_a_burst_of_one() -> None:
    assert excess_over(25.0, steady(25.0, 0.0, 10.0)) == pytest.approx(1.0)


def test_two_requests_at_once_are_a_burst_of_two() -> None:
    assert excess_over(25.0, sorted([*steady(25.0, 0.0, 1.0), 0.4])) == pytest.approx(2.0)


def test_a_second_holds_what_arrived_within_it() -> None:
    assert most_in_a_second([0.0, 0.5, 0.9, 1.6, 1.7]) == 3


def test_a_rate_settles_after_its_last_change() -> None:
    times_s = [*steady(10.0, 0.0, 20.0), *steady(30.0, 20.0, 60.0)]
    assert settled_after_s(times_s, 80.0) == 20.0


def test_figures_count_refusals_and_requests_against_images() -> None:
    log = [Request(at_s, "a.b.c.example", 200) for at_s in steady(LIMIT_RPS, 0.0, 10.0)]
    log.append(Request(10.0, "a.b.c.example", 429))
    figures = Figures.of(log, ceiling_rps=None)
    assert figures.share == pytest.approx(1.0)
    assert figures.refusals == pytest.approx(1000 / 300)
    assert figures.requests == pytest.approx(301 / 300)
    assert figures.peak is None
