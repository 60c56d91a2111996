"""A fetcher without a network: answers come from a script, in the script's own time.

For tests of everything above the seam. It never sleeps: `poll` moves a `FakeClock` to the next answer instead, so a
worker loop that reads the same clock runs through a day in microseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.fetch.base import DnsFailure, FetchRequest, FetchResult


@dataclass(slots=True)
class FakeClock:
    """A clock that only moves when it is moved."""

    now_s: float = 0.0

    def __call__(self) -> float:
        """The time, in place of `time.monotonic`."""
        return self.now_s


@dataclass(frozen=True, slots=True)
class Reply:
    """The script's answer to one request: the fields of a `FetchResult`, and when it comes."""

    kind: ErrorKind | None = None
    status: int | None = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    redirect_url: str | None = None
    said: str = ""
    dns_failure: DnsFailure | None = None
    after_s: float = 0.0
    lack: MachineError | None = None


class FakeFetcher:
    """Answers each request as `script` says.

    Args:
        script: Called once per request, in the order in which they are started.
        clock: Moved forward by `poll`.
    """

    def __init__(self, script: Callable[[FetchRequest], Reply], clock: FakeClock) -> None:
        self._script = script
        self._clock = clock
        self._pending: list[tuple[float, int, FetchResult]] = []
        self.started: list[tuple[float, FetchRequest]] = []
        self._sent: list[tuple[int, float]] = []
        self.most_in_flight = 0
        self.is_closed = False

    def start(self, request: FetchRequest) -> None:
        """Record the request with its time, and schedule its answer."""
        now_s = self._clock()
        reply = self._script(request)
        self.started.append((now_s, request))
        self._sent.append((request.token, now_s))
        result = FetchResult(
            token=request.token,
            kind=reply.kind,
            status=reply.status,
            headers=reply.headers,
            body=reply.body,
            redirect_url=reply.redirect_url,
            message="" if reply.kind is None else reply.said or f"scripted {reply.kind}",
            said=reply.said,
            dns_failure=reply.dns_failure,
            ttfb_s=reply.after_s,
            total_s=reply.after_s,
            lack=reply.lack,
        )
        heapq.heappush(self._pending, (now_s + reply.after_s, len(self.started), result))
        self.most_in_flight = max(self.most_in_flight, len(self._pending))

    def poll(self, timeout_s: float) -> list[FetchResult]:
        """The answers that are due; if none is, the clock moves to the next one, by at most `timeout_s`."""
        until_s = self._clock() + timeout_s
        next_s = self._pending[0][0] if self._pending else until_s
        self._clock.now_s = max(self._clock.now_s, min(next_s, until_s))
        results = []
        while self._pending and self._pending[0][0] <= self._clock():
            results.append(heapq.heappop(self._pending)[2])
        return results

    def take_sent(self) -> list[tuple[int, float]]:
        """Every request goes out when it is started."""
        sent, self._sent = self._sent, []
        return sent

    def close(self) -> None:
        """Forget all pending requests."""
        self._pending.clear()
        self.is_closed = True
