"""Which rows pass a server's robots.txt, and when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchResult
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.worker.request_policy import Route
from ray_downloader.worker.robots_gate import KEEP_S, Admission, RobotsGate, RobotsRequest, robots_url


@dataclass
class FakeRows:
    numbers: tuple[int, ...] = (0,)


@dataclass
class FakeJob:
    server: str = "a.example"
    rows: FakeRows = field(default_factory=FakeRows)


def route(path: str = "/1.jpg") -> Route:
    return Route(RequestUrl.parse(f"http://a.example{path}"), "a.example")


def admit(gate: RobotsGate, path: str = "/1.jpg", rows: int = 100) -> Admission:
    return gate.admit(cast("Any", FakeJob()), route(path), rows)


def answered(gate: RobotsGate, **result: Any) -> int:
    return len(gate.learn(RobotsRequest("a.example", route("/robots.txt")), FetchResult(0, **result)))


def test_the_first_row_asks_for_robots_txt_and_later_ones_wait(tmp_path: Path) -> None:
    gate = RobotsGate("delay", tmp_path, 0.0)
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
    gate = RobotsGate("obey", tmp_path, 0.0)
    admit(gate)
    answered(gate, kind=kind, status=status)
    assert admit(gate) is admission


def test_few_rows_are_not_worth_the_question_unless_it_is_to_be_obeyed(tmp_path: Path) -> None:
    assert admit(RobotsGate("delay", tmp_path, 0.0), rows=1) is Admission.ADMITTED
    assert admit(RobotsGate("obey", tmp_path, 0.0), rows=1) is Admission.HELD
    assert admit(RobotsGate("ignore", tmp_path, 0.0)) is Admission.ADMITTED


def test_a_kept_file_counts_for_a_day(tmp_path: Path) -> None:
    gate = RobotsGate("obey", tmp_path, 1000.0)
    admit(gate)
    answered(gate, kind=None, status=200, body=b"User-agent: *\nDisallow: /private\n")
    later = RobotsGate("obey", tmp_path, 1000.0 + KEEP_S - 1)
    assert admit(later, "/private/1.jpg") is Admission.EXCLUDED
    assert later.disallowed == {"a.example": 1}
    assert admit(RobotsGate("obey", tmp_path, 1000.0 + KEEP_S + 1)) is Admission.HELD


def test_robots_txt_lies_at_the_root_of_the_very_host_and_port() -> None:
    assert robots_url("https://a.example:8443/x/y.jpg?z=1") == "https://a.example:8443/robots.txt"
