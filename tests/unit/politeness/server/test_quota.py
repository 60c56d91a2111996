from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.politeness.server.quota import HOUR_S, ByteRate, DayQuota

DAY_S = 24 * HOUR_S


def test_a_quota_is_used_up_and_comes_back() -> None:
    quota = DayQuota(100, 0.0)
    quota.add(100, 10.0)
    assert quota.left(20.0) == 0
    assert quota.left(20.0 + quota.wait_s(20.0)) == 100


def test_what_is_given_back_can_be_used() -> None:
    quota = DayQuota(100, 0.0)
    quota.add(100, 10.0)
    quota.add(-30, 20.0)
    assert quota.left(20.0) == 30


def test_no_limit_is_never_used_up() -> None:
    quota = DayQuota(None, 0.0)
    quota.add(1e12, 0.0)
    assert quota.left(0.0) == float("inf")
    assert quota.wait_s(0.0) == 0.0


def test_a_quota_survives_its_process() -> None:
    quota = DayQuota(100, 0.0)
    quota.add(60, 10 * HOUR_S)
    again = DayQuota(100, 777.0)
    again.load(quota.dump(11 * HOUR_S), 2 * HOUR_S, 777.0)
    assert again.left(777.0) == 40
    assert again.left(777.0 + DAY_S) == 100


@given(uses=st.lists(st.tuples(st.floats(0, 3 * DAY_S), st.integers(1, 40)), max_size=60))
def test_no_24_hours_see_more_than_the_limit(uses: list[tuple[float, int]]) -> None:
    quota, granted = DayQuota(100, 0.0), []
    for at_s, wanted in sorted(uses):
        amount = min(wanted, quota.left(at_s))
        quota.add(amount, at_s)
        granted.append((at_s, amount))
    for start_s, _ in granted:
        assert sum(amount for at_s, amount in granted if start_s <= at_s < start_s + DAY_S) <= 100


def test_requests_are_spaced_by_their_mean_size() -> None:
    rate = ByteRate(1000.0, 0.0)
    assert rate.is_unmeasured
    rate.add(500, 0.0)
    assert rate.interval_s == pytest.approx(0.5)
    assert rate.paid_s == pytest.approx(0.5)


def test_a_large_answer_is_waited_out() -> None:
    rate = ByteRate(1000.0, 0.0)
    rate.add(10_000, 3.0)
    assert rate.paid_s == pytest.approx(13.0)


def test_without_a_limit_sizes_cost_nothing() -> None:
    rate = ByteRate(None, 0.0)
    rate.add(10_000, 3.0)
    assert (rate.is_unmeasured, rate.interval_s, rate.paid_s) == (False, 0.0, 0.0)
