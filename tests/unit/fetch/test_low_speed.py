from __future__ import annotations

from ray_downloader.fetch.low_speed import LowSpeedLimit


def test_a_transfer_is_given_a_whole_window_before_it_is_judged() -> None:
    pace = LowSpeedLimit(bytes_per_s=500, window_s=30, now_s=0.0)
    assert pace.keeps_up(1, now_s=29.9)
    assert not pace.keeps_up(1, now_s=30.0)


def test_the_first_window_is_counted_from_nothing() -> None:
    pace = LowSpeedLimit(bytes_per_s=500, window_s=30, now_s=5.0)
    assert not pace.keeps_up(14_999, now_s=35.0)
    assert LowSpeedLimit(bytes_per_s=500, window_s=30, now_s=5.0).keeps_up(15_000, now_s=35.0)


def test_a_fast_start_does_not_pay_for_a_slow_end() -> None:
    pace = LowSpeedLimit(bytes_per_s=500, window_s=30, now_s=0.0)
    assert pace.keeps_up(1_000_000, now_s=30.0)
    assert pace.keeps_up(15_000, now_s=60.0)
    assert not pace.keeps_up(14_999, now_s=90.0)
