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
