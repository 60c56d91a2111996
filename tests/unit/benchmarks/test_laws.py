"""The laws of others do what is published about them."""

from __future__ import annotations

import pytest

from benchmarks.politeness.laws import AdaptiveTokenBucket, AssistedTokenBuckets, AutoThrottle, DistributedDownloader


def test_distributed_downloader_stays_in_its_window_however_many_errors_come() -> None:
    law = DistributedDownloader(rate_rps=10.0, multiplier=0.5)
    for _ in range(100):
        law.on_answer(429, 0.01)
    assert law.delay_s == 1 / 5
    for _ in range(1000):
        law.on_answer(200, 0.01)
    assert law.delay_s == 1 / 15


def test_distributed_downloader_adds_what_a_request_was_faster_than_its_delay() -> None:
    law = DistributedDownloader(rate_rps=10.0, multiplier=0.8)
    law.on_answer(200, 0.04)
    assert law.delay_s == pytest.approx(1 / (10.0 + 0.1 - 0.04))


def test_autothrottle_goes_halfway_down_and_all_the_way_up() -> None:
    law = AutoThrottle()
    law.on_answer(200, 1.0)
    assert law.delay_s == 3.0
    law.on_answer(200, 8.0)
    assert law.delay_s == 8.0


def test_autothrottle_is_not_made_faster_by_errors() -> None:
    law = AutoThrottle()
    law.on_answer(429, 0.01)
    assert law.delay_s == 5.0


def test_atb_multiplies_by_more_below_the_rate_that_was_refused_than_above() -> None:
    law = AdaptiveTokenBucket(10.0)
    law.on_answer(200, 0.01)
    assert law.delay_s == pytest.approx(1 / 12.0)
    law.on_answer(429, 0.01)
    assert law.delay_s == pytest.approx(1 / 6.0)
    law.on_answer(200, 0.01)
    assert law.delay_s == pytest.approx(1 / 9.0)
    law.on_answer(404, 0.01)
    assert law.delay_s == pytest.approx(1 / 9.0)


def test_aatb_is_one_state_for_all_nodes_of_a_server() -> None:
    make = AssistedTokenBuckets(10.0, 2)
    first, second, of_another_server = make(), make(), make()
    assert first is second
    assert of_another_server is not first
    assert first.delay_s == pytest.approx(2 / 10.0)
