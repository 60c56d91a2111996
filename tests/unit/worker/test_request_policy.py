"""What one answer means, for its row and for its server's budget."""

from __future__ import annotations

import json
import random
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.secrets import SecretHeaders
from ray_downloader.config.settings import Settings
from ray_downloader.errors import TRANSIENT_KINDS, ErrorKind
from ray_downloader.fetch.base import FetchResult
from ray_downloader.politeness.messages import Lease, Verdict
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.worker.request_policy import ODD_DELAY_S, Failure, RequestPolicy, Route, failure_of_checksum

NOW_UNIX_S = 1_800_000_000.0


def a_policy(ignored: tuple[str, ...] = (), **groups: Any) -> RequestPolicy:
    settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": "out", **groups})
    book = PolicyBook(settings.politeness, settings.downloader_parameters, {})
    return RequestPolicy(settings, book, ignored)


# -- routes ----------------------------------------------------------------------------------------------------------


def test_a_route_names_url_server_and_budget() -> None:
    rules = [{"server": "self-signed.example", "verify_tls": False}]
    policy = a_policy(politeness={"rules": rules})
    route = policy.route("HTTP://LIVE.staticflickr.com:80/a b.jpg")
    assert isinstance(route, Route)
    assert route.url == "http://live.staticflickr.com/a%20b.jpg"
    assert (route.server, route.budget, route.verify_tls) == ("live.staticflickr.com", "staticflickr.com", None)
    other = policy.route("https://self-signed.example/1.jpg")
    assert isinstance(other, Route)
    assert other.verify_tls is False


def test_a_group_may_be_ignored_as_a_whole_and_a_host_of_it_alone() -> None:
    one, other = "http://c1.staticflickr.com/1.jpg", "http://c2.staticflickr.com/1.jpg"
    for ignored, are_asked in (("staticflickr.com", [False, False]), ("c1.staticflickr.com", [False, True])):
        policy = a_policy(ignored=(ignored,))
        assert [isinstance(policy.route(url), Route) for url in (one, other)] == are_asked
        failure = policy.route(one)
        assert isinstance(failure, Failure)
        assert failure.message == f"{ignored} is in the table of ignored servers"


@pytest.mark.parametrize(
    ("url", "kind"),
    [("ftp://a.example/", ErrorKind.BAD_URL), ("http://no.example/1.jpg", ErrorKind.IGNORED_SERVER)],
)
def test_where_no_request_goes_it_says_why(url: str, kind: ErrorKind) -> None:
    failure = a_policy(ignored=("no.example",)).route(url)
    assert isinstance(failure, Failure)
    assert failure.kind is kind


# -- answers ---------------------------------------------------------------------------------------------------------


def test_a_file_is_no_failure() -> None:
    result = FetchResult(0, None, 200, {"x-robots-tag": "nofollow"}, b"bytes", ttfb_s=0.1, total_s=0.4)
    policy = a_policy()
    assert policy.failure_of(result, NOW_UNIX_S) is None
    outcome = policy.outcome(result, None, NOW_UNIX_S)
    assert (outcome.kind, outcome.http_status, outcome.size_bytes) == (None, 200, 5)
    assert (outcome.ttfb_s, outcome.total_s, outcome.retry_after_s, outcome.ratelimit_rps) == (0.1, 0.4, None, None)


def test_a_date_to_wait_for_is_read_on_the_clock_of_the_server() -> None:
    """Ours was an hour behind, and the server was waited for that much longer."""
    headers = {"date": "Fri, 15 Jan 2027 08:00:00 GMT", "retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}
    result = FetchResult(0, ErrorKind.HTTP_429, 429, headers)
    for wrong_by_s in (-3600.0, 0.0, 86_400.0):
        failure = a_policy().failure_of(result, 1_800_000_000.0 + wrong_by_s)
        assert failure is not None and failure.retry_after_s == pytest.approx(30.0)


def test_a_refusal_carries_what_the_server_asks_for() -> None:
    headers = {"retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}
    result = FetchResult(0, ErrorKind.HTTP_429, 429, headers, message="HTTP status 429", said="429 slow down")
    policy = a_policy()
    failure = policy.failure_of(result, NOW_UNIX_S)
    assert failure == Failure(ErrorKind.HTTP_429, "HTTP status 429", 429, 7.0)
    outcome = policy.outcome(result, failure, NOW_UNIX_S)
    assert (outcome.kind, outcome.retry_after_s, outcome.said) == (ErrorKind.HTTP_429, 7.0, "429 slow down")
    assert (outcome.ratelimit_rps, outcome.ratelimit_reset_s) == (0.0, 30.0)


@pytest.mark.parametrize(
    ("status", "is_ban", "kind"),
    [(403, True, ErrorKind.HTTP_403_BAN), (403, False, ErrorKind.HTTP_4XX), (404, True, ErrorKind.HTTP_4XX)],
)
def test_a_403_in_a_ban_is_not_about_its_file(status: int, is_ban: bool, kind: ErrorKind) -> None:
    result = FetchResult(0, ErrorKind.HTTP_4XX, status)
    failure = a_policy().failure_of(result, NOW_UNIX_S, is_403_ban=is_ban)
    assert failure is not None
    assert failure.kind is kind


def test_a_file_that_opts_out_is_a_failure() -> None:
    failure = a_policy().failure_of(FetchResult(0, None, 200, {"x-robots-tag": "noai"}, b"x"), NOW_UNIX_S)
    assert failure == Failure(ErrorKind.OPTED_OUT, "X-Robots-Tag: noai", 200)


@pytest.mark.parametrize(("politeness", "is_failure"), [({"opt_out": "strict"}, True), ({}, False)])
def test_a_reservation_counts_only_where_opting_out_is_read_strictly(
    politeness: dict[str, str], is_failure: bool
) -> None:
    result = FetchResult(0, None, 200, {"tdm-reservation": "1"}, b"x")
    failure = a_policy(politeness=politeness).failure_of(result, NOW_UNIX_S)
    assert (failure is not None and failure.kind is ErrorKind.OPTED_OUT) is is_failure


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (Verdict.DEAD, ErrorKind.SERVER_DEAD), (Verdict.REFUSED, ErrorKind.SERVER_REFUSED),
        (Verdict.OPTED_OUT, ErrorKind.OPTED_OUT), (Verdict.BANNED, ErrorKind.IGNORED_SERVER),
    ],
)  # fmt: skip
def test_a_verdict_is_an_error_with_what_the_server_said(verdict: Verdict, kind: ErrorKind) -> None:
    failure = Failure.of_verdict(Lease("a.example", 0, verdict=verdict, said="503 closed for repairs"))
    assert failure.kind is kind
    assert failure.message.endswith(": 503 closed for repairs")
    assert ": " not in Failure.of_verdict(Lease("a.example", 0, verdict=verdict)).message


def test_a_failure_travels_as_json_and_becomes_a_record() -> None:
    failure = Failure(ErrorKind.HTTP_5XX, "HTTP status 503", 503, 7.5)
    assert Failure.load(json.loads(json.dumps(failure.dump()))) == failure
    at = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
    record = failure.record(2, at)
    assert (record.error_kind, record.error_code, record.http_status) == ("http_5xx", 503, 503)
    assert (record.retry_count, record.retry_after_s, record.fetched_at) == (2, 7.5, at)
    assert Failure(ErrorKind.DNS, "").record(0, at).error_code == -1


def test_bytes_that_are_not_the_listed_ones_say_how_many_came() -> None:
    failure = failure_of_checksum(FetchResult(0, None, 200, body=b"12345"))
    assert "5 bytes arrived" in failure.message
    assert failure.http_status == 200


# -- retries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_only_what_may_pass_is_tried_again(kind: ErrorKind) -> None:
    by_run = {ErrorKind.SERVER_DEAD, ErrorKind.SERVER_REFUSED, ErrorKind.INTERNAL}  # another run may, this one not
    may_pass = a_policy().may_pass(Failure(kind, ""))
    if kind.value != "checksum_mismatch":
        assert may_pass is (kind in TRANSIENT_KINDS - by_run)


def test_three_requests_an_image() -> None:
    policy, rng, failure = a_policy(), random.Random(0), Failure(ErrorKind.TIMEOUT, "")
    assert policy.retry_delay_s(failure, 2, rng) is not None
    assert policy.retry_delay_s(failure, 3, rng) is None


def test_an_odd_row_waits_longer_each_time() -> None:
    policy, rng, failure = a_policy(network={"max_attempts": 5}), random.Random(0), Failure(ErrorKind.HTTP_429, "")
    assert ODD_DELAY_S == 10.0
    for attempt in (2, 3, 4):
        delay_s = policy.retry_delay_s(failure, attempt, rng, is_odd=True)
        assert delay_s is not None
        assert delay_s >= 10.0 * (attempt - 1)
        usual_s = policy.retry_delay_s(failure, attempt, rng)
        assert usual_s is not None
        assert usual_s <= 8.0


@pytest.mark.parametrize(
    ("url", "start", "is_carried"),
    [
        ("http://a.example/1", "http://a.example/1", True),
        ("HTTP://A.example/1 2", "HTTP://A.example/1 2", True),
        ("http://a.example/2", "http://a.example/1", True),
        ("https://a.example/2", "http://a.example/1", True),
        ("http://a.example/2", "https://a.example/1", False),
        ("http://b.example/1", "http://a.example/1", False),
        ("http://a.example:81/1", "http://a.example/1", False),
        ("http://a.example/1", None, False),
        ("http://a.example/1", "not a url", False),
    ],
)
def test_the_headers_of_the_configuration_stay_with_the_server_of_the_row(
    url: str, start: str | None, is_carried: bool
) -> None:
    settings = Settings(path_to_input="list.txt", path_to_output=Path("out"))
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, {})
    policy = RequestPolicy(settings, policies, (), SecretHeaders({"Authorization": "s3cret"}))
    route = policy.route(url, start)
    assert isinstance(route, Route)
    assert dict(route.headers) == ({"Authorization": "s3cret"} if is_carried else {})
    assert "s3cret" not in repr(route)


def test_a_row_waits_as_its_answer_says_but_no_longer_than_a_server_is_waited_for() -> None:
    policy, rng = a_policy(politeness={"patience_s": 60.0}), random.Random(1)
    short, day = (Failure(ErrorKind.HTTP_429, "", 429, wait_s) for wait_s in (30.0, 86_400.0))
    assert policy.own_wait_s(short) == 30.0
    assert policy.own_wait_s(day) == 60.0
    assert policy.retry_delay_s(day, 1, rng) == 60.0
    assert policy.retry_delay_s(short, 1, rng, is_odd=True) == 30.0
    assert policy.retry_delay_s(day, 1, rng, is_odd=True) is None, (
        "others are served, and it says when: that is its error"
    )
