from __future__ import annotations

import pytest

from ray_downloader.politeness.server.backoff import (
    FIRST_PAUSE_S,
    FIRST_SECONDS_S,
    FORGIVEN_AFTER_S,
    JITTER_SHARE,
    MAX_PAUSE_S,
    MAX_SECONDS_S,
    Backoff,
)
from ray_downloader.politeness.server.snapshot import Reader


def minutes(backoff: Backoff, now_s: float, jitter: float = 0.0) -> float:
    backoff.pause_minutes(now_s, now_s, jitter)
    return backoff.remaining_s(now_s)


def asked(backoff: Backoff, now_s: float, wait_s: float) -> float:
    backoff.pause_as_asked(now_s, now_s, wait_s, now_s)
    return backoff.remaining_s(now_s)


def test_without_a_header_pauses_double_up_to_a_day() -> None:
    backoff, now_s, pauses_s = Backoff(0.0), 0.0, []
    for _ in range(13):
        pauses_s.append(minutes(backoff, now_s))
        now_s += pauses_s[-1]
    assert pauses_s[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses_s[-1] == MAX_PAUSE_S


def test_suspicions_take_seconds_that_double_up_to_a_minute_until_the_server_is_well() -> None:
    backoff, pauses_s = Backoff(0.0), []
    for _ in range(7):
        backoff.pause_seconds(0.0, 0.0)
        pauses_s.append(backoff.remaining_s(0.0))
    assert pauses_s[:3] == [FIRST_SECONDS_S, 2 * FIRST_SECONDS_S, 4 * FIRST_SECONDS_S]
    assert pauses_s[-1] == MAX_SECONDS_S
    backoff.begin_seconds(0)
    backoff.pause_seconds(500.0, 500.0)
    assert backoff.remaining_s(500.0) == FIRST_SECONDS_S
    for odd_urls, pause_s in ((1, 1.0), (3, 0.5), (99, 0.2)):
        backoff.end(600.0)
        backoff.begin_seconds(odd_urls)
        backoff.pause_seconds(600.0, 600.0)
        assert backoff.remaining_s(600.0) == pytest.approx(pause_s), (
            "shorter where the last refusals were of their URLs"
        )


@pytest.mark.parametrize(("jitter", "longer"), [(0.0, 1.0), (1.0, 1 + JITTER_SHARE)])
def test_pauses_are_up_to_a_tenth_longer_by_chance(jitter: float, longer: float) -> None:
    assert minutes(Backoff(0.0), 0.0, jitter) == pytest.approx(longer * FIRST_PAUSE_S)


def test_half_an_hour_of_quiet_forgives() -> None:
    backoff = Backoff(0.0)
    minutes(backoff, 0.0)
    assert minutes(backoff, FIRST_PAUSE_S + FORGIVEN_AFTER_S) == 2 * FIRST_PAUSE_S
    assert minutes(backoff, 3 * FIRST_PAUSE_S + 2 * FORGIVEN_AFTER_S + 1) == FIRST_PAUSE_S


@pytest.mark.parametrize(("quiet_s", "elapsed_s", "pause_s"), [(1200.0, 601.0, 60.0), (1200.0, 599.0, 120.0)])
def test_quiet_time_counts_through_a_restart(quiet_s: float, elapsed_s: float, pause_s: float) -> None:
    """A job that is requeued more often than twice an hour forgave nothing."""
    before, after = Backoff(0.0), Backoff(50_000.0)
    minutes(before, 0.0)
    after.load(Reader(before.dump(FIRST_PAUSE_S + quiet_s)), elapsed_s, 50_000.0)
    assert minutes(after, 50_000.0) == pause_s


def test_a_pause_in_progress_is_no_quiet_time_after_a_restart() -> None:
    before, after = Backoff(0.0), Backoff(50_000.0)
    minutes(before, 0.0)
    after.load(Reader(before.dump(20.0)), 10.0, 50_000.0)
    assert after.remaining_s(50_000.0) == pytest.approx(30.0)
    assert minutes(after, 50_000.0 + 30.0 + FORGIVEN_AFTER_S) == 2 * FIRST_PAUSE_S


def test_a_server_that_says_how_long_is_believed_up_to_a_day() -> None:
    assert asked(Backoff(0.0), 0.0, 1.0) == 1.0
    assert asked(Backoff(0.0), 0.0, 1e12) == MAX_PAUSE_S


def test_a_wait_counts_from_when_the_answer_came() -> None:
    backoff = Backoff(0.0)
    backoff.pause_as_asked(10.0, 9.5, 1.0, 10.0)
    assert backoff.remaining_s(10.0) == pytest.approx(0.5)


def test_answers_to_permits_of_before_belong_to_the_incident() -> None:
    backoff = Backoff(0.0)
    backoff.pause_as_asked(10.0, 10.0, 1.0, 12.0)
    assert not backoff.is_new(11.5)
    assert backoff.is_new(12.0)


def test_a_probe_of_before_the_end_of_a_pause_is_news() -> None:
    backoff = Backoff(0.0)
    minutes(backoff, 0.0)
    backoff.begins_again(20.0)
    assert backoff.is_new(20.0)


def test_a_later_answer_of_an_incident_can_only_prolong_it() -> None:
    backoff = Backoff(0.0)
    asked(backoff, 0.0, 10.0)
    backoff.prolong(1.0, 2.0)
    assert backoff.remaining_s(0.0) == 10.0
    backoff.prolong(1.0, 30.0)
    assert backoff.remaining_s(0.0) == 31.0
    assert not backoff.is_new(30.0)


def test_a_longer_wait_moves_the_quiet_too() -> None:
    backoff = Backoff(0.0)
    minutes(backoff, 0.0)
    backoff.prolong(0.0, 1000.0)
    assert not backoff.is_new(999.9)
    assert minutes(backoff, 1000.0 + FORGIVEN_AFTER_S) == 2 * FIRST_PAUSE_S


def test_suspicions_do_not_disturb_the_quiet() -> None:
    backoff = Backoff(0.0)
    minutes(backoff, 0.0)
    backoff.pause_seconds(1000.0, 1000.0)
    assert minutes(backoff, FIRST_PAUSE_S + FORGIVEN_AFTER_S + 1) == FIRST_PAUSE_S


def test_a_pause_is_never_shortened_by_the_next() -> None:
    backoff = Backoff(0.0)
    asked(backoff, 0.0, 500.0)
    assert asked(backoff, 10.0, 1.0) == 490.0


def test_incidents_and_doublings_are_counted_each_for_itself() -> None:
    backoff = Backoff(0.0)
    minutes(backoff, 0.0)
    asked(backoff, 100.0, 5.0)
    minutes(backoff, 200.0)
    assert (backoff.incidents, backoff.doublings) == (3, 2), "a server that says when is believed, not feared"


def test_the_jitter_makes_no_day_longer() -> None:
    backoff = Backoff(0.0)
    backoff.doublings = 50
    assert minutes(backoff, 0.0, 1.0) == MAX_PAUSE_S


def test_a_clock_may_err_by_a_millisecond() -> None:
    backoff = Backoff(1.0)
    assert backoff.is_new(1.0 - 1e-3)
    assert not backoff.is_new(0.9989)


def test_only_a_pause_that_the_server_stated_is_called_so() -> None:
    """Nothing shortens that one; of ours a worker looks again, in case the run has nothing else left to do."""
    backoff = Backoff(0.0)
    asked(backoff, 0.0, 5.0)
    assert (backoff.is_asked, backoff.length_s) == (True, 5.0)
    minutes(backoff, 10.0)
    assert (backoff.is_asked, backoff.length_s) == (False, FIRST_PAUSE_S)
    asked(backoff, 100.0, 1e9)
    assert (backoff.is_asked, backoff.length_s) == (True, MAX_PAUSE_S)
    backoff.pause_seconds(1e6, 1e6)
    assert (backoff.is_asked, backoff.length_s) == (False, FIRST_SECONDS_S)
    backoff.pause_for(2e6, 7.0, 2e6)
    assert (backoff.is_asked, backoff.length_s, backoff.incidents) == (False, 7.0, 4), "no incident"
    backoff.prolong(2e6, 9.0)
    assert backoff.is_asked


def test_a_pause_is_saved_with_all_that_is_known_of_it() -> None:
    before, after = Backoff(0.0), Backoff(1000.0)
    asked(before, 0.0, 50.0)
    saved = before.dump(20.0)
    assert saved == {
        "pause_s": 30.0, "pause_length_s": 50.0, "quiet_s": 0.0, "is_asked": True, "doublings": 0, "incidents": 1,
    }  # fmt: skip
    after.load(Reader(saved), 10.0, 1000.0)
    assert (after.until_s, after.epoch_s, after.is_asked, after.length_s) == (1020.0, 1020.0, True, 50.0)
    late = Backoff(1000.0)
    late.load(Reader(saved), 100.0, 1000.0)
    assert (late.remaining_s(1000.0), late.until_s) == (0.0, 1000.0)
    long = Backoff(0.0)
    long.load(Reader({"pause_s": 1e9}), 0.0, 0.0)
    assert (long.until_s, long.length_s) == (MAX_PAUSE_S, MAX_PAUSE_S), "a file that somebody edited"


def test_a_server_that_nothing_is_known_of_is_not_paused() -> None:
    backoff = Backoff(7.0)
    assert (backoff.until_s, backoff.epoch_s, backoff.remaining_s(7.0)) == (7.0, 7.0, 0.0)
    assert (backoff.doublings, backoff.incidents, backoff.is_asked, backoff.length_s) == (0, 0, False, 0.0)
