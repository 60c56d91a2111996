from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.errors import ErrorKind
from ray_downloader.profile.estimate import (
    LONGEST_SPACING_S,
    Connection,
    Probe,
    RateLimits,
    RobotsFinding,
    Sample,
    estimate_profile,
    first_rate_rps,
)

LIMITS = RateLimits(default_rps=3.0, ceiling_rps=30.0)
GOOD = Sample(None, 200, ttfb_s=0.05, total_s=0.1, size_bytes=60_000, content_type="image/jpeg", http_version="1.1")
SILENT = Sample(ErrorKind.CONNECT, message="refused")
THROTTLED = Sample(ErrorKind.HTTP_429, 429, ttfb_s=0.01, total_s=0.01, retry_after_s=7.0)
QUICK = replace(GOOD, total_s=1 / 12)
BROKEN = Sample(ErrorKind.HTTP_5XX, 500, ttfb_s=0.05, total_s=1 / 12)
MISSING = Sample(ErrorKind.HTTP_4XX, 404, ttfb_s=0.05, total_s=1 / 12)


def rate(*samples: Sample, limits: RateLimits = LIMITS, crawl_delay_s: float | None = None) -> float | None:
    return first_rate_rps(samples, 3.0, limits, crawl_delay_s)


def test_a_quick_server_gets_the_geometric_mean_of_one_visitors_rate_and_the_default() -> None:
    assert rate(QUICK, QUICK, QUICK) == pytest.approx(6.0)  # sqrt(12 * 3)


def test_a_slow_server_gets_the_default_while_two_connections_are_enough() -> None:
    assert rate(replace(QUICK, total_s=0.6)) == 3.0
    assert rate(replace(QUICK, total_s=4.0)) == 0.5


def test_the_median_answer_counts_so_one_slow_start_does_not() -> None:
    assert rate(replace(QUICK, total_s=9.0), QUICK, QUICK) == pytest.approx(6.0)


def test_a_very_fast_server_gets_no_more_than_the_ceiling() -> None:
    assert rate(replace(QUICK, total_s=1e-6)) == 30.0


def test_a_server_that_never_answered_gets_no_rate() -> None:
    assert rate(SILENT, SILENT) is None


def test_a_server_that_pushed_back_starts_at_half_the_pace_it_was_probed_at() -> None:
    assert rate(GOOD, THROTTLED) == 1.5


def test_headers_that_allow_nothing_for_now_are_a_throttled_answer() -> None:
    assert rate(replace(GOOD, ratelimit_rps=0.0)) == 1.5


def test_failures_of_the_server_lower_the_rate_in_proportion() -> None:
    assert rate(QUICK, BROKEN) == pytest.approx(3.0)
    assert rate(QUICK, SILENT) == pytest.approx(3.0)


def test_a_missing_file_is_no_failure_of_the_server() -> None:
    assert rate(QUICK, MISSING) == pytest.approx(6.0)


def test_half_an_answer_is_a_failure_of_the_server() -> None:
    assert rate(QUICK, Sample(ErrorKind.TIMEOUT, 200)) == pytest.approx(3.0)


def test_a_crawl_delay_is_a_ceiling() -> None:
    assert rate(GOOD, crawl_delay_s=4.0) == 0.25


def test_a_stated_limit_is_a_ceiling_and_the_strictest_one_counts() -> None:
    assert rate(replace(GOOD, ratelimit_rps=2.0), replace(GOOD, ratelimit_rps=1.5)) == 1.5


def test_a_crawl_delay_is_kept_even_where_it_is_longer_than_our_longest_spacing() -> None:
    assert rate(GOOD, crawl_delay_s=300.0) == pytest.approx(1 / 300)


def test_a_server_that_takes_minutes_is_still_asked_once_a_minute() -> None:
    assert rate(replace(GOOD, total_s=500.0)) == pytest.approx(1 / LONGEST_SPACING_S)


@pytest.mark.parametrize("total_s", [5e-324, 1e-9])
def test_a_time_that_no_clock_measures_gives_a_finite_rate(total_s: float) -> None:
    sample = replace(GOOD, total_s=total_s)
    found = rate(sample)
    assert found is not None
    assert 0 < found <= 10 * LIMITS.default_rps
    assert estimate_profile(probed(sample), LIMITS).bytes_per_s == pytest.approx(sample.size_bytes / 1e-4)


answered = st.builds(
    Sample,
    kind=st.sampled_from([None, ErrorKind.HTTP_4XX, ErrorKind.HTTP_429, ErrorKind.HTTP_5XX, ErrorKind.TIMEOUT]),
    http_status=st.sampled_from([200, 404, 429, 500, 503]),
    total_s=st.none() | st.floats(0, 1e4),
    ratelimit_rps=st.none() | st.floats(0, 1e6),
)


@pytest.mark.stage
@given(
    st.lists(answered | st.just(SILENT), min_size=1, max_size=5),
    st.floats(0.01, 100),
    st.floats(0.01, 1000),
    st.none() | st.floats(0.1, 300),
)
def test_no_rate_is_ever_above_a_ceiling_or_without_sense(
    samples: list[Sample], default_rps: float, ceiling_rps: float, crawl_delay_s: float | None
) -> None:
    found = first_rate_rps(samples, default_rps, RateLimits(default_rps, ceiling_rps), crawl_delay_s)
    if found is None:
        assert not any(sample.is_answered for sample in samples)
    else:
        assert 0 < found <= ceiling_rps
        assert crawl_delay_s is None or found <= 1 / crawl_delay_s


def probed(*samples: Sample, **changes: object) -> Probe:
    return replace(Probe("a.example", 3, 3.0, samples, Connection(0.01, 0.02, "ok")), **changes)  # type: ignore[arg-type]


def test_a_profile_counts_times_sizes_and_statuses() -> None:
    slow = replace(GOOD, ttfb_s=0.4, reused=True)
    profile = estimate_profile(probed(GOOD, GOOD, slow, MISSING), LIMITS)
    assert (profile.success_count, profile.error_count, profile.statuses) == (3, 1, "200:3 404:1")
    assert profile.ttfb_median_s == 0.05
    assert profile.ttfb_p90_s == 0.4
    assert profile.bytes_per_s == pytest.approx(600_000)
    assert (profile.size_median_bytes, profile.keep_alive, profile.reachable) == (60_000, True, True)
    assert profile.note == ""


def test_an_unreachable_server_gets_a_note_and_no_rate() -> None:
    profile = estimate_profile(probed(SILENT, SILENT), LIMITS)
    assert (profile.rate_limit, profile.reachable, profile.statuses) == (None, False, "connect:2")
    assert profile.note == "not reached: refused"


def test_a_server_that_takes_connections_but_never_answers_is_told_apart() -> None:
    hung = Sample(ErrorKind.TIMEOUT, message="no end within 10 s")
    assert estimate_profile(probed(hung), LIMITS).note == "no answer: no end within 10 s"


def test_a_refused_certificate_asks_for_a_rule() -> None:
    refused = Sample(ErrorKind.TLS, message="broken chain")
    profile = estimate_profile(probed(refused, connection=Connection(tls="broken chain")), LIMITS)
    assert profile.needs_rule == "verify_tls (broken chain)"


def test_web_pages_instead_of_images_are_noted() -> None:
    page = replace(GOOD, content_type="text/html; charset=utf-8")
    assert "1 of 2 answers are web pages" in estimate_profile(probed(GOOD, page), LIMITS).note


def test_robots_and_throttling_are_recorded() -> None:
    profile = estimate_profile(probed(GOOD, THROTTLED, robots=RobotsFinding(2.0, 0.4), cut_short="stopped"), LIMITS)
    assert (profile.crawl_delay_s, profile.disallowed_share, profile.retry_after_s) == (2.0, 0.4, 7.0)
    assert profile.note == "stopped; asked for fewer requests"
    assert profile.rate_limit == 0.5


@pytest.mark.parametrize(
    ("sample", "is_throttled"),
    [
        (Sample(ErrorKind.HTTP_429, 202), True),
        (Sample(ErrorKind.HTTP_403_BAN, 403), True),
        (Sample(ErrorKind.HTTP_5XX, 503), True),
        (Sample(ErrorKind.HTTP_5XX, 500), False),
        (Sample(ErrorKind.HTTP_4XX, 403), False),
        (Sample(None, 200, ratelimit_rps=0.0), True),
        (Sample(None, 200, ratelimit_rps=0.1), False),
        (Sample(None, 200), False),
    ],
)
def test_an_answer_that_asks_for_less_is_told_from_others(sample: Sample, is_throttled: bool) -> None:
    assert sample.is_throttled is is_throttled


def test_what_is_to_outlive_the_probe_is_in_the_profile() -> None:
    waits = [Sample(ErrorKind.HTTP_5XX, 503, retry_after_s=wait, retry_at_unix_s=1000 + wait) for wait in (60, 90, 30)]
    profile = estimate_profile(probed(GOOD, *waits, robots=RobotsFinding(2.0, 0.5, names_us=True)), LIMITS)
    assert (profile.crawl_delay_s, profile.robots_names_us, profile.retry_at_unix_s) == (2.0, True, 1090)
    quiet = estimate_profile(probed(GOOD, robots=RobotsFinding()), LIMITS)
    assert (quiet.robots_names_us, quiet.retry_at_unix_s) == (False, None)


def test_a_robots_txt_that_could_not_be_read_says_nothing() -> None:
    profile = estimate_profile(probed(GOOD, robots=RobotsFinding(is_unreachable=True)), LIMITS)
    assert (profile.crawl_delay_s, profile.disallowed_share, profile.robots_names_us) == (None, None, None)
    assert "robots.txt could not be read" in profile.note
