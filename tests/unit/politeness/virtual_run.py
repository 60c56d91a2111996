"""Workers, one budget and a server with a limit, in virtual time: the real policy code, hours in milliseconds."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Protocol

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.leases.pacer import LeasePacer
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, Verdict
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.server.evidence import stops_its_holder
from ray_downloader.politeness.server.state import ServerState

REPORT_INTERVAL_S = 1.0
#: A loop wakes this much less late than a call takes: 0.1 ms, as `fetch/curl.py` does, where a call takes 2 ms.
LATENESS_PARTS = 20


class Server(Protocol):
    """Answers a request that arrives at a time."""

    def answer(self, now_s: float) -> Outcome: ...


class TokenBucket:
    """Allows `rate_rps` with a bucket of `depth`; beyond, 429 with or without Retry-After."""

    def __init__(self, rate_rps: float, depth: float, retry_after_s: float | None = 1.0, ttfb_s: float = 0.01) -> None:
        self.rate_rps, self.depth, self.retry_after_s, self.ttfb_s = rate_rps, depth, retry_after_s, ttfb_s
        self._tokens, self._at_s = depth, 0.0

    def answer(self, now_s: float) -> Outcome:
        self._tokens = min(self.depth, self._tokens + (now_s - self._at_s) * self.rate_rps)
        self._at_s = now_s
        if self._tokens < 1:
            return Outcome(ErrorKind.HTTP_429, 429, ttfb_s=self.ttfb_s, retry_after_s=self.retry_after_s)
        self._tokens -= 1
        return Outcome(None, 200, 1000, ttfb_s=self.ttfb_s)


class SlidingWindow:
    """Allows `rate_rps` requests in any second, and counts refused ones too."""

    def __init__(self, rate_rps: int, ttfb_s: float = 0.01) -> None:
        self.rate_rps, self.ttfb_s = rate_rps, ttfb_s
        self._times: deque[float] = deque()

    def answer(self, now_s: float) -> Outcome:
        self._times.append(now_s)
        while self._times[0] <= now_s - 1:
            self._times.popleft()
        if len(self._times) > self.rate_rps:
            return Outcome(ErrorKind.HTTP_429, 429, ttfb_s=self.ttfb_s, retry_after_s=1.0)
        return Outcome(None, 200, 1000, ttfb_s=self.ttfb_s)


@dataclass
class Worker:
    """One holder: a queue of rows, and the loop's rules in miniature."""

    name: str
    waiting: int
    pacer: LeasePacer = field(default_factory=LeasePacer)
    in_flight: int = 0
    unused: int = 0
    outcomes: list[tuple[float, Outcome]] = field(default_factory=list)
    told_s: float = 0.0
    is_requesting: bool = False
    verdict: Verdict = Verdict.OPEN


class VirtualRun:
    """Runs workers against a server until their rows are settled or the time is over."""

    def __init__(
        self, policy: ServerPolicy, server: Server, rows: list[int], seed: int = 1, delay_s: float = 0.002
    ) -> None:
        self.state = ServerState(policy, 0.0)
        self.server = server
        self.workers = [Worker(f"w{number}", waiting) for number, waiting in enumerate(rows)]
        self.rng = random.Random(seed)
        self.delay_s = delay_s
        self.arrivals_s: list[float] = []
        self.most_in_flight = 0
        self.delivered: list[float] = []
        self.refused: list[float] = []
        self.now_s = 0.0
        self._is_cut_off = False
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def run(self, seconds: float) -> None:
        for worker in self.workers:
            self._at(0.0, partial(self._turn, worker))
        while self._events and self._events[0][0] <= seconds:
            self.now_s, _, event = heapq.heappop(self._events)
            event()
        self.now_s = max(self.now_s, 0.0)

    def cut_off(self) -> None:
        """The budget's actor is gone: nothing that is said to it arrives."""
        self._is_cut_off = True

    def _at(self, at_s: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(at_s, self.now_s), next(self._order), event))

    def _noise_s(self) -> float:
        return self.rng.expovariate(1 / self.delay_s)

    def _turn(self, worker: Worker) -> None:
        if worker.verdict in {Verdict.DEAD, Verdict.OPTED_OUT, Verdict.BANNED}:
            return
        while worker.waiting and worker.in_flight < worker.pacer.connections and worker.pacer.take(self.now_s):
            self._send(worker)
        is_told = not worker.outcomes or self.now_s < worker.told_s + REPORT_INTERVAL_S
        is_due = worker.pacer.needs_renewal(self.now_s, worker.waiting, worker.in_flight)
        if not worker.is_requesting and (worker.unused or not is_told or is_due):
            self._ask(worker)
        if worker.waiting or worker.in_flight or worker.outcomes:
            due_s = worker.pacer.next_due_s(self.now_s)
            soon_s = self.now_s + 0.02
            wake_s = soon_s if due_s is None or due_s <= self.now_s else min(due_s, soon_s)
            self._at(wake_s + self._noise_s() / LATENESS_PARTS, lambda: self._turn(worker))

    def _send(self, worker: Worker) -> None:
        worker.waiting -= 1
        worker.in_flight += 1
        self.arrivals_s.append(self.now_s)
        self.most_in_flight = max(self.most_in_flight, sum(it.in_flight for it in self.workers))
        outcome = self.server.answer(self.now_s)
        self._at(self.now_s + (outcome.ttfb_s or 0.0), lambda: self._receive(worker, outcome))

    def _receive(self, worker: Worker, outcome: Outcome) -> None:
        worker.in_flight -= 1
        worker.outcomes.append((self.now_s, outcome))
        if outcome.kind is None:
            self.delivered.append(self.now_s)
            return
        self.refused.append(self.now_s)
        worker.waiting += 1
        if stops_its_holder(outcome):
            worker.unused += worker.pacer.give_back()
            worker.told_s = 0.0

    def _ask(self, worker: Worker) -> None:
        outcomes = tuple(outcome.aged(self.now_s - at_s) for at_s, outcome in worker.outcomes)
        request = LeaseRequest("s", worker.name, worker.waiting, worker.in_flight, worker.unused, outcomes)
        worker.outcomes, worker.unused, worker.told_s = [], 0, self.now_s
        worker.is_requesting = True
        worker.pacer.requested(self.now_s)
        self._at(self.now_s + self._noise_s(), lambda: self._answer(worker, request))

    def _answer(self, worker: Worker, request: LeaseRequest) -> None:
        if self._is_cut_off:
            return
        lease = self.state.handle(request, self.now_s, self.rng)
        self._at(self.now_s + self._noise_s(), lambda: self._granted(worker, lease))

    def _granted(self, worker: Worker, lease: Lease) -> None:
        worker.is_requesting, worker.verdict = False, lease.verdict
        worker.pacer.granted(lease, self.now_s)


def widest_excess(times_s: list[float], rate_rps: float) -> float:
    """Most requests above `rate_rps * w` in any window of w seconds: what a burst would have to be."""
    times_s = sorted(times_s)
    worst, best_start = 0.0, float("-inf")
    for number, at_s in enumerate(times_s):
        best_start = max(best_start, rate_rps * at_s - number)
        worst = max(worst, number + 1 - rate_rps * at_s + best_start)
    return worst
