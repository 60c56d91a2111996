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


def test_a_new_server_is_left_alone_by_nothing() -> None:
    backoff = Backoff(5.0)
    assert (backoff.remaining_s(5.0), backoff.doublings, backoff.incidents) == (0.0, 0, 0)
    assert backoff.is_new(5.0)
    assert not backoff.is_new(4.9)
    assert not backoff.is_fruitless(1e9)


def test_incidents_and_doublings_are_counted_each_for_itself() -> None:
    backoff = Backoff(0.0)
    begin(backoff, 0.0)
    begin(backoff, 100.0, 5.0)
    begin(backoff, 200.0)
    assert (backoff.incidents, backoff.doublings) == (3, 2), "a server that says when is believed, not feared"
    assert backoff.remaining_s(200.0) == 120.0


def test_a_pause_is_never_shortened_by_the_next() -> None:
    backoff = Backoff(0.0)
    begin(backoff, 0.0, 500.0)
    begin(backoff, 10.0, 1.0)
    assert backoff.remaining_s(10.0) == 490.0


def test_quiet_is_counted_from_the_end_of_the_pause_and_of_its_permits() -> None:
    backoff = Backoff(0.0)
    backoff.begin(0.0, 0.0, None, 100.0, NoJitter())
    assert begin(backoff, 100.0 + FORGIVEN_AFTER_S) == 120.0
    again = Backoff(0.0)
    again.begin(0.0, 0.0, None, 100.0, NoJitter())
    assert begin(again, 100.1 + FORGIVEN_AFTER_S) == 60.0


def test_a_longer_wait_moves_the_quiet_too() -> None:
    backoff = Backoff(0.0)
    begin(backoff, 0.0)
    backoff.prolong(0.0, 1000.0)
    assert not backoff.is_new(999.9)
    assert begin(backoff, 1000.0 + FORGIVEN_AFTER_S) == 120.0
    assert backoff.doublings == 2
    day = Backoff(0.0)
    begin(day, 0.0, 1.0)
    day.prolong(0.0, 1e9)
    assert day.remaining_s(0.0) == 86_400.0


def test_the_jitter_makes_no_day_longer() -> None:
    class Most(random.Random):
        def uniform(self, a: float, b: float) -> float:
            assert (a, b) == (0.0, 0.1)
            return b

    backoff = Backoff(0.0)
    backoff.begin(0.0, 0.0, None, 0.0, Most())
    assert backoff.remaining_s(0.0) == pytest.approx(66.0)
    backoff.resume(0.0, 30, 0.0)
    backoff.begin(0.0, 0.0, None, 0.0, Most())
    assert backoff.remaining_s(0.0) == 86_400.0


def test_a_pause_that_was_under_way_goes_on() -> None:
    backoff = Backoff(0.0)
    backoff.resume(50.0, 3, 10.0)
    assert (backoff.remaining_s(10.0), backoff.doublings) == (50.0, 3)
    assert (backoff.is_new(59.9), backoff.is_new(60.0)) == (False, True)
    assert begin(backoff, 60.0 + FORGIVEN_AFTER_S) == 480.0


@pytest.mark.parametrize(
    ("incidents", "seconds", "is_fruitless"), [(4, 300.0, True), (4, 299.9, False), (3, 900.0, False)]
)
def test_four_incidents_over_five_minutes_are_fruitless(incidents: int, seconds: float, is_fruitless: bool) -> None:
    backoff = Backoff(0.0)
    for number in range(incidents):
        begin(backoff, 7.0 + number, 1.0)
    assert backoff.is_fruitless(7.0 + seconds) is is_fruitless


def test_a_file_begins_the_count_of_fruitless_incidents_anew() -> None:
    backoff = Backoff(0.0)
    for number in range(3):
        begin(backoff, float(number), 1.0)
    backoff.on_success()
    for number in range(4):
        begin(backoff, 1000.0 + number, 1.0)
    assert not backoff.is_fruitless(1299.0)
    assert backoff.is_fruitless(1300.0)
