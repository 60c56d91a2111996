"""One line for each server of a run: its rows, what was learned about it, what it said, and what to do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_downloader.politeness.server.snapshot import Reader
from ray_downloader.report.advice import ServerFacts, advice
from ray_downloader.report.results import Words
from ray_downloader.report.shown import shown_url

#: Servers in the table: those with the most rows; the others are summed up in one line.
MOST_SERVERS = 10_000
#: Characters of words and advice in the whole page: servers with the most errors have theirs first.
MOST_CHARACTERS = 1_000_000
#: Of one server: different words, for the errors of most rows.
MOST_WORDS = 4
OTHERS = "(others)"


@dataclass(slots=True)
class ServerLine:
    """One server.

    Args:
        server: Its name, or `OTHERS`.
        rows: Its rows in the list.
        images: Images stored.
        errors: Rows by error kind.
        rate_rps: The learned rate of its budget; None if there is no limit, or nothing was learned.
        requests: Requests to its budget in the last run.
        refusals: Of these, how many it refused because of our rate.
        condition: The state of the server.
        said: Its words when it refused everything.
        words: What it said about single rows.
        advice: What to do.
    """

    server: str
    rows: int
    images: int
    errors: dict[str, int]
    rate_rps: float | None = None
    requests: int = 0
    refusals: int = 0
    condition: str = ""
    said: str = ""
    words: list[Words] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Rows that ended as errors."""
        return sum(self.errors.values())

    @property
    def left(self) -> int:
        """Rows without a final answer."""
        return max(0, self.rows - self.images - self.failed)


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known about servers beside their rows.

    Args:
        states: Snapshots by budget.
        budget_key: The budget of a server.
        words: What servers said.
        moved: As `results.Results.moved`.
    """

    states: Mapping[str, Mapping[str, Any]]
    budget_key: Callable[[str], str]
    words: Mapping[str, Sequence[Words]]
    moved: Mapping[str, tuple[str, int]]


def server_lines(
    rows: Mapping[str, int], settled: Mapping[str, Counter[str]], success: str, learned: Learned
) -> list[ServerLine]:
    """The lines, those with the most rows first.

    Args:
        rows: Rows of the list by server.
        settled: By server, its settled rows by error kind or `success`.
        success: The name of images among the error kinds.
        learned: What else is known about them.
    """
    ordered = sorted(rows, key=lambda server: (-rows[server], server))
    lines = [_line(server, rows[server], settled.get(server, Counter()), success) for server in ordered[:MOST_SERVERS]]
    for line in lines:
        _add_learned(line, Reader(learned.states.get(learned.budget_key(line.server), {})))
    _add_words(lines, learned.words, learned.moved)
    if len(ordered) > MOST_SERVERS:
        rest = ordered[MOST_SERVERS:]
        kinds: Counter[str] = Counter()
        for server in rest:
            kinds.update(settled.get(server, Counter()))
        lines.append(_line(OTHERS, sum(rows[server] for server in rest), kinds, success))
    return lines


def _line(server: str, rows: int, kinds: Mapping[str, int], success: str) -> ServerLine:
    errors = {kind: count for kind, count in kinds.items() if kind != success and count}
    return ServerLine(server, rows, kinds.get(success, 0), errors)


def _add_learned(line: ServerLine, state: Reader) -> None:
    line.rate_rps = state.number("rate_rps", 0.0) or None
    line.requests, line.refusals = state.count("requests"), state.count("throttled")
    line.condition, line.said = state.text("condition"), state.text("said")


def _add_words(
    lines: Sequence[ServerLine], words: Mapping[str, Sequence[Words]], moved: Mapping[str, tuple[str, int]]
) -> None:
    """Add words and advice while there is room in the page."""
    left = MOST_CHARACTERS
    for line in sorted(lines, key=lambda line: -line.failed):
        if not line.errors and line.server not in moved:
            continue
        statuses: Counter[int] = Counter()
        for each in words.get(line.server, ()):
            if each.kind == "http_4xx" and each.status:
                statuses[each.status] += each.rows
        facts = ServerFacts(line.server, line.rows, line.images, line.errors, statuses, moved.get(line.server))
        texts = advice(facts)
        said = [
            Words(each.kind, each.status, each.rows, each.text, shown_url(each.url))
            for each in list(words.get(line.server, ()))[:MOST_WORDS]
        ]
        left -= sum(map(len, texts)) + sum(len(each.text) + len(each.url) for each in said)
        if left < 0:
            return
        line.words, line.advice = said, texts
