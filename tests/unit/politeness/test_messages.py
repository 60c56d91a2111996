"""What is said where nothing is said: a message means the least that it can."""

from __future__ import annotations

from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, ProbeUrl, Verdict, WaitReason


def test_an_outcome_is_of_a_rows_first_request_that_has_just_ended() -> None:
    outcome = Outcome(None)
    assert (outcome.http_status, outcome.size_bytes, outcome.ttfb_s, outcome.total_s) == (None, 0, None, None)
    assert (outcome.retry_after_s, outcome.ratelimit_rps, outcome.ratelimit_reset_s) == (None, None, None)
    assert (outcome.age_s, outcome.url_hash, outcome.connections, outcome.said) == (0.0, 0, 1, "")
    assert outcome.is_row
    assert not outcome.is_retry
    assert not outcome.is_odd


def test_an_outcome_that_is_told_later_is_the_same_but_older() -> None:
    assert Outcome(None, 200, 5).aged(2.5) == Outcome(None, 200, 5, age_s=2.5)


def test_a_request_gives_nothing_back_and_has_nothing_under_way() -> None:
    request = LeaseRequest("a.org", "worker", 3)
    assert (request.in_flight, request.unused, request.outcomes, request.crawl_delay_s) == (0, 0, (), None)


def test_a_lease_allows_what_it_says_and_no_more() -> None:
    lease = Lease("a.org", 3)
    assert (lease.first_in_s, lease.interval_s, lease.valid_s, lease.request_again_in_s) == (0.0, 0.0, 0.0, 0.0)
    assert (lease.burst, lease.connections, lease.retries, lease.serial) == (1, 0, 0, 0)
    assert (lease.verdict, lease.reason, lease.said) == (Verdict.OPEN, None, "")
    assert not (lease.is_403_ban or lease.is_probe)
    assert (lease.probe_url, lease.controls) == (ProbeUrl.NEW, ())


def test_why_a_server_waits_is_what_status_prints() -> None:
    assert [str(reason.value) for reason in WaitReason] == [
        "retry_after", "backoff", "deferred", "robots", "crawl_delay", "quota", "paused_by_operator", "outage",
    ]  # fmt: skip
