from __future__ import annotations

import random

import pytest

from ray_downloader.politeness.server.backoff import (
    FIRST_PAUSE_S,
    FORGIVEN_AFTER_S,
    FRUITLESS_INCIDENTS,
    JITTER_SHARE,
    MAX_PAUSE_S,
    Backoff,
)


class NoJitter(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return a


def begin(backoff: Backoff, now_s: float, retry_after_s: float | None = None) -> float:
    backoff.begin(now_s, now_s, retry_after_s, now_s, NoJitter())
    return backoff.remaining_s(now_s)


def test_without_a_header_pauses_double_up_to_a_day() -> None:
    backoff, now_s, pauses_s = Backoff(0.0), 0.0, []
    for _ in range(13):
        pauses_s.append(begin(backoff, now_s))
        now_s += pauses_s[-1]
    assert pauses_s[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses_s[-1] == MAX_PAUSE_S


def test_pauses_are_up_to_a_tenth_longer_by_chance() -> None:
    pauses_s = []
    for seed in range(50):
        backoff = Backoff(0.0)
        backoff.begin(0.0, 0.0, None, 0.0, random.Random(seed))
        pauses_s.append(backoff.remaining_s(0.0))
    assert FIRST_PAUSE_S <= min(pauses_s) < max(pauses_s) <= FIRST_PAUSE_S * (1 + JITTER_SHARE)


def test_half_an_hour_of_quiet_forgives() -> None:
    backoff = Backoff(0.0)
    begin(backoff, 0.0)
    assert begin(backoff, FIRST_PAUSE_S + FORGIVEN_AFTER_S) == 2 * FIRST_PAUSE_S
    assert begin(backoff, 3 * FIRST_PAUSE_S + 2 * FORGIVEN_AFTER_S + 1) == FIRST_PAUSE_S


def test_a_server_that_says_how_long_is_believed_up_to_a_day() -> None:
    assert begin(Backoff(0.0), 0.0, 1.0) == 1.0
    assert begin(Backoff(0.0), 0.0, 1e9) == MAX_PAUSE_S


def test_a_wait_counts_from_when_the_answer_came() -> None:
    backoff = Backoff(0.0)
    backoff.begin(10.0, 9.5, 1.0, 10.0, NoJitter())
    assert backoff.remaining_s(10.0) == pytest.approx(0.5)


def test_answers_to_permits_of_before_belong_to_the_incident() -> None:
    backoff = Backoff(0.0)
    backoff.begin(10.0, 10.0, 1.0, 12.0, NoJitter())
    assert not backoff.is_new(11.5)
    assert backoff.is_new(12.0)


def test_a_later_answer_of_an_incident_can_only_prolong_it() -> None:
    backoff = Backoff(0.0)
    begin(backoff, 0.0, 10.0)
    backoff.prolong(1.0, 2.0)
    backoff.prolong(1.0, None)
    assert backoff.remaining_s(0.0) == 10.0
    backoff.prolong(1.0, 30.0)
    assert backoff.remaining_s(0.0) == 31.0
    assert not backoff.is_new(30.0)


def test_incidents_without_a_file_in_between_end_at_some_time() -> None:
    backoff, now_s = Backoff(0.0), 0.0
    for number in range(FRUITLESS_INCIDENTS):
        assert not backoff.is_fruitless(now_s), number
        now_s += begin(backoff, now_s)
    assert backoff.is_fruitless(now_s)
    backoff.on_success()
    assert not backoff.is_fruitless(now_s)


def test_short_waits_do_not_make_a_server_dead() -> None:
    backoff = Backoff(0.0)
    for second in range(2 * FRUITLESS_INCIDENTS):
        begin(backoff, float(second), 1.0)
    assert not backoff.is_fruitless(2.0 * FRUITLESS_INCIDENTS)
