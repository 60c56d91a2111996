"""A simulated server: what it answers to a request that arrives now, and its log of all that arrived.

The log is what politeness is judged by: the server's own clock and nobody else's.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from urllib.parse import urlsplit

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.answer import kind_of_status
from ray_downloader.fetch.base import DnsFailure
from tests.simulation.world import (
    FOREVER,
    Bans,
    Bucket,
    Connections,
    Fails,
    Fate,
    Loops,
    Moved,
    NotImage,
    OptsOut,
    Picture,
    Says,
    Server,
    Slow,
    Trouble,
    Window,
    World,
)

ROBOTS = "/robots.txt"
#: What begins a body that is a picture.
PICTURE = b"picture of "


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ends: an HTTP answer, or a failure of the transport.

    Args:
        retry_after_s: The wait that its `Retry-After` asks for, where that can be read.
        is_of_url: It is so for this URL only, and says nothing of others.
    """

    status: int | None = 200
    kind: ErrorKind | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    location: str | None = None
    after_s: float = 0.05
    retry_after_s: float | None = None
    is_of_url: bool = False
    dns_failure: DnsFailure | None = None

    @property
    def is_refused(self) -> bool:
        """A connection that fails at once was refused by somebody; if it takes long, nobody was there."""
        return self.kind is ErrorKind.CONNECT and self.after_s < 1.0


@dataclass(slots=True)
class Arrival:
    """One request as the server saw it.

    Args:
        row: Number of the row that the URL is of; None for robots.txt.
        hop: Which hop of a redirect it is; 0 for the URL of the list.
        open: Requests under way at the server, this one included.
        is_failure: It was not answered with the file, a redirect, or a robots.txt.
        ended_s: When it was over, also where it was cut.
        is_cut: Its worker was killed.
    """

    at_s: float
    url: str
    row: int | None
    hop: int
    holder: str
    open: int
    answer: Answer
    ended_s: float
    is_failure: bool = False
    is_cut: bool = False


class Origin:
    """One server of a world.

    Args:
        world: For the list, and for where redirects lead.
        number: Which of its servers this is.
        wall_clock_offset_s: Unix time at the start.
    """

    def __init__(self, world: World, number: int, wall_clock_offset_s: float) -> None:
        self.spec: Server = world.servers[number]
        self.log: list[Arrival] = []
        self._world = world
        self._wall_clock_offset_s = wall_clock_offset_s
        self._open: list[Arrival] = []
        self._visits: Counter[str] = Counter()
        self._robots_fails = self.spec.robots.fails
        self._limits = [_LIMITERS[type(limit)](limit) for limit in self.spec.limits]

    def arrive(self, url: str, headers: Mapping[str, str], holder: str, now_s: float) -> Arrival:
        """A request is here; what it will be answered, and when."""
        self._open = [arrival for arrival in self._open if arrival.ended_s > now_s]
        parts = urlsplit(url)
        row = None if parts.path == ROBOTS else int(parts.path[1:].partition(".")[0])
        hop = int(parts.query[4:]) if parts.query.startswith("hop=") else 0
        answer = self._answer(url, row, hop, parts.query == "mirror", headers, now_s)
        has_file = answer.kind is None and answer.status and kind_of_status(answer.status, answer.headers) is None
        is_failure = not (has_file or answer.location)
        if row is None and answer.status in {200, 404}:
            is_failure = False
        arrival = Arrival(
            now_s, url, row, hop, holder, len(self._open) + 1, answer, now_s + answer.after_s, is_failure
        )  # fmt: skip
        self._open.append(arrival)
        self.log.append(arrival)
        return arrival

    def cut(self, arrival: Arrival, now_s: float) -> None:
        """The client is gone."""
        if arrival.ended_s > now_s:
            arrival.ended_s, arrival.is_cut = now_s, True

    def _answer(
        self, url: str, row: int | None, hop: int, is_mirror: bool, headers: Mapping[str, str], now_s: float
    ) -> Answer:
        self._visits[url] += 1
        answer = self._trouble(url, now_s) or self._limit(now_s)
        if answer is None:
            answer = self._robots() if row is None else self._file(url, row, hop, is_mirror, headers, now_s)
            answer = replace(answer, is_of_url=True)
        if answer.status:
            date = formatdate(self._wall_clock_offset_s + now_s, usegmt=True)
            answer = replace(answer, headers={"date": date, **dict(self.spec.headers), **answer.headers})
        return answer

    def _trouble(self, url: str, now_s: float) -> Answer | None:
        for trouble in self.spec.troubles:
            if trouble.start_s <= now_s < trouble.end_s and self._is_hit(trouble, url):
                if isinstance(trouble.how, ErrorKind):
                    return Answer(None, trouble.how, after_s=trouble.after_s, dns_failure=_dns_failure(trouble))
                return self._said(trouble.how, trouble.retry_after, now_s, trouble.after_s)
        return None

    def _is_hit(self, trouble: Trouble, url: str) -> bool:
        digest = hashlib.md5(f"{url} {self._visits[url]} {trouble.start_s}".encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < trouble.share

    def _limit(self, now_s: float) -> Answer | None:
        for limiter in self._limits:
            refusal = limiter.refusal(now_s, len(self._open))
            if isinstance(refusal, ErrorKind):
                return Answer(None, refusal, after_s=0.01)
            if refusal is not None:
                return self._said(*refusal, now_s, self.spec.latency_s / 2)
        return None

    def _said(self, status: int, retry_after: str | None, now_s: float, after_s: float) -> Answer:
        body = f"it says {status}".encode()
        if retry_after is None:
            return Answer(status, body=body, after_s=after_s)
        kind, _, seconds = retry_after.rpartition(":")
        wait_s = float(seconds) if seconds.isdigit() else None
        if kind == "date" and wait_s is not None:
            retry_after = formatdate(self._wall_clock_offset_s + now_s + wait_s, usegmt=True)
        return Answer(status, None, {"retry-after": retry_after}, body, after_s=after_s, retry_after_s=wait_s)

    def _robots(self) -> Answer:
        robots = self.spec.robots
        if self._robots_fails > 0:
            self._robots_fails -= 1
            return Answer(503, after_s=self.spec.latency_s)
        return Answer(robots.status, body=robots.text.encode(), after_s=self.spec.latency_s)

    def _file(  # noqa: PLR0911 - one for each kind of fate
        self, url: str, row: int, hop: int, is_mirror: bool, headers: Mapping[str, str], now_s: float
    ) -> Answer:
        asked = self._world.rows[row]
        fate: Fate = asked.mirror[1] if is_mirror and asked.mirror else asked.fate
        after_s = self.spec.latency_s
        if isinstance(fate, Says) and self._visits[url] <= fate.times:
            return self._said(fate.status, fate.retry_after, now_s, after_s)
        if isinstance(fate, Fails) and self._visits[url] <= fate.times:
            return _failing(fate)
        if isinstance(fate, NotImage):
            return Answer(200, body=b"<html>", after_s=after_s)
        if isinstance(fate, Loops):
            return Answer(302, location=url, after_s=after_s)
        if isinstance(fate, Moved) and (location := self._location(fate, row, hop, headers)):
            return Answer(fate.status, headers=_cookie(fate), location=location, after_s=after_s)
        if isinstance(fate, OptsOut):
            return Answer(200, headers={"x-robots-tag": "noai"}, body=PICTURE + b"%d" % row, after_s=after_s)
        if isinstance(fate, Slow):
            after_s = fate.seconds
        size = fate.size_bytes if isinstance(fate, Picture) else 100
        return Answer(200, body=(PICTURE + b"%d" % row).ljust(size), after_s=after_s)

    def _location(self, fate: Moved, row: int, hop: int, headers: Mapping[str, str]) -> str | None:
        if fate.needs_cookie and hop == 1 and "seen=1" not in headers.get("Cookie", ""):
            return self._world.url(row)
        if hop >= fate.hops:
            return None
        to = self._world.rows[row].server if fate.to is None else fate.to
        return f"http://{self._world.servers[to].name}/{row}.jpg?hop={hop + 1}"


def _dns_failure(trouble: Trouble) -> DnsFailure | None:
    """A name that comes back was only not looked up."""
    if trouble.how is not ErrorKind.DNS:
        return None
    return DnsFailure.NO_SUCH_NAME if trouble.end_s == FOREVER else DnsFailure.NO_ANSWER


def _cookie(fate: Moved) -> dict[str, str]:
    return {"set-cookie": "seen=1; Path=/"} if fate.needs_cookie else {}


def _failing(fate: Fails) -> Answer:
    if fate.kind is ErrorKind.TRUNCATED:
        return Answer(200, fate.kind, body=PICTURE, after_s=fate.after_s)
    if fate.kind is ErrorKind.EMPTY:
        return Answer(200, fate.kind, after_s=fate.after_s)
    return Answer(None, fate.kind, after_s=fate.after_s)


class _BucketLimiter:
    def __init__(self, limit: Bucket) -> None:
        self._limit = limit
        self._tokens, self._at_s = limit.depth, 0.0

    def refusal(self, now_s: float, _: int) -> tuple[int, str | None] | None:
        limit = self._limit
        self._tokens = min(limit.depth, self._tokens + (now_s - self._at_s) * limit.rate_rps)
        self._at_s = now_s
        if self._tokens < 1 - 1e-9:
            return limit.status, limit.retry_after
        self._tokens -= 1
        return None


class _WindowLimiter:
    def __init__(self, limit: Window) -> None:
        self._limit = limit
        self._times: deque[float] = deque()

    def refusal(self, now_s: float, _: int) -> tuple[int, str | None] | None:
        limit, times = self._limit, self._times
        start_s = now_s // limit.seconds * limit.seconds if limit.is_calendar else now_s - limit.seconds
        while times and (times[0] < start_s or (times[0] == start_s and not limit.is_calendar)):
            times.popleft()
        is_over = len(times) >= limit.requests
        if not is_over or limit.counts_refused:
            times.append(now_s)
        return (limit.status, self._retry_after(now_s)) if is_over else None

    def _retry_after(self, now_s: float) -> str | None:
        if self._limit.retry_after != "rest":
            return self._limit.retry_after
        seconds = self._limit.seconds
        frees_s = (now_s // seconds + 1) * seconds if self._limit.is_calendar else self._times[0] + seconds
        return str(math.ceil(frees_s - now_s))


class _ConnectionLimiter:
    def __init__(self, limit: Connections) -> None:
        self._limit = limit

    def refusal(self, _: float, others: int) -> tuple[int, str | None] | ErrorKind | None:
        if others < self._limit.most:
            return None
        refusal = self._limit.refusal
        return refusal if isinstance(refusal, ErrorKind) else (refusal, None)


class _BanLimiter:
    def __init__(self, limit: Bans) -> None:
        self._limit = limit
        self._times: deque[float] = deque()
        self._until_s = 0.0

    def refusal(self, now_s: float, _: int) -> tuple[int, str | None] | None:
        if now_s < self._until_s:
            return 403, None
        self._times.append(now_s)
        while self._times[0] <= now_s - self._limit.seconds:
            self._times.popleft()
        if len(self._times) > self._limit.requests:
            self._until_s = now_s + self._limit.ban_s
            self._times.clear()
            return 403, None
        return None


_LIMITERS = {
    Bucket: _BucketLimiter,
    Window: _WindowLimiter,
    Connections: _ConnectionLimiter,
    Bans: _BanLimiter,
}
