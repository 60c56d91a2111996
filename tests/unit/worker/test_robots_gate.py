"""Which rows pass a server's robots.txt, and when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchResult
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.politeness.messages import Outcome
from ray_downloader.worker import robots_gate
from ray_downloader.worker.request_policy import Route
from ray_downloader.worker.robots_gate import (
    MAX_HOPS,
    RETRY_DELAYS_S,
    Admission,
    RobotsGate,
    RobotsRequest,
    robots_url,
)
from ray_downloader.worker.robots_store import KEEP_S, RobotsStore
from tests.support.rows import a_row


def route(path: str = "/1.jpg") -> Route:
    return Route(RequestUrl.parse(f"http://a.example{path}"), "a.example")


def admit(gate: RobotsGate, path: str = "/1.jpg") -> Admission:
    return gate.admit(a_row(f"http://a.example{path}"), route(path))


def answered(gate: RobotsGate, **result: Any) -> int:
    return len(gate.learn(RobotsRequest("a.example", route("/robots.txt")), FetchResult(0, **result)))


def answered_tdmrep(gate: RobotsGate, **result: Any) -> int:
    request = gate.file_request(route(), lambda url: route(url.removeprefix("http://a.example")))
    assert request is not None and request.is_for_tdmrep
    assert request.route.url == "http://a.example/.well-known/tdmrep.json"
    return len(gate.learn(request, FetchResult(0, **result)))


def test_the_first_row_asks_for_robots_txt_and_later_ones_wait(tmp_path: Path) -> None:
    gate = RobotsGate("delay", RobotsStore(tmp_path, 0.0))
    assert admit(gate) is Admission.HELD
    assert gate.needs_request("a.example")
    assert admit(gate) is Admission.HELD
    assert not gate.needs_request("a.example")
    assert answered(gate, kind=None, status=200, body=b"User-agent: *\nCrawl-delay: 3\n") == 2
    assert gate.crawl_delay_s("a.example") == 3.0
    assert admit(gate) is Admission.ADMITTED


@pytest.mark.parametrize(
    ("kind", "status", "admission"),
    [
        (ErrorKind.HTTP_4XX, 404, Admission.ADMITTED),
        (ErrorKind.HTTP_5XX, 500, Admission.EXCLUDED),
        (ErrorKind.TIMEOUT, None, Admission.EXCLUDED),
        (ErrorKind.DNS, None, Admission.ADMITTED),
    ],
)
def test_an_answer_without_a_file_is_taken_as_rfc_9309_says(
    tmp_path: Path, kind: ErrorKind, status: int | None, admission: Admission
) -> None:
    gate = RobotsGate("obey", RobotsStore(tmp_path, 0.0))
    admit(gate)
    answered(gate, kind=kind, status=status)
    assert admit(gate) is admission


@pytest.mark.parametrize("mode", ["delay", "obey", "ignore"])
def test_the_file_is_read_before_the_first_row_in_each_mode(tmp_path: Path, mode: Any) -> None:
    gate = RobotsGate(mode, RobotsStore(tmp_path, 0.0))
    assert admit(gate) is Admission.HELD
    assert gate.needs_request("a.example")


def test_a_kept_file_counts_for_a_day(tmp_path: Path) -> None:
    gate = RobotsGate("obey", RobotsStore(tmp_path, 1000.0))
    admit(gate)
    answered(gate, kind=None, status=200, body=b"User-agent: *\nDisallow: /private\n")
    later = RobotsGate("obey", RobotsStore(tmp_path, 1000.0 + KEEP_S - 1))
    assert admit(later, "/private/1.jpg") is Admission.EXCLUDED
    assert later.disallowed == {"a.example": 1}
    assert admit(RobotsGate("obey", RobotsStore(tmp_path, 1000.0 + KEEP_S + 1))) is Admission.HELD


def test_published_constants() -> None:
    assert KEEP_S == 86_400.0, "RFC 9309 section 2.4"
    assert MAX_HOPS == 5, "RFC 9309 section 2.3.1.2"
    assert RETRY_DELAYS_S == (2.0, 10.0, 30.0)


RULES = b"User-agent: *\nDisallow: /private\n"
OURS = b"User-agent: ray_downloader\nDisallow: /private\n\nUser-agent: *\nDisallow:\n"


@pytest.mark.parametrize(
    ("mode", "body", "admission"),
    [
        ("obey", RULES, Admission.EXCLUDED),
        ("delay", RULES, Admission.ADMITTED),
        ("delay", OURS, Admission.EXCLUDED),
        ("obey", OURS, Admission.EXCLUDED),
        ("ignore", OURS, Admission.EXCLUDED),
    ],
)
def test_disallow_is_counted_and_obeyed_where_asked_or_where_it_names_us(
    tmp_path: Path, mode: Any, body: bytes, admission: Admission
) -> None:
    gate = RobotsGate(mode, RobotsStore(tmp_path, 0.0))
    admit(gate)
    answered(gate, kind=None, status=200, body=body)
    assert admit(gate, "/private/1.jpg") is admission
    assert gate.disallowed == {"a.example": 1}
    assert admit(gate, "/public/1.jpg") is Admission.ADMITTED
    assert gate.disallowed == {"a.example": 1}
    assert gate.reason("a.example") == "robots.txt of a.example excludes it"


@pytest.mark.parametrize(
    ("result", "budget", "waits", "trouble_from"),
    [
        (FetchResult(0, ErrorKind.HTTP_5XX, 503), "a.example", [2.0, 10.0, 30.0, 30.0, 30.0], 4),
        (FetchResult(0, ErrorKind.RESET), "a.example", [2.0, 10.0, 30.0, 30.0, 30.0], 4),
        (FetchResult(0, ErrorKind.CONNECT), "a.example", [2.0, 10.0, 30.0, 30.0, 30.0], 2),
        (FetchResult(0, ErrorKind.HTTP_5XX, 503), "group", [2.0, 10.0, 30.0, None, None], None),
    ],
    ids=["refused", "reset", "unreached", "in a group"],
)
def test_under_obey_an_unreachable_file_becomes_its_servers_trouble_unless_that_is_a_group(
    tmp_path: Path, result: FetchResult, budget: str, waits: list[float | None], trouble_from: int | None
) -> None:
    gate, request = RobotsGate("obey", RobotsStore(tmp_path, 0.0)), RobotsRequest("a.example", route("/robots.txt"))
    seen, troubles = [], []
    for request.tries in range(1, 6):
        seen.append(gate.retry_delay_s(request, result, budget))
        troubles.append(gate.shows_trouble(request, result, budget))
    assert seen == waits
    assert troubles == [trouble_from is not None and tries >= trouble_from for tries in range(1, 6)]


def test_what_another_task_has_fetched_meanwhile_is_not_requested(tmp_path: Path) -> None:
    early, late = RobotsGate("obey", RobotsStore(tmp_path, 0.0)), RobotsGate("obey", RobotsStore(tmp_path, 0.0))
    request = RobotsRequest("a.example", route("/robots.txt"))
    admit(early)
    admit(late)
    assert late.recall(request) == []
    assert answered(early, kind=None, status=200, body=RULES) == 1
    assert len(late.recall(request)) == 1
    assert admit(late, "/private/1.jpg") is Admission.EXCLUDED


@pytest.mark.parametrize(
    ("mode", "result", "is_again"),
    [
        ("obey", FetchResult(0, ErrorKind.HTTP_5XX, 500), True),
        ("obey", FetchResult(0, ErrorKind.HTTP_429, 429), True),
        ("obey", FetchResult(0, ErrorKind.TIMEOUT), True),
        ("obey", FetchResult(0, ErrorKind.DNS), True),
        ("obey", FetchResult(0, ErrorKind.HTTP_4XX, 404), False),
        ("obey", FetchResult(0, None, 200), False),
        ("delay", FetchResult(0, ErrorKind.HTTP_5XX, 500), False),
    ],
)
def test_only_what_may_pass_and_matters_is_requested_again(
    tmp_path: Path, mode: Any, result: FetchResult, is_again: bool
) -> None:
    request = RobotsRequest("a.example", route("/robots.txt"))
    delay_s = RobotsGate(mode, RobotsStore(tmp_path, 0.0)).retry_delay_s(request, result, "a.example")
    assert (delay_s is not None) is is_again


def test_what_could_not_be_read_excludes_under_obey_with_its_reason_and_is_not_kept(tmp_path: Path) -> None:
    gate = RobotsGate("obey", RobotsStore(tmp_path, 0.0))
    admit(gate)
    assert answered(gate, kind=ErrorKind.HTTP_5XX, status=503) == 1
    assert admit(gate) is Admission.EXCLUDED
    assert "could not be read (503)" in gate.reason("a.example")
    assert gate.disallowed == {}
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_read_stops_nobody_under_delay(tmp_path: Path) -> None:
    gate = RobotsGate("delay", RobotsStore(tmp_path, 0.0))
    admit(gate)
    answered(gate, kind=ErrorKind.HTTP_5XX, status=503)
    assert admit(gate) is Admission.ADMITTED
    assert gate.crawl_delay_s("a.example") is None


def test_a_request_that_was_never_sent_holds_nobody(tmp_path: Path) -> None:
    gate = RobotsGate("obey", RobotsStore(tmp_path, 0.0))
    admit(gate)
    assert len(gate.learn(RobotsRequest("a.example", route("/robots.txt")), None)) == 1
    assert admit(gate) is Admission.ADMITTED


def test_robots_txt_lies_at_the_root_of_the_very_host_and_port() -> None:
    assert robots_url("https://a.example:8443/x/y.jpg?z=1") == "https://a.example:8443/robots.txt"


RESERVED = b"User-agent: *\nContent-Usage: /art/ train-ai=n\nLicense: https://a.example/l.xml\n"


def test_what_robots_txt_reserves_is_left_out_only_under_strict(tmp_path: Path) -> None:
    gate = RobotsGate("delay", RobotsStore(tmp_path, 0.0), is_strict=True)
    assert admit(gate) is Admission.HELD, "one row is worth the request, as it could be reserved"
    answered(gate, kind=None, status=200, body=RESERVED)
    assert admit(gate, "/art/1.jpg") is Admission.HELD, "for tdmrep.json"
    answered_tdmrep(gate, kind=ErrorKind.HTTP_4XX, status=404)
    assert admit(gate, "/art/1.jpg") is Admission.RESERVED
    assert "train-ai=n" in gate.reserved_by(route("/art/1.jpg"))
    assert admit(gate, "/1.jpg") is Admission.ADMITTED
    plain = RobotsGate("delay", RobotsStore(tmp_path, 0.0))
    assert admit(plain, "/art/1.jpg") is Admission.ADMITTED
    assert (
        plain.usage(route("/art/1.jpg")).text
        == "license: https://a.example/l.xml; robots.txt content-usage: train-ai=n"
    )
    assert plain.usage(None).text is None


def test_what_tdmrep_json_reserves_is_left_out_under_strict_and_known_for_a_day(tmp_path: Path) -> None:
    gate = RobotsGate("delay", RobotsStore(tmp_path, 1000.0), is_strict=True)
    admit(gate)
    answered(gate, kind=ErrorKind.HTTP_4XX, status=404)
    assert admit(gate, "/art/1.jpg") is Admission.HELD
    assert gate.needs_request("a.example")
    body = b'[{"location": "/art/", "tdm-reservation": 1, "tdm-policy": "https://a.example/p"}]'
    assert answered_tdmrep(gate, kind=None, status=200, body=body) == 1
    for one in (gate, RobotsGate("delay", RobotsStore(tmp_path, 1000.0 + KEEP_S - 1), is_strict=True)):
        assert admit(one, "/art/1.jpg") is Admission.RESERVED
        assert admit(one, "/1.jpg") is Admission.ADMITTED
        assert one.usage(route("/art/1.jpg")).text == (
            "tdmrep.json tdm-reservation: 1; tdm-policy: https://a.example/p"
        )
    assert (
        admit(RobotsGate("delay", RobotsStore(tmp_path, 1000.0), is_strict=False), "/art/1.jpg") is Admission.ADMITTED
    )


@pytest.mark.parametrize("result", [None, FetchResult(0, ErrorKind.TIMEOUT), FetchResult(0, None, 200, body=b"<html>")])
def test_a_tdmrep_json_that_cannot_be_read_reserves_nothing(tmp_path: Path, result: FetchResult | None) -> None:
    gate = RobotsGate("obey", RobotsStore(tmp_path, 0.0), is_strict=True)
    admit(gate)
    answered(gate, kind=ErrorKind.HTTP_4XX, status=404)
    admit(gate)
    request = gate.file_request(route(), lambda _: route("/.well-known/tdmrep.json"))
    assert request is not None
    assert result is None or gate.retry_delay_s(request, result, "a.example") is None
    gate.learn(request, result)
    assert admit(gate) is Admission.ADMITTED


def test_ignore_reads_the_files_only_for_what_opt_out_strict_respects(tmp_path: Path) -> None:
    gate = RobotsGate("ignore", RobotsStore(tmp_path, 0.0), is_strict=True)
    assert admit(gate) is Admission.HELD
    rules = b"User-agent: *\nCrawl-delay: 9\nDisallow: /private/\nContent-Usage: /art/ train-ai=n\n"
    answered(gate, kind=None, status=200, body=rules)
    admit(gate)
    answered_tdmrep(gate, kind=ErrorKind.HTTP_4XX, status=404)
    assert admit(gate, "/art/1.jpg") is Admission.RESERVED
    assert admit(gate, "/private/1.jpg") is Admission.ADMITTED
    assert gate.crawl_delay_s("a.example") is None


DELAYED = b"User-agent: ray_downloader\nCrawl-delay: 7\n\nUser-agent: *\nCrawl-delay: 9\nDisallow: /\n"


@pytest.mark.parametrize(("body", "delay_s"), [(DELAYED, 7.0), (DELAYED.split(b"\n\n")[1], None)], ids=["us", "all"])
def test_under_ignore_only_a_group_that_names_us_counts(tmp_path: Path, body: bytes, delay_s: float | None) -> None:
    for gate in (RobotsGate("ignore", RobotsStore(tmp_path, at_s)) for at_s in (0.0, 1.0)):
        if admit(gate) is Admission.HELD:
            answered(gate, kind=None, status=200, body=body)
        assert admit(gate) is Admission.ADMITTED
        assert gate.crawl_delay_s("a.example") == delay_s
        assert gate.disallowed == {}
        assert gate.usage(route()).text is None


def test_what_does_not_matter_under_ignore_is_not_kept_and_asked_for_where_it_does(tmp_path: Path) -> None:
    gate = RobotsGate("ignore", RobotsStore(tmp_path, 0.0))
    admit(gate)
    answered(gate, kind=None, status=200, body=RULES + b"#" * 10_000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 200
    assert admit(RobotsGate("ignore", RobotsStore(tmp_path, 1.0))) is Admission.ADMITTED
    assert admit(RobotsGate("delay", RobotsStore(tmp_path, 1.0))) is Admission.HELD
    assert admit(RobotsGate("ignore", RobotsStore(tmp_path, 1.0), is_strict=True)) is Admission.HELD


@pytest.mark.parametrize(
    ("mode", "kind", "status", "wait_s", "is_own"),
    [
        ("ignore", ErrorKind.HTTP_5XX, 503, None, True),
        ("ignore", ErrorKind.HTTP_5XX, 500, 0.0, True),
        ("ignore", ErrorKind.TIMEOUT, None, None, True),
        ("ignore", ErrorKind.CONNECT, None, None, True),
        ("ignore", ErrorKind.HTTP_5XX, 503, 9.0, False),
        ("ignore", ErrorKind.HTTP_429, 429, None, False),
        ("ignore", None, 200, None, False),
        ("delay", ErrorKind.HTTP_5XX, 503, None, False),
        ("obey", ErrorKind.HTTP_5XX, 503, None, False),
    ],
)
def test_under_ignore_a_file_that_cannot_be_read_says_nothing_about_its_server(
    tmp_path: Path, mode: Any, kind: ErrorKind | None, status: int | None, wait_s: float | None, is_own: bool
) -> None:
    outcome = Outcome(kind, status, retry_after_s=wait_s)
    assert RobotsGate(mode, RobotsStore(tmp_path, 0.0)).is_own_failure(outcome) is is_own


def test_of_many_files_only_the_latest_are_parsed_and_older_ones_are_known_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robots_gate, "MOST_PARSED", 2)
    gate = RobotsGate("delay", RobotsStore(tmp_path, 0.0))

    def at(number: int) -> Route:
        return Route(RequestUrl.parse(f"http://{number}.example/private/1.jpg"), "group")

    for number in range(5):
        assert gate.admit(a_row(at(number).url), at(number)) is Admission.HELD
        rules = f"User-agent: *\nDisallow: /private\nCrawl-delay: {number + 1}\nContent-Usage: train-ai=n\n".encode()
        gate.learn(RobotsRequest(f"{number}.example", at(number)), FetchResult(0, None, 200, body=rules))
    assert len(gate._known) == 2
    for number in range(5):
        assert gate.usage(at(number)).text == "robots.txt content-usage: train-ai=n"
        assert gate.crawl_delay_s(f"{number}.example") == number + 1
        assert gate.admit(a_row(at(number).url), at(number)) is Admission.ADMITTED
        assert len(gate._known) == 2


@pytest.mark.parametrize("mode", ["delay", "ignore"])
def test_what_could_not_be_read_is_requested_again_after_ten_minutes_unless_it_must_be_read(
    tmp_path: Path, mode: Any
) -> None:
    gate = RobotsGate(mode, RobotsStore(tmp_path, 1000.0))
    admit(gate)
    answered(gate, kind=ErrorKind.TIMEOUT, status=None)
    assert admit(RobotsGate(mode, RobotsStore(tmp_path, 1599.0))) is Admission.ADMITTED
    assert admit(RobotsGate(mode, RobotsStore(tmp_path, 1600.0))) is Admission.HELD
    assert admit(RobotsGate("obey", RobotsStore(tmp_path, 1001.0))) is Admission.HELD


@pytest.mark.parametrize("kind", [ErrorKind.TRUNCATED, ErrorKind.TIMEOUT, ErrorKind.TOO_SLOW, ErrorKind.RESET], ids=str)
def test_half_a_file_is_none_and_is_not_kept_as_one(tmp_path: Path, kind: ErrorKind) -> None:
    """It was believed for a day, whatever was to follow."""
    result = FetchResult(0, kind, 200, body=b"User-agent: *\nDisallow: /priv")
    for mode, admission in (("delay", Admission.ADMITTED), ("obey", Admission.EXCLUDED)):
        gate = RobotsGate(mode, RobotsStore(tmp_path / mode, 0.0))  # type: ignore[arg-type] # one of the modes
        request = RobotsRequest("a.example", route("/robots.txt"))
        admit(gate)
        assert (gate.retry_delay_s(request, result, "a.example") is not None) == (mode == "obey")
        gate.learn(request, result)
        assert admit(gate, "/private/1.jpg") is admission
        assert admit(RobotsGate(mode, RobotsStore(tmp_path / mode, 700.0))) is Admission.HELD  # type: ignore[arg-type] # likewise
