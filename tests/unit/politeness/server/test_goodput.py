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


def test_eight_successes_are_a_measurement() -> None:
    meter = meter_of([0.5 * number for number in range(8)])
    assert meter.recent_rps() == pytest.approx(2.0)
    assert meter.mean_rps(16.0) == pytest.approx(0.5)
    assert meter.successes == 8


def test_successes_at_one_moment_have_no_rate() -> None:
    meter = meter_of([3.0] * 9)
    assert meter.recent_rps() is None
    assert meter.mean_rps(0.0) is None
    assert meter.mean_rps(1e-3) == pytest.approx(9000.0)


def test_reports_that_come_out_of_order_do_not_move_the_time_back() -> None:
    meter = meter_of([10.0 + number / 10 for number in range(11)])
    meter.add(10.05)
    assert meter.recent_rps() == pytest.approx(11.0)
    meter.add(11.3)
    assert meter.recent_rps() == pytest.approx((9 - 1 + 1) / 1.0, rel=0.3)


def test_the_window_is_a_second_to_its_very_edge() -> None:
    meter = meter_of([number / 10 for number in range(31)])
    assert meter.recent_rps() == pytest.approx(10.0)
    assert len(meter._times_s) == 11, "those at 2.0 and at 3.0 are both in"


def test_a_restart_forgets_what_came_before() -> None:
    meter = meter_of([0.1 * number for number in range(100)])
    meter.restart(50.0)
    assert (meter.successes, meter.recent_rps(), meter.mean_rps(60.0)) == (0, None, None)
    for number in range(8):
        meter.add(50.0 + number)
    assert meter.recent_rps() == pytest.approx(1.0)
    assert meter.mean_rps(50.0) is None
    assert meter.mean_rps(58.0) == pytest.approx(1.0)


def test_what_arrives_within_a_pause_counts_and_is_no_measurement() -> None:
    meter = meter_of([])
    meter.restart(10.0, resumes_s=20.0)
    for number in range(20):
        meter.add(10.0 + number / 2)
    assert (meter.successes, meter.recent_rps()) == (20, None)
    assert meter.mean_rps(30.0) == pytest.approx(1.0), "a bucket refills in a pause as well"
    for number in range(8):
        meter.add(20.0 + number)
    assert meter.recent_rps() == pytest.approx(1.0)


def test_trouble_that_lasts_longer_than_foreseen_is_measured_anew_from_its_end() -> None:
    meter = meter_of([0.1 * number for number in range(100)])
    meter.resume(2.0, refill_s=2.0)
    assert meter.successes == 100, "it ends no later than was known"
    meter.resume(50.0, refill_s=5.0)
    assert (meter.successes, meter.recent_rps()) == (0, None)
    for number in range(20):
        meter.add(46.0 + number / 5)
    assert meter.recent_rps() is None, "before the end nothing is a measurement"
    assert meter.mean_rps(65.0) == pytest.approx(1.0), "of twenty seconds, five of which the bucket had to refill"


def test_trouble_that_ends_earlier_than_foreseen_is_measured_from_its_end() -> None:
    meter = GoodputMeter(0.0)
    meter.restart(498.0, resumes_s=500.0)
    meter.resume(30.0, refill_s=2.0)
    for number in range(20):
        meter.add(30.0 + number / 5)
    assert meter.recent_rps() == pytest.approx(5.0)
    assert meter.mean_rps(38.0) == pytest.approx(2.0)


def test_a_copy_goes_on_as_the_original_would() -> None:
    meter = meter_of([0.1 * number for number in range(100)])
    meter.restart(20.0, resumes_s=25.0)
    for number in range(30):
        meter.add(20.0 + number / 2)
    copy = meter.copy()
    assert [getattr(copy, name) for name in meter.__slots__] == [getattr(meter, name) for name in meter.__slots__]
    assert copy.recent_rps() == meter.recent_rps() == pytest.approx(2.0)
    copy.add(35.0)
    assert (copy.successes, meter.successes) == (31, 30)
    assert meter.recent_rps() == pytest.approx(2.0)
