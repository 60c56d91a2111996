"""Which servers get no request now, why, and until when: logged once, and always shown by `status`. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from ray_downloader.politeness.messages import WaitReason

#: Shorter waits are normal, and not worth a line.
WORTH_A_LINE_S = 5.0
#: A wait is logged again when its end moves by this share of the time that was left.
CHANGED_SHARE = 0.5
#: Lines at once; further servers are summed up in one.
MOST_LINES = 10

_WORDS = {
    WaitReason.RETRY_AFTER: "asked us to wait",
    WaitReason.BACKOFF: "refuses requests, so it is left alone",
    WaitReason.DEFERRED: "is in trouble; its rows wait, and single requests find out whether it lasts",
    WaitReason.ROBOTS: "does not deliver its robots.txt, which must be obeyed",
    WaitReason.CRAWL_DELAY: "gets requests slowly, as its robots.txt demands (Crawl-delay)",
    WaitReason.QUOTA: "has received as many requests as are allowed per day",
    WaitReason.PAUSED_BY_OPERATOR: "is paused by the operator",
    WaitReason.OUTAGE: "waits for our own network",
}
#: Reasons that are logged once per run, or not here: they come and go with every request, or are logged elsewhere.
_SAID_ONCE = frozenset({WaitReason.CRAWL_DELAY})
_SAID_ELSEWHERE = frozenset({WaitReason.OUTAGE})


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a budget gets no request now.

    Args:
        until_unix_s: When it may receive requests again; None if unknown.
        said: The server's own words, if they are the reason.
    """

    reason: WaitReason
    until_unix_s: float | None = None
    said: str = ""

    @property
    def until(self) -> str | None:
        """The end in ISO 8601, in UTC."""
        return None if self.until_unix_s is None else iso_time(self.until_unix_s)


def iso_time(unix_s: float) -> str:
    """A time in the form used in files and messages."""
    return datetime.fromtimestamp(unix_s, timezone.utc).isoformat(timespec="seconds")


class WaitingLog:
    """Logs who waits, in one line when a wait begins or changes; not every second.

    Args:
        say: Called with each line.
        rows_left: Rows that a budget still has; a budget without any is not worth a line.
    """

    def __init__(self, say: Callable[[str], None], rows_left: Callable[[str], int]) -> None:
        self._say = say
        self._rows_left = rows_left
        self._said: dict[str, Waiting] = {}
        self._said_once: set[tuple[str, WaitReason]] = set()

    def update(self, waiting: Mapping[str, Waiting], now_unix_s: float) -> None:
        """Log what is new."""
        for budget in self._said.keys() - waiting.keys():
            del self._said[budget]
        news = {name: wait for name, wait in waiting.items() if self._is_news(name, wait, now_unix_s)}
        news = {name: wait for name, wait in news.items() if self._rows_left(name) > 0}
        self._said.update(news)
        for count, (budget, wait) in enumerate(news.items()):
            if count == MOST_LINES and len(news) > MOST_LINES + 1:
                self._say(_sum_of(list(news.values())[count:]))
                return
            self._say(self._line(budget, wait))

    def _is_news(self, budget: str, wait: Waiting, now_unix_s: float) -> bool:
        if wait.reason in _SAID_ELSEWHERE:
            return False
        left_s = None if wait.until_unix_s is None else wait.until_unix_s - now_unix_s
        if wait.reason in _SAID_ONCE:
            is_new = (budget, wait.reason) not in self._said_once
            self._said_once.add((budget, wait.reason))
            return is_new
        before = self._said.get(budget)
        if before is None or before.reason is not wait.reason:
            return left_s is None or left_s >= WORTH_A_LINE_S
        if left_s is None or before.until_unix_s is None or wait.until_unix_s is None:
            return before.until_unix_s != wait.until_unix_s
        moved_s = wait.until_unix_s - before.until_unix_s
        return moved_s > max(WORTH_A_LINE_S, CHANGED_SHARE * left_s)

    def _line(self, budget: str, wait: Waiting) -> str:
        until = f" until {wait.until}" if wait.until else ""
        said = f' (it said: "{wait.said}")' if wait.said else ""
        return f"{budget} {_WORDS[wait.reason]}{said}{until}; {self._rows_left(budget)} rows wait"


def _sum_of(waits: list[Waiting]) -> str:
    reasons = Counter(wait.reason.value for wait in waits)
    return f"{len(waits)} more servers wait: " + ", ".join(f"{reason} {count}" for reason, count in reasons.items())
