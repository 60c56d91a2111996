from __future__ import annotations

import pytest

from ray_downloader.politeness.server.latency import REMEMBERED, WINDOW, LatencySign, Load


def feed(sign: LatencySign, ttfb_s: float, windows: int = 1) -> Load:
    for _ in range(windows * WINDOW):
        sign.add(ttfb_s)
    return sign.load


def test_only_whole_windows_are_judged() -> None:
    sign = LatencySign()
    assert [sign.add(0.1) for _ in range(WINDOW)] == [False] * (WINDOW - 1) + [True]


@pytest.mark.parametrize(
    ("ttfb_s", "load"), [(0.6, Load.NORMAL), (0.9, Load.RISING), (1.7, Load.HIGH), (0.1, Load.NORMAL)]
)
def test_a_median_is_held_against_the_lowest(ttfb_s: float, load: Load) -> None:
    sign = LatencySign()
    feed(sign, 0.4)
    assert feed(sign, ttfb_s) is load


def test_noise_of_a_fast_server_is_no_sign() -> None:
    sign = LatencySign()
    feed(sign, 0.002)
    assert feed(sign, 0.1) is Load.NORMAL


def test_some_slow_answers_do_not_move_the_median() -> None:
    sign = LatencySign()
    feed(sign, 0.1)
    for number in range(WINDOW):
        sign.add(20.0 if number % 3 == 0 else 0.1)
    assert sign.load is Load.NORMAL


def test_a_server_that_became_slower_for_good_is_accepted() -> None:
    sign = LatencySign()
    feed(sign, 0.1)
    assert feed(sign, 5.0) is Load.HIGH
    assert feed(sign, 5.0, REMEMBERED) is Load.NORMAL


@pytest.mark.parametrize(
    ("unloaded_s", "ttfb_s", "load"),
    [
        (1.0, 2.0, Load.NORMAL), (1.0, 2.01, Load.RISING), (1.0, 4.0, Load.RISING), (1.0, 4.01, Load.HIGH),
        (0.1, 0.35, Load.NORMAL), (0.1, 0.36, Load.RISING), (0.1, 1.1, Load.RISING), (0.1, 1.11, Load.HIGH),
    ],
)  # fmt: skip
def test_a_sign_is_both_a_multiple_and_more_than_noise(unloaded_s: float, ttfb_s: float, load: Load) -> None:
    sign = LatencySign()
    assert sign.load is Load.NORMAL
    feed(sign, unloaded_s)
    assert feed(sign, ttfb_s) is load


def test_the_lowest_of_32_windows_is_what_others_are_held_against() -> None:
    sign = LatencySign()
    feed(sign, 0.1)
    assert feed(sign, 5.0, 31) is Load.HIGH
    assert feed(sign, 5.0) is Load.NORMAL


def test_windows_do_not_overlap() -> None:
    sign = LatencySign()
    feed(sign, 0.1)
    for _ in range(19):
        assert not sign.add(9.0)
    assert sign.load is Load.NORMAL
    assert sign.add(9.0)
    assert sign.load is Load.HIGH
    assert not sign.add(9.0)
