from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.politeness.server.backoff import FORGIVEN_AFTER_S
from ray_downloader.politeness.server.latency import WINDOW
from ray_downloader.politeness.server.noise import LEAST_SCORE, MOST_SCORE, UNEXPLAINED, RefusalNoise
from ray_downloader.politeness.server.rate import (
    BACK_OFF,
    COSTLY_PAUSE_S,
    LEAST_SUSPECT_RPS,
    MIN_RATE_RPS,
    PLATEAU_SHARE,
    AdaptiveRate,
)
from tests.unit.politeness.virtual_run import Server, SlidingWindow, TokenBucket


def use(rate: AdaptiveRate, from_s: float, seconds: float, share: float = 1.0, ttfb_s: float | None = None) -> float:
    """The server delivers at `share` of the rate for some time; returns when that ends."""
    now_s = from_s
    while now_s < from_s + seconds:
        now_s += 1 / (share * rate.rate_rps)
        rate.on_success(now_s, ttfb_s)
    return now_s


def test_slow_start_doubles_within_about_a_second() -> None:
    rate = AdaptiveRate(10.0, 1000.0, 0.0)
    use(rate, 0.0, 1.0)
    assert 18.0 < rate.rate_rps < 40.0


def test_a_slow_server_is_doubled_only_after_some_successes() -> None:
    rate = AdaptiveRate(0.5, 1000.0, 0.0)
    use(rate, 0.0, 10.0)
    assert rate.rate_rps < 1.0


def test_the_rate_never_passes_its_ceiling() -> None:
    rate = AdaptiveRate(10.0, 25.0, 0.0)
    use(rate, 0.0, 100.0)
    assert rate.rate_rps == 25.0
    assert AdaptiveRate(10.0, 5.0, 0.0).rate_rps == 5.0


def test_an_incident_halves_and_is_remembered() -> None:
    rate = AdaptiveRate(10.0, 1000.0, 0.0)
    rate.on_incident(1.0, 2.0)
    assert (rate.rate_rps, rate.incident_rps) == (10.0 * BACK_OFF, 10.0)


def test_the_way_back_is_fast_up_to_the_plateau_and_slow_on_it() -> None:
    rate = AdaptiveRate(40.0, 1000.0, 0.0)
    rate.on_incident(0.0, 1.0)
    now_s = use(rate, 1.0, 2.0)
    assert 40.0 * PLATEAU_SHARE <= rate.rate_rps < 38.5
    use(rate, now_s, 30.0)
    assert 38.5 < rate.rate_rps < 40.0


def test_beyond_the_plateau_the_rate_goes_on_rising() -> None:
    rate = AdaptiveRate(40.0, 1000.0, 0.0)
    rate.on_incident(0.0, 1.0)
    use(rate, 1.0, 120.0)
    assert rate.rate_rps > 50.0


def test_an_incident_that_confirms_makes_the_next_approach_slower() -> None:
    first, second = AdaptiveRate(40.0, 1000.0, 0.0), AdaptiveRate(40.0, 1000.0, 0.0)
    first.on_incident(0.0, 1.0)
    second.on_incident(0.0, 1.0)
    second.on_incident(use(second, 1.0, 50.0), 60.0)
    for rate in (first, second):
        rate.resume(36.0, 40.0)
        use(rate, 100.0, 20.0)
    assert 36.0 < second.rate_rps < first.rate_rps


def test_a_rate_that_is_not_used_does_not_rise() -> None:
    rate = AdaptiveRate(10.0, 1000.0, 0.0)
    for number in range(1, 2000):
        rate.on_success(number / 2.0, None)
    assert rate.rate_rps < 20.0


def test_what_overshot_in_slow_start_is_measured_by_what_was_delivered() -> None:
    rate = AdaptiveRate(10.0, 1000.0, 0.0)
    now_s = 0.0
    for _ in range(60):
        now_s += 1 / 30
        rate.on_success(now_s, None)
    assert rate.rate_rps > 45.0
    rate.on_incident(now_s, now_s + 1)
    assert rate.incident_rps == pytest.approx(31.0, rel=0.05)


def test_rising_first_bytes_hold_the_rate_and_high_ones_lower_it() -> None:
    rate = AdaptiveRate(10.0, 1000.0, 0.0)
    now_s = use(rate, 0.0, 2.0, ttfb_s=0.1)
    now_s = use(rate, now_s, 2 * WINDOW / rate.rate_rps, ttfb_s=0.5)
    held_rps = rate.rate_rps
    now_s = use(rate, now_s, 2 * WINDOW / rate.rate_rps, ttfb_s=0.5)
    assert rate.rate_rps == held_rps
    use(rate, now_s, 2 * WINDOW / rate.rate_rps, ttfb_s=5.0)
    assert rate.rate_rps < held_rps


def test_incident_after_incident_goes_down_to_one_request_a_minute() -> None:
    rate = AdaptiveRate(100.0, 1000.0, 0.0)
    for number in range(40):
        rate.on_incident(float(number), number + 1.0)
    assert rate.rate_rps == MIN_RATE_RPS


def test_another_ceiling_lowers_and_does_not_raise() -> None:
    rate = AdaptiveRate(10.0, 20.0, 0.0)
    rate.cap(5.0)
    assert rate.rate_rps == 5.0
    rate.cap(50.0)
    assert rate.rate_rps == 5.0


@given(
    steps=st.lists(st.tuples(st.booleans(), st.floats(0, 5), st.floats(0, 10)), max_size=200),
    start_rps=st.floats(0.1, 100),
)
def test_only_successes_raise_the_rate_and_the_ceiling_holds(
    steps: list[tuple[bool, float, float]], start_rps: float
) -> None:
    rate, now_s = AdaptiveRate(start_rps, 50.0, 0.0), 0.0
    for is_success, wait_s, ttfb_s in steps:
        now_s += wait_s
        before_rps = rate.rate_rps
        if is_success:
            rate.on_success(now_s, ttfb_s)
        else:
            rate.on_incident(now_s, now_s + ttfb_s)
            assert rate.rate_rps <= before_rps
        assert 0 < rate.rate_rps <= 50.0


def test_a_costly_incident_is_estimated_by_the_mean_and_a_cheap_one_by_the_last_second() -> None:
    costly, cheap = AdaptiveRate(10.0, 1000.0, 0.0), AdaptiveRate(10.0, 1000.0, 0.0)
    now_s = use(costly, 0.0, 2.0)
    assert use(cheap, 0.0, 2.0) == now_s
    costly.on_incident(now_s, now_s + COSTLY_PAUSE_S)
    cheap.on_incident(now_s, now_s + 1.0)
    assert costly.incident_rps is not None
    assert cheap.incident_rps is not None
    assert costly.incident_rps < 0.8 * cheap.incident_rps
    assert costly.rate_rps < cheap.rate_rps


def test_after_a_second_costly_incident_the_limit_is_met_again_only_when_it_is_forgiven() -> None:
    rate = AdaptiveRate(20.0, 1000.0, 0.0)
    rate.on_incident(use(rate, 0.0, 1.0), 60.0)
    rate.on_incident(use(rate, 60.0, 100.0), 300.0)
    limit_rps = rate.incident_rps
    assert limit_rps is not None
    use(rate, 300.0, FORGIVEN_AFTER_S)
    assert PLATEAU_SHARE * limit_rps < rate.rate_rps < limit_rps


def test_a_costly_incident_after_many_files_does_not_throw_away_what_they_proved() -> None:
    rate = AdaptiveRate(20.0, 1000.0, 0.0)
    rate.on_incident(use(rate, 0.0, 1.0), 60.0)
    now_s = use(rate, 60.0, 200.0)
    before_rps = rate.rate_rps
    rate.on_incident(now_s, now_s + 120.0)
    assert rate.incident_rps is not None
    assert rate.incident_rps >= 0.85 * before_rps


def test_half_of_what_slow_start_asked_is_the_way_back_but_never_above_the_plateau() -> None:
    rate, now_s = AdaptiveRate(10.0, 1000.0, 0.0), 0.0
    for _ in range(60):
        now_s += 1 / 30
        rate.on_success(now_s, None)
    asked_rps = rate.rate_rps
    rate.on_incident(now_s, now_s + 1)
    assert rate.incident_rps is not None
    assert rate.rate_rps == pytest.approx(min(BACK_OFF * asked_rps, PLATEAU_SHARE * rate.incident_rps))
    assert rate.rate_rps > 1.2 * BACK_OFF * rate.incident_rps


def course(
    server: Server, start_rps: float, ceiling_rps: float, seconds: float, pause_s: float, ttfb_s: float | None = None
) -> list[float]:
    """Ask at the rate, pause at each refusal; the rate after each incident, and at the end."""
    rate, now_s, rates = AdaptiveRate(start_rps, ceiling_rps, 0.0), 0.0, []
    while now_s < seconds:
        now_s += 1 / rate.rate_rps
        if server.answer(now_s).kind is None:
            rate.on_success(now_s + (ttfb_s or 0.0), ttfb_s)
            continue
        rate.on_incident(now_s, now_s + pause_s)
        rates += [rate.rate_rps, rate.incident_rps or 0.0, rate.plateau_factor]
        now_s += pause_s
    return [*rates, rate.rate_rps, rate.incident_rps or 0.0]


COURSES: dict[str, tuple[Callable[[], list[float]], list[float]]] = {
    "window, short pauses": (
        lambda: course(SlidingWindow(30), 10.0, 200.0, 200.0, 1.0),
        [23.6215504, 31.3281756, 1, 15.0693654, 30.1387308, 2, 15.0346727, 30.0693454, 4, 28.5884595, 30],
    ),
    "shallow bucket, short pauses": (
        lambda: course(TokenBucket(30.0, 5.0), 3.0, 200.0, 120.0, 2.0),
        [24.1740815, 31.8378724, 1, 15.2254402, 30.4508804, 2, 29.5982169, 30.4508804],
    ),
    "deep bucket, short pauses": (
        lambda: course(TokenBucket(20.0, 60.0), 10.0, 100.0, 90.0, 1.0),
        [
            50,
            100,
            1,
            34.2092093,
            56.279203,
            1,
            26.7435842,
            36.7659285,
            1,
            17.4831039,
            23.6145818,
            1,
            11.2995186,
            20.0082863,
            2,
            19.5986964,
            20.0082863,
        ],
    ),
    "window, long pauses": (
        lambda: course(SlidingWindow(30), 10.0, 200.0, 900.0, 60.0),
        [21.8874916, 23.0394648, 2, 15.0256396, 28.829894, 40, 27.7375554, 28.829894],
    ),
    "bucket, long pauses": (
        lambda: course(TokenBucket(30.0, 30.0), 10.0, 200.0, 900.0, 60.0),
        [34.5694467, 36.3888913, 2, 17.3324647, 26.181981, 40, 28.127972, 29.1160172],
    ),
    "slow server": (
        lambda: course(TokenBucket(0.5, 1.0), 0.3, 3.0, 900.0, 5.0),
        [0.252268925, 0.504537849, 1, 0.48975489, 0.504537849],
    ),
    "no limit, slow first bytes": (lambda: course(SlidingWindow(10_000), 10.0, 60.0, 20.0, 1.0, ttfb_s=0.4), [60, 0]),
}


@pytest.mark.parametrize("name", COURSES)
def test_the_course_of_the_rate_is_the_measured_one(name: str) -> None:
    """It changes with new figures in `benchmarks/politeness`, not by a slip."""
    run, expected = COURSES[name]
    assert run() == pytest.approx(expected, rel=1e-6)


def test_a_refusal_right_after_the_last_one_halves_and_is_no_new_estimate_up_to_six_times() -> None:
    rate = AdaptiveRate(64.0, 1000.0, 0.0)
    use(rate, 0.0, 1.0)
    rate.on_incident(1.0, 2.0)
    known_rps, rates = rate.incident_rps, [rate.rate_rps]
    for number in range(6):
        rate.on_incident(2.0 + number, 3.0 + number, may_be_url=True)
        rates.append(rate.rate_rps)
        assert rate.incident_rps == known_rps
    assert rates == pytest.approx([rates[0] / 2**number for number in range(7)])
    rate.on_incident(9.0, 10.0, may_be_url=True)
    assert rate.incident_rps == pytest.approx(rates[-1]), "so often it is believed"


def test_a_refusal_that_says_how_long_to_wait_is_about_the_rate_however_soon_it_comes() -> None:
    rate = AdaptiveRate(64.0, 1000.0, 0.0)
    use(rate, 0.0, 1.0)
    rate.on_incident(1.0, 2.0)
    halved_rps = rate.rate_rps
    rate.on_incident(2.0, 3.0)
    assert rate.incident_rps == pytest.approx(halved_rps)


def test_pauses_and_failures_are_no_measurement_of_a_limit() -> None:
    """Ten files in ten minutes of trouble once made a server's limit one request a minute."""
    rate = AdaptiveRate(5.0, 1000.0, 0.0)
    for number in range(10):
        rate.on_success(60.0 * number, 0.05)
    asked_rps = rate.rate_rps
    rate.on_incident(600.0, 601.0)
    assert rate.incident_rps == asked_rps


def test_far_below_one_request_a_second_a_success_counts_more() -> None:
    rate = AdaptiveRate(0.02, 1000.0, 0.0)
    use(rate, 0.0, 600.0)
    assert rate.rate_rps > 0.1


def test_a_server_in_trouble_is_asked_half_and_at_least_every_other_second() -> None:
    rate = AdaptiveRate(8.0, 1000.0, 0.0)
    rate.on_trouble(0.0, 0.0)
    assert (rate.rate_rps, rate.incident_rps) == (4.0, None)
    for _ in range(20):
        rate.on_trouble(0.0, 0.0)
    assert rate.rate_rps == LEAST_SUSPECT_RPS
    slower = AdaptiveRate(MIN_RATE_RPS / 3, 1000.0, 0.0)
    slower.on_trouble(0.0, 0.0)
    assert slower.rate_rps == MIN_RATE_RPS / 3, "never raised"


def test_what_was_learned_from_a_refusal_can_be_taken_back() -> None:
    rate = AdaptiveRate(40.0, 1000.0, 0.0)
    now_s = use(rate, 0.0, 1.0)
    before_rps = rate.rate_rps
    lesson = rate.on_incident(now_s, now_s + COSTLY_PAUSE_S)
    assert rate.was_costly
    rate.unlearn(lesson)
    assert (rate.rate_rps, rate.incident_rps, rate.plateau_factor, rate.was_costly) == (before_rps, None, 1, False)
    again = rate.on_incident(now_s + 1, now_s + 2)
    rate.cap(10.0)
    rate.unlearn(again)
    assert rate.rate_rps == 10.0


def test_a_refusal_that_lasts_is_learned_once_more_with_care() -> None:
    bold, careful = AdaptiveRate(10.0, 1000.0, 0.0), AdaptiveRate(10.0, 1000.0, 0.0)
    now_s = use(bold, 0.0, 2.0)
    use(careful, 0.0, 2.0)
    lesson = careful.on_incident(now_s, now_s + 2.0)
    careful.learn_with_care(lesson, now_s + 60.0)
    bold.on_incident(now_s, now_s + 60.0)
    assert careful.incident_rps == pytest.approx(bold.incident_rps)
    assert (careful.rate_rps, careful.was_costly) == (pytest.approx(bold.rate_rps), True)


def test_a_refusal_at_random_restarts_the_mean_when_it_came_and_the_measurement_after_its_pause() -> None:
    rate = AdaptiveRate(10.0, 1000.0, 0.0)
    rate.noise = RefusalNoise(MOST_SCORE)
    rate.on_incident(10.0, 12.0)
    for number in range(10):
        rate.on_success(12.0 + 0.1 * number, 0.05)
    assert rate._goodput.mean_rps(20.0) == pytest.approx(10 / 10.0)
    assert rate._goodput.recent_rps() == pytest.approx(10.0)


def test_a_refusal_at_random_halves_once_until_the_rate_is_back_and_never_above_a_new_ceiling() -> None:
    rate = AdaptiveRate(80.0, 80.0, 0.0)
    rate.noise = RefusalNoise(MOST_SCORE)
    for at_s in (10.0, 12.0):
        rate.on_incident(at_s, at_s + 1.0)
        assert rate.rate_rps == 40.0
    rate.cap(20.0)
    rate.on_incident(20.0, 21.0)
    assert rate.rate_rps == 10.0


class Fit:
    """A log of requests that a limit of 5/s explains, and which refusals were taken out of it."""

    def __init__(self) -> None:
        self.taken_back: list[float] = []

    def limit_rps(self, _used_rps: float, *, is_careful: bool) -> float:
        return 5.0

    def was_not_refused(self, sent_s: float) -> None:
        self.taken_back.append(sent_s)


def test_a_limit_that_explains_the_answers_lowers_the_rate_below_it() -> None:
    rate = AdaptiveRate(50.0, 100.0, 0.0)
    rate._fit = Fit()  # type: ignore[assignment]  # as far as it is used
    rate._refine()
    assert rate.incident_rps == 5.0
    assert rate.rate_rps == pytest.approx(5.0 * PLATEAU_SHARE)


def test_a_refusal_that_is_taken_back_is_none_for_the_fit_either() -> None:
    rate = AdaptiveRate(50.0, 100.0, 0.0)
    lesson = rate.on_incident(10.0, 12.0, 9.5)
    rate._fit = fit = Fit()  # type: ignore[assignment]  # as far as it is used
    rate.unlearn(lesson)
    assert fit.taken_back == [9.5]


def test_what_is_not_known_of_an_earlier_process_is_what_a_new_one_begins_with() -> None:
    rate, new = AdaptiveRate(10.0, 1000.0, 0.0), AdaptiveRate(10.0, 1000.0, 0.0)
    rate.resume(5.0, 8.0)
    assert (rate.rate_rps, rate.incident_rps) == (5.0, 8.0)
    assert (rate.plateau_factor, rate.was_costly) == (new.plateau_factor, new.was_costly) == (1, False)
    rate.resume(2000.0, None, 4, was_costly=True)
    assert (rate.rate_rps, rate.incident_rps, rate.plateau_factor, rate.was_costly) == (1000.0, None, 4, True)


def test_refusals_that_were_not_about_the_rate_are_all_forgotten_at_once() -> None:
    rate = AdaptiveRate(40.0, 40.0, 0.0)
    now_s = use(rate, 0.0, 2.0)
    for _ in range(2):
        rate.on_incident(now_s, now_s + 60.0)
        now_s += 60.0
    assert rate.incident_rps is not None and rate.was_costly and rate.plateau_factor > 1
    rate.take_back_all()
    assert (rate.incident_rps, rate.was_costly, rate.plateau_factor) == (None, False, 1)
    assert BACK_OFF * 40.0 <= rate.rate_rps < 40.0
    successes = 0
    while rate.rate_rps < 39.9:
        now_s, successes = now_s + 1 / rate.rate_rps, successes + 1
        rate.on_success(now_s, None)
    assert successes <= 10, "the way back is known, so it is faster than slow start, which takes 14"
    before = rate.rate_rps
    rate.take_back_all()
    assert rate.rate_rps == before, "there is nothing left to take back"


@pytest.mark.parametrize(("successes", "is_proven"), [(999, False), (1000, True)])
def test_a_thousand_files_prove_a_rate(successes: int, is_proven: bool) -> None:
    rate = AdaptiveRate(10.0, 10.0, 0.0)
    for number in range(successes):
        rate.on_success(number / 10, None)
    assert rate._is_proven is is_proven


def test_a_limit_of_an_earlier_process_is_forgotten_with_what_taught_this_one() -> None:
    """After a restart nobody knew what had taught it: refusals at random kept a server of 4/s at 0.2/s for hours."""
    rate = AdaptiveRate(40.0, 40.0, 0.0)
    rate.resume(0.4, 0.4, 40, was_costly=True)
    rate.on_incident(1.0, 61.0)
    rate.take_back_all()
    assert (rate.incident_rps, rate.was_costly, rate.plateau_factor) == (None, False, 1)
    use(rate, 61.0, 60.0)
    assert rate.rate_rps > 5.0
    rate.on_incident(200.0, 260.0)
    learned_rps = rate.incident_rps
    rate.take_back_all()
    assert learned_rps is not None
    assert rate.incident_rps is None, "what was learned since is taken back as always"


def test_a_limit_that_was_certain_is_forgotten_once_refusals_turn_out_to_be_noise() -> None:
    """What taught it was forgotten by then, so nothing took it back: a server of 2/s stayed at 0.1/s."""
    rate = AdaptiveRate(10.0, 10.0, 0.0)
    rate.resume(0.1, 0.2, 40)
    rate._is_hearsay = False  # as once refusals were certainly about the rate
    for number in range(20):
        rate.on_success(10.0 * number, 0.0)
    rate.noise = RefusalNoise(MOST_SCORE)
    rate.on_incident(200.0, 202.0)
    rate.on_success(210.0, 0.0)
    assert rate.noise.is_noise
    assert rate.incident_rps is None
    use(rate, 211.0, 180.0)
    assert rate.rate_rps > 2.0


def test_a_limit_of_an_earlier_process_is_believed_once_refusals_are_certainly_about_the_rate() -> None:
    rate = AdaptiveRate(40.0, 40.0, 0.0)
    rate.resume(10.0, 10.0)
    server, now_s = TokenBucket(10.0, 1.0), 0.0
    rate.noise.score = LEAST_SCORE + 0.25
    while not rate.noise.is_certainly_none and now_s < 600.0:
        now_s += 1 / rate.rate_rps
        if server.answer(now_s).kind is None:
            rate.on_success(now_s, 0.0)
        else:
            rate.on_incident(now_s, now_s + 2.0)
            now_s += 2.0
    assert rate.noise.is_certainly_none
    rate.take_back_all()
    assert rate.incident_rps == pytest.approx(10.0, rel=0.3)


def test_what_refusals_are_about_is_judged_when_a_probe_ends_their_pause_early() -> None:
    """A refused request that follows no other closely is noise. A server of 4/s stayed at 0.2/s: hours were planned."""
    rate = AdaptiveRate(4.0, 4.0, 0.0)
    for number in range(30):
        rate.on_success(number / 4, None)
    rate.on_incident(9.0, 2009.0, 9.0)
    assert (rate.rate_rps, rate.noise.is_noise) == (pytest.approx(2.0, rel=0.2), False)
    rate.on_recovery(29.0)
    rate.on_success(29.0, None)
    assert rate.noise.is_noise
    for number in range(40):
        rate.on_success(29.5 + number / 4, None)
    assert rate.rate_rps == pytest.approx(4.0)


def test_what_was_judged_is_not_judged_again_by_another_recovery() -> None:
    rate = AdaptiveRate(4.0, 4.0, 0.0)
    for number in range(30):
        rate.on_success(number / 4, None)
    rate.on_incident(9.0, 2009.0, 9.0)
    for at_s in (29.0, 39.0):
        rate.on_recovery(at_s)
        rate.on_success(at_s, None)
    assert rate.noise.score == UNEXPLAINED


def test_where_hardly_a_file_came_other_answers_show_that_a_refusal_is_not_about_the_rate() -> None:
    """Most files of a list are gone: a rate that URLs refused for themselves had halved to 0.02/s stayed there."""
    rate = AdaptiveRate(4.0, 8.0, 0.0)
    for number in range(20):
        rate.on_answer(0.25 * number)
    assert rate.rate_rps == 4.0, "they raise nothing"
    rate.on_incident(20.0, 22.0, 20.0)
    assert rate.rate_rps == 2.0
    rate.on_answer(25.0)
    assert (rate.noise.is_noise, rate.incident_rps) == (True, None), "it followed others by fifteen seconds"


def test_where_files_came_other_answers_are_not_compared_as_a_limit_may_be_for_files_alone() -> None:
    rate = AdaptiveRate(4.0, 8.0, 0.0)
    for number in range(200):
        rate.on_answer(0.1 * number)
    for number in range(20):
        rate.on_success(float(number), None)
    rate.on_incident(19.5, 21.5, 19.5)
    rate.on_answer(25.0)
    assert not rate.noise.is_noise
    assert rate.incident_rps is not None, "no file came so soon after another"
