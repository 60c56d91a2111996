"""The lines of the table of servers."""

from __future__ import annotations

from collections import Counter

import pytest

from ray_downloader.report import servers
from ray_downloader.report.results import Words
from ray_downloader.report.servers import OTHERS, Learned, server_lines

ROWS = {"a.example": 10, "b.example": 5, "c1.group.example": 3, "c2.group.example": 2}
SETTLED = {
    "a.example": Counter(ok=6, dns=4),
    "b.example": Counter(ok=5),
    "c1.group.example": Counter(tls=3),
    "c2.group.example": Counter(ok=1, tls=1),
}
STATES = {
    "a.example": {"rate_rps": 2.5, "requests": 12, "throttled": 3, "condition": "waiting", "said": "slow down"},
    "group.example": {"rate_rps": "fast", "requests": -1, "condition": ["healthy"]},
}


def budget_key(server: str) -> str:
    return "group.example" if server.endswith(".group.example") else server


def lines(words: dict[str, list[Words]] | None = None) -> dict[str, servers.ServerLine]:
    learned = Learned(STATES, budget_key, words or {}, {})
    return {line.server: line for line in server_lines(ROWS, SETTLED, "ok", learned)}


def test_rows_and_what_was_learned() -> None:
    line = lines()["a.example"]
    assert (line.rows, line.images, line.failed, line.left) == (10, 6, 4, 0)
    assert (line.rate_rps, line.requests, line.refusals) == (2.5, 12, 3)
    assert (line.condition, line.said) == ("waiting", "slow down")


def test_a_damaged_snapshot_is_as_good_as_none() -> None:
    line = lines()["c1.group.example"]
    assert (line.rate_rps, line.requests, line.condition) == (None, 0, "")


def test_what_ended_well_needs_no_advice() -> None:
    assert lines()["b.example"].advice == []
    assert lines()["a.example"].advice


def test_small_servers_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "MOST_SERVERS", 2)
    found = lines()
    assert list(found) == ["a.example", "b.example", OTHERS]
    assert (found[OTHERS].rows, found[OTHERS].images, found[OTHERS].errors) == (5, 1, {"tls": 4})


def test_words_end_when_the_page_is_full_and_those_with_the_most_errors_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = {name: [Words("dns", None, 1, "x" * 100, "http://u:p@a.example/1.jpg")] for name in ROWS}
    assert lines(words)["a.example"].words[0].url == "http://a.example/1.jpg"
    monkeypatch.setattr(servers, "MOST_CHARACTERS", 400)
    found = lines(words)
    assert found["a.example"].words
    assert not found["c2.group.example"].words
