from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.politeness.messages import LeaseRequest, Outcome
from ray_downloader.politeness.server.quota import HOUR_S, ByteRate, DayQuota, DayRequests

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


@pytest.mark.parametrize("every_s", [100.0, 1_000.0, HOUR_S, 3_000.0])
def test_restarts_neither_make_uses_older_nor_keep_them_longer(every_s: float) -> None:
    """After three restarts, what was used came back after 22 hours."""
    quota, now_s = DayQuota(100, 0.0), 0.0
    for _ in range(12):
        quota.add(5, now_s)
        saved, ended_s = quota.dump(now_s + 7.0), now_s + 7.0
        now_s += every_s
        quota = DayQuota(100, now_s)
        quota.load(saved, now_s - ended_s, now_s)
    assert quota.used == 60
    assert quota.left(DAY_S - 1.0) == 40, "none of it is a day old"
    last_s = now_s - every_s
    assert quota.left(last_s + 25 * HOUR_S + 1.0) == 100


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


def test_a_use_is_kept_until_its_hour_has_wholly_left_the_day() -> None:
    quota = DayQuota(100, 1000.0)
    quota.add(60, 1000.0)
    quota.add(30, 1000.0 + 3599.0)
    quota.add(5, 1000.0 + 3600.0)
    assert (quota.used, quota.left(1000.0 + 3600.0)) == (95, 5)
    assert quota.wait_s(1000.0) == 25 * HOUR_S
    assert quota.left(1000.0 + 25 * HOUR_S - 0.1) == 5
    assert quota.left(1000.0 + 25 * HOUR_S) == 95
    assert quota.used == 5
    assert quota.wait_s(1000.0 + 25 * HOUR_S) == HOUR_S
    assert quota.wait_s(1000.0 + 99 * HOUR_S) == 0.0


def test_nothing_used_is_nothing_to_wait_for_and_more_than_all_leaves_nothing() -> None:
    quota = DayQuota(10, 0.0)
    assert (quota.wait_s(5.0), quota.left(5.0), quota.used) == (0.0, 10, 0.0)
    quota.add(25, 0.0)
    assert quota.left(0.0) == 0


def test_no_more_is_given_back_than_was_used_in_the_hour() -> None:
    quota = DayQuota(10, 0.0)
    quota.add(4, 0.0)
    quota.add(-9, 10.0)
    assert (quota.used, quota.left(10.0)) == (0.0, 10)
    quota.add(3, HOUR_S)
    assert quota.used == 3


def test_uses_are_kept_by_their_age() -> None:
    quota = DayQuota(100, 50.0)
    quota.add(1, 50.0)
    quota.add(2, 50.0 + 2 * HOUR_S)
    assert quota.dump(50.0 + 2 * HOUR_S + 7.0) == [(2 * HOUR_S + 7.0, 1), (7.0, 2)]
    again = DayQuota(100, 0.0)
    again.load([(30 * HOUR_S, 50), (2 * HOUR_S, 1)], HOUR_S, 0.0)
    assert again.used == 1, "what is older than a day is forgotten"
    assert again.left(0.0) == 99


def test_the_mean_size_moves_by_a_tenth() -> None:
    rate = ByteRate(1000.0, 0.0)
    rate.add(500, 0.0)
    rate.add(1500, 0.0)
    assert rate.mean_bytes == pytest.approx(600.0)
    assert rate.interval_s == pytest.approx(0.6)
    assert rate.paid_s == pytest.approx(2.0)
    rate.add(0, 5.0)
    assert rate.mean_bytes == pytest.approx(600.0), "an answer without a body says nothing of sizes"
    assert rate.paid_s == pytest.approx(5.0)
    rate.add(1000, 5.0)
    assert rate.paid_s == pytest.approx(6.0)


def test_a_limit_is_unmeasured_until_the_first_size() -> None:
    rate = ByteRate(1000.0, 7.0)
    assert (rate.is_unmeasured, rate.interval_s, rate.paid_s, rate.mean_bytes) == (True, 0.0, 7.0, None)
    rate.add(10, 7.0)
    assert not rate.is_unmeasured
    free = ByteRate(None, 0.0)
    free.add(10, 0.0)
    assert (free.mean_bytes, free.interval_s) == (10, 0.0)


def report(in_flight: int = 0, ended: int = 0, unused: int = 0, wanted: int = 1) -> LeaseRequest:
    return LeaseRequest("a.org", "w", wanted, in_flight, unused, (Outcome(None, 200),) * ended)


def test_permits_count_from_when_they_are_granted_and_once() -> None:
    day = DayRequests(100, 0.0)
    day.granted("w", 10, 50.0)
    assert day.left(0.0) == 90
    day.note_report(report(in_flight=3), "w", 1.0)
    assert day.left(1.0) == 90, "three were sent, seven may be"
    day.note_report(report(in_flight=1, ended=3), "w", 2.0)
    assert day.left(2.0) == 90, "three of these four were known"
    day.note_report(report(ended=1), "w", 3.0)
    assert day.left(3.0) == 90
    assert sum(amount for _, amount in day.dump(3.0)) == 10


def test_what_a_holder_returns_or_does_not_want_can_be_granted_again() -> None:
    for dropped in (report(in_flight=4, unused=6), report(in_flight=4, wanted=0)):
        day = DayRequests(100, 0.0)
        day.granted("w", 10, 50.0)
        day.note_report(dropped, "w", 1.0)
        assert day.left(1.0) == 96
    kept = DayRequests(100, 0.0)
    kept.granted("w", 10, 50.0)
    kept.note_report(report(in_flight=4), "w", 1.0)
    assert kept.left(1.0) == 90


def test_a_report_of_fewer_than_were_known_takes_nothing_back() -> None:
    day = DayRequests(100, 0.0)
    day.granted("w", 10, 50.0)
    day.note_report(report(in_flight=5), "w", 1.0)
    day.note_report(report(in_flight=2), "w", 2.0)
    day.note_report(report(ended=2), "w", 3.0)
    assert sum(amount for _, amount in day.dump(3.0)) == 10


def test_permits_of_a_lease_that_has_ended_were_not_used() -> None:
    day = DayRequests(100, 0.0)
    day.granted("w", 10, 50.0)
    day.granted("w", 5, 80.0)
    day.note_report(report(ended=2), "w", 60.0)
    assert day.left(60.0) == 93, "two were sent, and five may be"


def test_those_of_a_holder_that_is_silent_for_ten_minutes_count_as_sent() -> None:
    day = DayRequests(100, 0.0)
    day.granted("w", 10, 50.0)
    assert day.left(650.0) == 90
    assert day.left(651.0) == 90, "never more in between"
    assert [amount for _, amount in day.dump(651.0)] == [10]
    day.note_report(report(ended=0), "w", 652.0)
    assert day.left(652.0) == 90, "it is too late to return them"


def test_while_permits_are_out_the_wait_ends_with_the_first_of_their_leases() -> None:
    day = DayRequests(10, 0.0)
    day.granted("w", 4, 50.0)
    day.granted("v", 6, 30.0)
    assert day.left(0.0) == 0
    assert day.wait_s(0.0) == 30.0
    assert day.wait_s(29.5) == 1.0, "at least a second"
    assert DayRequests(10, 0.0).wait_s(5.0) == 1.0


def test_once_all_were_sent_the_wait_is_a_day() -> None:
    day = DayRequests(10, 0.0)
    day.granted("w", 10, 50.0)
    day.note_report(report(ended=10), "w", 10.0)
    assert day.wait_s(10.0) == 25 * HOUR_S - 10.0


def test_once_a_holder_is_silent_for_ten_minutes_the_wait_is_a_day() -> None:
    day = DayRequests(10, 0.0)
    day.granted("w", 10, 50.0)
    assert day.wait_s(651.0) == 25 * HOUR_S - 651.0


def test_what_is_out_when_a_process_ends_counts_as_sent_in_the_next() -> None:
    day = DayRequests(100, 0.0)
    day.granted("w", 10, 50.0)
    day.note_report(report(in_flight=3), "w", 1.0)
    assert day.dump(1.0) == [(1.0, 3), (0.0, 7.0)]
    again = DayRequests(100, 0.0)
    again.load(day.dump(1.0), 5.0, 500.0)
    assert again.left(500.0) == 90
    assert DayRequests(100, 0.0).dump(1.0) == []
