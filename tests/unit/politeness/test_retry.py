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
