from __future__ import annotations

import copy
import math

import pytest

from ray_downloader.politeness.server import limit_fit
from ray_downloader.politeness.server.limit_fit import KEPT, MIN_ANSWERED, LimitFit
from ray_downloader.politeness.server.limiters import Bounds
from tests.unit.politeness.virtual_run import Server, SlidingWindow, TokenBucket


def fit_of(server: Server, rates_rps: list[float], seconds: float = 3.0, pause_s: float = 1.0) -> LimitFit:
    """Ask at each rate until the first refusal (or for some seconds), then pause."""
    fit, now_s = LimitFit(), 0.0
    for rate_rps in rates_rps:
        until_s = now_s + seconds
        while now_s < until_s:
            now_s += 1 / rate_rps
            if server.answer(now_s).kind is None:
                fit.answered(now_s)
                continue
            fit.refused(now_s)
            now_s += pause_s
            break
    return fit


def test_without_a_refusal_or_with_few_answers_nothing_is_known() -> None:
    fit = LimitFit()
    for number in range(MIN_ANSWERED):
        assert fit.limit_rps(10.0, is_careful=False) is None
        fit.answered(number / 10)
    assert fit.limit_rps(10.0, is_careful=False) is None
    fit.refused(1.0)
    assert fit.limit_rps(10.0, is_careful=False) is not None


def test_a_window_is_found_at_its_first_refusal() -> None:
    fit = fit_of(SlidingWindow(30), [10.0, 50.0])
    assert fit.limit_rps(50.0, is_careful=False) == pytest.approx(30.0, rel=0.05)


@pytest.mark.parametrize("depth", [5.0, 30.0])
def test_a_bucket_is_found_at_its_second_refusal(depth: float) -> None:
    fit = fit_of(TokenBucket(30.0, depth), [20.0, 70.0, 45.0])
    assert fit.limit_rps(45.0, is_careful=False) == pytest.approx(30.0, rel=0.05)


def test_a_bucket_of_one_lies_between_the_distances_that_were_answered_and_refused() -> None:
    limit_rps = fit_of(TokenBucket(30.0, 1.0), [10.0, 20.0, 28.0, 33.0], seconds=1.0).limit_rps(33.0, is_careful=False)
    assert limit_rps is not None
    assert 27.9 < limit_rps < 30.0


def test_the_limit_is_at_most_what_was_asked_where_distances_do_not_matter() -> None:
    fit = fit_of(SlidingWindow(30), [10.0, 50.0])
    assert fit.limit_rps(25.0, is_careful=False) == 25.0


def test_care_takes_the_slowest_bucket_that_explains_all() -> None:
    fit = fit_of(TokenBucket(30.0, 10.0), [20.0, 60.0, 55.0])
    bold_rps, careful_rps = fit.limit_rps(60.0, is_careful=False), fit.limit_rps(60.0, is_careful=True)
    assert bold_rps is not None
    assert careful_rps is not None
    assert careful_rps <= bold_rps


def test_only_so_many_requests_are_remembered() -> None:
    fit = LimitFit()
    fit.refused(0.5)
    for number in range(KEPT + 100):
        fit.answered(float(number))
    assert fit.mean_rps() == pytest.approx(1.0, rel=0.01)
    assert fit.limit_rps(1.0, is_careful=False) is None


FITS: dict[str, tuple[Server, list[float]]] = {
    "window": (SlidingWindow(30), [10.0, 50.0, 36.0]),
    "shallow bucket": (TokenBucket(30.0, 2.0), [10.0, 25.0, 45.0, 38.0]),
    "bucket of one": (TokenBucket(30.0, 1.0), [10.0, 20.0, 28.0, 33.0, 31.0]),
    "deep bucket": (TokenBucket(30.0, 60.0), [20.0, 90.0, 45.0, 40.0]),
}


@pytest.mark.parametrize("is_careful", [False, True])
@pytest.mark.parametrize("name", FITS)
def test_the_fit_of_a_known_log_is_the_measured_one(name: str, is_careful: bool) -> None:
    server, rates_rps = FITS[name]
    limit_rps = fit_of(copy.deepcopy(server), rates_rps, seconds=4.0).limit_rps(90.0, is_careful=is_careful)
    assert limit_rps == pytest.approx(EXPECTED[name, is_careful], rel=1e-6)


EXPECTED = {
    ("window", False): 30,
    ("window", True): 30,
    ("shallow bucket", False): 28.7176627,
    ("shallow bucket", True): 28.7176627,
    ("bucket of one", False): 29.4618397,
    ("bucket of one", True): 29.4618397,
    ("deep bucket", False): 30.0096637,
    ("deep bucket", True): 30.0096637,
}


def test_the_mean_is_of_the_last_256_answers() -> None:
    fit = LimitFit()
    for number in range(300):
        fit.answered(float(number) if number < 200 else 200 + (number - 200) / 10)
    assert fit.mean_rps() == pytest.approx(256 / (209.9 - 44))
    one = LimitFit()
    one.answered(5.0)
    assert one.mean_rps() == pytest.approx(1000.0)


def test_answers_that_are_reported_late_are_put_in_their_place() -> None:
    fit = LimitFit()
    for at_s in (0.3, 0.1, 0.2, 0.5, 0.4, 0.6, 0.7, 0.8):
        fit.answered(at_s)
    fit.refused(0.85)
    assert fit.limit_rps(99.0, is_careful=False) == pytest.approx(12.6269068)


def test_a_refusal_that_had_nothing_to_do_with_the_rate_is_taken_back() -> None:
    fit = LimitFit()
    for number in range(20):
        fit.answered(number / 10)
    fit.refused(1.95)
    fit.was_not_refused(1.0)
    assert fit.limit_rps(50.0, is_careful=False) is not None
    fit.was_not_refused(1.95)
    assert fit.limit_rps(50.0, is_careful=False) is None


def test_of_the_phases_that_explain_all_the_middle_one_counts() -> None:
    def phases(*limits_rps: float) -> list[Bounds]:
        return [Bounds(30.0, 1.0), *(Bounds(it, it) for it in limits_rps)]

    assert limit_fit._calendar_rps(phases(9.0)) == pytest.approx(9.0)
    assert limit_fit._calendar_rps(phases(9.0, 7.0)) == pytest.approx(7.0)
    assert limit_fit._calendar_rps(phases(9.0, 7.0, 8.0)) == pytest.approx(8.0)
    assert limit_fit._calendar_rps(phases(9.0, 7.0, 8.0, 6.0)) == pytest.approx(7.0)
    assert limit_fit._calendar_rps(phases()) is None


def test_a_bucket_is_no_deeper_than_what_it_answered_before_it_refused_for_the_first_time() -> None:
    """Full at the start, it would have answered more."""
    fit = LimitFit()
    for number in range(60):
        fit.answered(number / 10)
        if number in (19, 39):
            fit.refused(number / 10 + 0.01)
    assert fit._most_depth == math.inf
    assert fit.limit_rps(50.0, is_careful=False) is not None
    assert fit._most_depth == 20
    fit.was_not_refused(1.91)
    fit.refused(5.95)
    fit.limit_rps(50.0, is_careful=False)
    assert fit._most_depth == 60, "what was taken for the first refusal was about its URL"
