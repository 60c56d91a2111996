from __future__ import annotations

import pytest

from ray_downloader.politeness.server.goodput import MIN_SUCCESSES, GoodputMeter


def meter_of(times_s: list[float]) -> GoodputMeter:
    meter = GoodputMeter(0.0)
    for at_s in times_s:
        meter.add(at_s)
    return meter


def test_few_successes_are_no_measurement() -> None:
    meter = meter_of([0.1 * number for number in range(MIN_SUCCESSES - 1)])
    assert meter.recent_rps() is None
    assert meter.mean_rps(10.0) is None


def test_the_recent_rate_is_that_of_the_last_second() -> None:
    slow = [float(number) for number in range(20)]
    fast = [20 + number / 50 for number in range(100)]
    assert meter_of(slow + fast).recent_rps() == pytest.approx(50.0)


def test_a_slow_server_is_measured_over_its_last_successes() -> None:
    assert meter_of([10.0 * number for number in range(30)]).recent_rps() == pytest.approx(0.1)


def test_a_very_fast_server_is_measured_over_what_is_kept() -> None:
    assert meter_of([number / 2000 for number in range(5000)]).recent_rps() == pytest.approx(2000.0)


def test_the_mean_counts_from_the_restart() -> None:
    meter = meter_of([0.1 * number for number in range(100)])
    meter.restart(20.0)
    for number in range(10):
        meter.add(21.0 + number)
    assert meter.mean_rps(40.0) == pytest.approx(0.5)
