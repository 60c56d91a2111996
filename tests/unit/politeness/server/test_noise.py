"""Refusals that depend on the rate, and refusals that come at random, are told apart by how close requests were."""

from __future__ import annotations

import random

import pytest

from ray_downloader.politeness.server import noise as noise_module
from ray_downloader.politeness.server.noise import (
    IS_NOISE,
    LEAST_COMPARED,
    LEAST_SCORE,
    MIN_ANSWERED,
    MOST_SCORE,
    RefusalNoise,
)
from ray_downloader.politeness.server.rate import AdaptiveRate
from tests.unit.politeness.virtual_run import SlidingWindow, TokenBucket


def at_random(share: float, rate_rps: float, requests: int) -> RefusalNoise:
    """A server that refuses that share of requests, at a constant rate."""
    rng, noise, answered_s = random.Random(3), RefusalNoise(), []
    for number in range(requests):
        at_s = number / rate_rps + rng.uniform(0.0, 0.2 / rate_rps)
        if rng.random() < share:
            noise.refused(at_s)
            noise.judge(answered_s)
        else:
            answered_s.append(at_s)
    return noise


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_refusals_at_random_are_noise(share: float) -> None:
    assert at_random(share, 10.0, int(20 / share)).is_noise


@pytest.mark.parametrize("server", [SlidingWindow(20), TokenBucket(20.0, 1.0), TokenBucket(20.0, 5.0)])
def test_refusals_of_a_limiter_are_not(server: SlidingWindow | TokenBucket) -> None:
    noise, answered_s, now_s, rate_rps = RefusalNoise(), [], 0.0, 10.0
    for _ in range(3000):
        now_s += 1 / rate_rps
        rate_rps *= 1.002
        if server.answer(now_s).kind is None:
            answered_s.append(now_s)
        else:
            noise.refused(now_s)
            noise.judge(answered_s)
            now_s, rate_rps = now_s + 1.0, rate_rps / 2
    assert noise.score == LEAST_SCORE
    assert noise.is_certainly_none


def test_a_limit_that_falls_is_soon_not_taken_for_noise() -> None:
    """Only what was answered since the third refusal before is compared: earlier answers came at a higher limit."""
    noise, now_s = RefusalNoise(), 100.0
    answered_s = [number / 80 for number in range(1000)]
    judged = []
    for _ in range(8):
        rate_rps, start_s = 20.0, now_s
        while now_s < start_s + 3.0:
            answered_s.append(now_s)
            rate_rps *= 1.005
            now_s += 1 / rate_rps
        noise.refused(now_s)
        judged.append(noise.judge(answered_s))
        now_s += 1.0
    assert judged[0] is False
    assert judged[4:] == [True] * 4


def test_where_every_second_request_is_refused_earlier_answers_are_compared() -> None:
    """Fewer than twelve answers came between three refusals, so it was never known whether they were noise."""
    noise = RefusalNoise()
    answered_s = [0.5 * number for number in range(LEAST_COMPARED)]
    for number in range(3):
        now_s = 100.0 + 10.0 * number
        noise.refused(now_s)
        assert noise.judge(answered_s) is False
        answered_s.append(now_s + 5.0)
    assert noise.is_noise
    answered_s = [number / 80 for number in range(100)] + [10.0 + number for number in range(LEAST_COMPARED)]
    for now_s in (25.1, 25.2, 25.3, 25.4):
        noise.refused(now_s)
    assert noise.judge(answered_s) is True, "no more than these: the limit may have fallen"


def test_up_to_the_third_refusal_all_earlier_answers_are_compared() -> None:
    answered_s = [number / 80 for number in range(100)] + [10.0 + number for number in range(LEAST_COMPARED)]
    noise = RefusalNoise()
    for sent_s, is_explained in ((25.1, False), (25.2, False), (25.3, False), (25.4, True)):
        noise.refused(sent_s)
        assert noise.judge(answered_s) is is_explained, sent_s


def test_few_answers_are_no_comparison() -> None:
    noise = RefusalNoise()
    assert noise.judge([]) is None
    noise.refused(100.0)
    assert noise.judge([float(number) for number in range(MIN_ANSWERED - 1)]) is None
    assert noise.judge([float(number) for number in range(MIN_ANSWERED)]) is False
    noise.was_not_refused(100.0)
    assert noise.judge([float(number) for number in range(MIN_ANSWERED)]) is None


def test_what_was_found_before_holds_until_much_speaks_against_it() -> None:
    assert RefusalNoise(1e9).score == MOST_SCORE
    assert RefusalNoise(-1e9).score == LEAST_SCORE
    noise = RefusalNoise(IS_NOISE)
    assert noise.is_noise
    answered_s = [number / 10 for number in range(50)]
    for number in range(20):
        assert noise.is_noise is (number < 7)
        noise.refused(answered_s[-1] + 0.01)
        assert noise.judge(answered_s)
        answered_s += [answered_s[-1] + 1.0 + step / 10 for step in range(20)]


def test_a_rate_comes_back_from_refusals_at_random_and_is_not_lost_to_them() -> None:
    """80/s fell to 1/s within six refusals, and stayed there."""
    rng, rate, now_s, requests = random.Random(1), AdaptiveRate(80.0, 80.0, 0.0), 0.0, 0
    while now_s < 120.0:
        now_s += 1 / rate.rate_rps
        requests += 1
        if rng.random() < 0.05:
            rate.on_incident(now_s, now_s + 1.0)
            now_s += 1.0
        else:
            rate.on_success(now_s + 0.01, 0.01)
    paused_s = 0.05 * requests
    assert requests / (120.0 - paused_s) > 0.5 * 80.0
    assert rate.noise.is_noise


def test_scales_reach_from_one_request_to_hundreds() -> None:
    assert noise_module._SCALES[:6] == (1, 2, 3, 4, 5, 6)
    assert noise_module._SCALES[-1] == 418
    assert (noise_module.UNEXPLAINED, noise_module.EXPLAINED) == (3.0, -0.5)
    assert (IS_NOISE, LEAST_SCORE, MOST_SCORE) == (3.0, -3.0, 6.0)
    assert LEAST_COMPARED == 16
