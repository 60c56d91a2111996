"""The time left: which of budgets and throughput decides, and rates as they were measured, pauses and all."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from ray_downloader.schedule.eta import BudgetLoad, MeasuredRates, eta_s


def test_a_budget_takes_its_wait_and_its_rows() -> None:
    assert BudgetLoad("a", 100, 4.0, wait_s=5.0).eta_s == 30.0
    assert BudgetLoad("a", 0, 0.0, wait_s=5.0).eta_s == 5.0
    assert BudgetLoad("a", 100, math.inf).eta_s == 0.0


@pytest.mark.parametrize(
    ("loads", "throughput_rps", "seconds"),
    [
        ([], 10.0, 0.0),
        ([BudgetLoad("a", 100, 10.0), BudgetLoad("b", 30, 1.0)], 100.0, 30.0),
        ([BudgetLoad("a", 100, 10.0), BudgetLoad("b", 100, 10.0)], 5.0, 40.0),
        ([BudgetLoad("a", 100, 10.0), BudgetLoad("b", 50, 10.0, wait_s=60.0, is_busy=False)], 5.0, 65.0),
        ([BudgetLoad("a", 100, 10.0), BudgetLoad("b", 500, 100.0, is_busy=False)], 5.0, 20.0),
        ([BudgetLoad("a", 100, 10.0), BudgetLoad("b", 9, 1.0, wait_s=50.0, is_last=True)], 10.0, 60.0),
        (
            [
                BudgetLoad("a", 100, 10.0),
                BudgetLoad("b", 9, 1.0, wait_s=50.0, is_last=True),
                BudgetLoad("c", 9, 1.0, wait_s=20.0, is_last=True),
            ],
            10.0,
            60.0,
        ),
        ([BudgetLoad("a", 0, 1.0)], 0.0, 0.0),
    ],
    ids=["nothing", "slowest", "throughput", "pausing", "pausing rows", "given up", "given up together", "no rows"],
)
def test_the_time_left_is_the_larger_of_the_slowest_budgets_and_the_throughputs(
    loads: Iterable[BudgetLoad], throughput_rps: float, seconds: float
) -> None:
    assert eta_s(loads, throughput_rps) == pytest.approx(seconds)


class Run:
    """A run of one budget that is looked at every second."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.start_s = self.now_s = now_s
        self.rows = 0.0
        self.rates = MeasuredRates(now_s)

    def go(self, seconds: int, rate_rps: float, is_paused: bool = False) -> Run:
        for _ in range(seconds):
            self.now_s += 1.0
            self.rows += rate_rps
            rows = {"a": int(self.rows)} if self.rows else {}
            self.rates.note(rows, int(self.rows), ["a"] if is_paused else [], self.now_s)
        return self

    def rate(self, expected_rps: float = 2.0) -> float:
        return self.rates.of("a", expected_rps)


def test_what_was_not_measured_is_as_expected() -> None:
    assert MeasuredRates(0.0).of("a", 7.0) == 7.0
    assert MeasuredRates(0.0).of("a", math.inf) == math.inf
    assert Run().go(60, 2.0).rates.of("another", 7.0) == 7.0


def test_a_rate_that_is_as_expected_is_measured_so() -> None:
    run = Run()
    for seconds in (1, 1, 18, 40, 240):
        assert run.go(seconds, 2.0).rate() == pytest.approx(2.0, rel=0.2)
    assert run.rate() == pytest.approx(2.0)


def test_what_is_expected_counts_as_much_as_five_rows() -> None:
    run = Run().go(60, 2.0)
    rows, seconds = 2 * 22, 22  # of 60 s, a third and what the samples are apart
    assert run.rate(1.0) == pytest.approx((rows + 5) / (seconds + 5), rel=0.02)
    assert run.rate(math.inf) == pytest.approx((rows + 5) / seconds, rel=0.02)


def test_only_the_last_third_of_the_time_counts() -> None:
    run = Run().go(60, 2.0).go(60, 4.0)
    assert run.rate(4.0) == pytest.approx(4.0)
    young = Run().go(10, 2.0).go(16, 4.0)
    assert young.rate(4.0) == pytest.approx(4.0), "and no less than 15 seconds"
    assert Run().go(10, 2.0).go(6, 4.0).rate(4.0) < 3.8


def test_a_look_each_eighth_of_the_window_is_a_sample_and_the_oldest_is_as_old_as_the_window() -> None:
    rates, settled = MeasuredRates(0.0), 0
    for look in range(1, 18):
        settled += 30 if look <= 9 else 15
        rates.note({"a": settled}, settled, [], 1.875 * look)
    assert rates.of("a", 8.0) == pytest.approx(8.0), "8 * 15 rows in 8 * 1.875 s"


def test_a_budget_is_measured_from_when_it_began_between_two_looks() -> None:
    rates = MeasuredRates(0.0)
    rates.note({}, 0, [], 10.0)
    rates.note({"a": 10}, 10, [], 20.0)
    rates.note({"a": 30}, 30, [], 30.0)
    assert rates.of("a", 2.0) == pytest.approx(2.0)


def test_a_pause_is_no_part_of_a_rate() -> None:
    run = Run().go(10, 2.0).go(10, 0.0, is_paused=True).go(21, 2.0)
    assert run.rate() == pytest.approx(2.0)
    assert not run.rates.is_often_paused("a")
    assert Run().go(10, 2.0).go(10, 0.0).go(10, 2.0).rate() < 1.6


def test_a_pause_is_half_expected_again_until_it_was_quiet_for_twice_as_long_as_before() -> None:
    """A server with a limit by the minute pauses us once a minute; one in trouble for a moment never again."""
    run = Run().go(10, 2.0).go(8, 0.0, is_paused=True).go(10, 2.0)
    assert run.rate() == pytest.approx(2.0 / (1 + 0.5 / 20 * 8))
    run.go(10, 2.0)
    assert run.rate() == pytest.approx(2.0 / (1 + 0.5 / 30 * 8))
    run.go(1, 2.0)
    assert run.rate() == pytest.approx(2.0)


def test_the_second_pause_of_two_is_expected_again() -> None:
    run = Run().go(10, 2.0).go(8, 0.0, is_paused=True).go(10, 2.0).go(4, 0.0, is_paused=True).go(5, 2.0)
    assert run.rate() == pytest.approx(2.0 / (1 + 1.5 / 25 * 6))


def test_a_budget_that_is_paused_again_and_again_has_a_rate_with_its_pauses() -> None:
    run = Run()
    for number in range(1, 7):
        run.go(9, 2.0).go(1, 0.0, is_paused=True)
        assert run.rates.is_often_paused("a") is (number >= 3)
    assert run.rate(99.0) == pytest.approx(1.8)
    run.go(20, 2.0)
    assert run.rates.is_often_paused("a"), "as long as twice the usual time between its pauses"
    run.go(1, 2.0)
    assert not run.rates.is_often_paused("a")


def test_its_last_four_pauses_count() -> None:
    run = Run()
    for seconds in (9, 9, 9, 19, 19, 19):
        run.go(seconds, 2.0).go(1, 0.0, is_paused=True)
    assert run.rate(99.0) == pytest.approx(1.9)


def test_pauses_with_hardly_a_row_between_them_are_one() -> None:
    few, enough = Run(), Run()
    for _ in range(3):
        few.go(4, 1.0).go(1, 0.0, is_paused=True)
        enough.go(5, 1.0).go(1, 0.0, is_paused=True)
    assert not few.rates.is_often_paused("a")
    assert enough.rates.is_often_paused("a")


def test_the_throughput_is_the_best_so_far() -> None:
    run = Run()
    assert run.rates.throughput_rps is None
    run.go(10, 0.0)
    assert run.rates.throughput_rps is None
    run.go(30, 10.0)
    best_rps = run.rates.throughput_rps
    assert best_rps == pytest.approx(10.0)
    assert run.go(60, 1.0).rates.throughput_rps == best_rps


def test_two_looks_at_one_moment_measure_nothing() -> None:
    rates = MeasuredRates(5.0)
    rates.note({"a": 3}, 3, [], 5.0)
    assert rates.throughput_rps is None
    assert rates.of("a", 2.0) == 2.0
