from __future__ import annotations

import random

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.retry import (
    MAX_BACKOFF_S,
    RETRY_ALLOWANCE,
    TRANSIENT,
    GiveUp,
    Retry,
    RetryBudget,
    decide,
)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_only_failures_that_may_go_away_are_tried_again(kind: ErrorKind) -> None:
    assert isinstance(decide(kind, 1, 3, None, random.Random(1)), Retry) == (kind in TRANSIENT)


def test_the_last_attempt_is_the_last() -> None:
    assert decide(ErrorKind.TIMEOUT, 3, 3, None, random.Random(1)) == GiveUp()


def test_a_server_that_says_when_is_asked_then_at_the_earliest() -> None:
    decision = decide(ErrorKind.HTTP_429, 1, 3, 77.0, random.Random(1))
    assert isinstance(decision, Retry)
    assert decision.delay_s >= 77.0


def test_delays_are_spread_by_chance_and_bounded() -> None:
    rng = random.Random(1)
    decisions = [decide(ErrorKind.RESET, attempt, 99, None, rng) for attempt in range(1, 40)]
    delays_s = [decision.delay_s for decision in decisions if isinstance(decision, Retry)]
    assert len(set(delays_s)) == len(decisions)
    assert max(delays_s) <= MAX_BACKOFF_S


def test_a_short_list_may_retry_its_first_failures() -> None:
    assert RetryBudget().available() == RETRY_ALLOWANCE


def test_retries_are_a_tenth_of_the_requests() -> None:
    budget = RetryBudget(requests=1000, retries=100)
    assert budget.available() == RETRY_ALLOWANCE
    for _ in range(20):
        budget.add(is_retry=True)
    assert budget.available() == 0


@pytest.mark.parametrize(("attempt", "most_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (7, 60.0), (30, 60.0)])
def test_the_wait_is_up_to_twice_as_long_with_each_attempt(attempt: int, most_s: float) -> None:
    class Highest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            assert a == 0.0
            return b

    assert decide(ErrorKind.RESET, attempt, 99, None, Highest()) == Retry(most_s)


def test_a_server_says_when_up_to_a_day() -> None:
    assert decide(ErrorKind.HTTP_429, 1, 3, 1e9, random.Random(1)) == Retry(86_400.0)


@pytest.mark.parametrize(
    ("kind", "attempt", "max_attempts", "is_retried"),
    [
        (ErrorKind.RESET, 2, 3, True),
        (ErrorKind.RESET, 4, 3, False),
        (ErrorKind.CHECKSUM_MISMATCH, 1, 9, True),
        (ErrorKind.CHECKSUM_MISMATCH, 2, 9, False),
        (ErrorKind.CHECKSUM_MISMATCH, 1, 1, False),
    ],
)
def test_how_often_is_bounded_by_both(kind: ErrorKind, attempt: int, max_attempts: int, is_retried: bool) -> None:
    assert isinstance(decide(kind, attempt, max_attempts, None, random.Random(1)), Retry) == is_retried


def test_a_ban_and_a_throttled_answer_may_pass_and_a_plain_refusal_does_not() -> None:
    assert {ErrorKind.HTTP_403_BAN, ErrorKind.HTTP_429, ErrorKind.HTTP_5XX} <= TRANSIENT
    assert not {ErrorKind.HTTP_4XX, ErrorKind.ROBOTS, ErrorKind.OPTED_OUT, ErrorKind.BAD_URL} & TRANSIENT


def test_the_budget_counts_requests_and_the_retries_among_them() -> None:
    budget = RetryBudget()
    assert (budget.requests, budget.retries) == (0, 0)
    for _ in range(9):
        budget.add(is_retry=False)
    assert budget.available() == 10
    budget.add(is_retry=False)
    assert budget.available() == 11
    budget.add(is_retry=True)
    assert (budget.requests, budget.retries, budget.available()) == (11, 1, 10)
