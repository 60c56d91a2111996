"""The network between workers and simulated servers: a fetcher (`fetch.base.Fetcher`) whose poll never waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from urllib.parse import urlsplit

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.answer import kind_of_status
from ray_downloader.fetch.base import DnsFailure, FetchRequest, FetchResult
from tests.simulation.origin import Answer, Arrival, Origin
from tests.simulation.scheduler import Scheduler
from tests.simulation.world import NetworkLost, World

#: Unix time at the start of every world.
EPOCH_UNIX_S = 1_800_000_000.0


class Network:
    """All servers of a world, by name; and whether we reach any."""

    def __init__(self, world: World, scheduler: Scheduler, note: Callable[..., None]) -> None:
        self.origins = {server.name: Origin(world, number, EPOCH_UNIX_S) for number, server in enumerate(world.servers)}
        self._losses = [fault for fault in world.faults if isinstance(fault, NetworkLost)]
        self._timeout_s = float(world.network.get("request_timeout_s", 300.0))  # type: ignore[arg-type]
        self._scheduler = scheduler
        self._note = note

    def send(self, request: FetchRequest, holder: str) -> tuple[Answer, Arrival | None]:
        """What comes of a request that goes out now."""
        now_s = self._scheduler.now_s
        origin = self.origins.get(request.target.host)
        loss = next((loss for loss in self._losses if loss.at_s <= now_s < loss.end_s), None)
        if loss is not None or origin is None:
            kind, after_s = (loss.kind, loss.after_s) if loss else (ErrorKind.DNS, 0.05)
            is_silent = loss is not None and kind is ErrorKind.DNS
            answer = Answer(None, kind, after_s=after_s, dns_failure=DnsFailure.NO_ANSWER if is_silent else None)
            self._note("lost", holder, request.url)
            return answer, None
        arrival = origin.arrive(request.url, request.headers, holder, now_s)
        if arrival.answer.after_s > self._timeout_s:
            arrival.answer = Answer(None, ErrorKind.TIMEOUT, after_s=self._timeout_s)
            arrival.ended_s, arrival.is_failure = now_s + self._timeout_s, True
        self._note("asked", holder, request.url, arrival.answer.status or str(arrival.answer.kind))
        return arrival.answer, arrival


class SimulatedFetcher:
    """The fetcher of one slice.

    Args:
        network: Where requests go.
        holder: Whose they are.
        clock: The slice's own monotonic clock.
        scheduler: The world's clock.
    """

    def __init__(self, network: Network, holder: str, clock: Callable[[], float], scheduler: Scheduler) -> None:
        self._network = network
        self._holder = holder
        self._clock = clock
        self._scheduler = scheduler
        self._pending: list[tuple[float, int, FetchResult, Arrival | None]] = []
        self._sent: list[tuple[int, float]] = []
        #: How long the last poll was ready to wait, and whether it gave anything back.
        self.asked_timeout_s = 0.0
        self.has_returned = False

    @property
    def next_s(self) -> float:
        """When a request ends next, on the world's clock."""
        return self._pending[0][0] if self._pending else float("inf")

    def start(self, request: FetchRequest) -> None:
        """Send it now; its end is known, and comes when it is due."""
        answer, arrival = self._network.send(request, self._holder)
        self._sent.append((request.token, self._clock()))
        end_s = self._scheduler.now_s + answer.after_s
        heapq.heappush(
            self._pending, (end_s, request.token, _result(request, answer, is_there=arrival is not None), arrival)
        )

    def poll(self, timeout_s: float) -> list[FetchResult]:
        """What has ended by now."""
        self.asked_timeout_s = timeout_s
        results = []
        while self._pending and self._pending[0][0] <= self._scheduler.now_s:
            results.append(heapq.heappop(self._pending)[2])
        self.has_returned = bool(results)
        return results

    def take_sent(self) -> list[tuple[int, float]]:
        """All that were started."""
        sent, self._sent = self._sent, []
        return sent

    def close(self) -> None:
        """Connections are cut, which the servers notice."""
        for _, _, _, arrival in self._pending:
            if arrival is not None:
                self._network.origins[urlsplit(arrival.url).netloc].cut(arrival, self._scheduler.now_s)
        self._pending.clear()


def _result(request: FetchRequest, answer: Answer, *, is_there: bool) -> FetchResult:
    kind = answer.kind
    body = answer.body
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if kind is None and answer.status is not None and answer.location is None:
        kind = kind_of_status(answer.status, headers)
    said = f"{answer.status} {body.decode()}" if kind and answer.status else ""
    if kind is None:
        headers["content-length"] = str(len(body))
    return FetchResult(
        token=request.token,
        kind=kind,
        status=answer.status,
        headers=headers,
        body=b"" if kind is not None or answer.location else body,
        redirect_url=answer.location,
        message=f"scripted {kind}" if kind else "",
        ttfb_s=answer.after_s if answer.status else None,
        total_s=answer.after_s,
        http_version="1.1",
        said=said,
        dns_failure=answer.dns_failure,
        is_refused=is_there and answer.is_refused,
    )
