"""A task's in-flight requests: which work and which queue each belongs to, and when it was really sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from ray_downloader.fetch.base import Fetcher, FetchRequest, FetchResult
from ray_downloader.politeness.headers.robots import MAX_ROBOTS_BYTES
from ray_downloader.worker.robots_gate import RobotsRequest
from ray_downloader.worker.row import Row
from ray_downloader.worker.server_queue import ServerQueue, Work


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that ended."""

    queue: ServerQueue
    work: Work
    result: FetchResult


@dataclass(frozen=True, slots=True)
class _UnderWay:
    queue: ServerQueue
    work: Work
    started_at_s: float


class InFlightRequests:
    """Keeps track of a fetcher's requests.

    Args:
        fetcher: Moves the bytes.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self.requests = 0
        self.size_bytes = 0
        self._fetcher = fetcher
        self._tokens = count()
        self._under_way: dict[int, _UnderWay] = {}
        self._unsent: dict[int, ServerQueue] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def start(self, queue: ServerQueue, work: Work, now_s: float) -> None:
        """Begin the request for which the work waits; its permit is spent."""
        assert work.route is not None
        token = next(self._tokens)
        self._under_way[token] = _UnderWay(queue, work, now_s)
        self._unsent[token] = queue
        self.requests += 1
        route = work.route
        cookies = work.cookies.header(route.target) if isinstance(work, Row) and work.cookies else None
        headers = _with_cookies(route.headers, cookies) if cookies else route.headers
        if isinstance(work, Row) and work.validators:
            headers = {**headers, **work.validators}
        enough_bytes = MAX_ROBOTS_BYTES if isinstance(work, RobotsRequest) else None
        self._fetcher.start(FetchRequest(token, route.target, headers, route.verify_tls, enough_bytes))

    def poll(self, timeout_s: float) -> list[Ended]:
        """The requests that have ended, after at most `timeout_s`."""
        results = self._fetcher.poll(timeout_s)
        for token, sent_s in self._fetcher.take_sent():
            self._went_out(token, sent_s)
        for result in results:
            self._went_out(result.token, None)  # it failed before that, if it still counts as unsent
            self.size_bytes += result.size_bytes
        ended = ((self._under_way.pop(result.token), result) for result in results)
        return [Ended(one.queue, one.work, result) for one, result in ended]

    def slow_queues(self, started_before_s: float) -> set[int]:
        """Identities of the queues with an in-flight request that started before then."""
        return {id(one.queue) for one in self._under_way.values() if one.started_at_s < started_before_s}

    def rows(self) -> list[Row]:
        """Rows with an in-flight request."""
        return [one.work for one in self._under_way.values() if isinstance(one.work, Row)]

    def _went_out(self, token: int, sent_s: float | None) -> None:
        queue = self._unsent.pop(token, None)
        if queue is not None:
            queue.went_out(sent_s)

    def close(self) -> None:
        """Drop all in-flight requests."""
        self._fetcher.close()


def _with_cookies(headers: Mapping[str, str], cookies: str) -> dict[str, str]:
    own = headers.get("Cookie")
    return {**headers, "Cookie": f"{own}; {cookies}" if own else cookies}
