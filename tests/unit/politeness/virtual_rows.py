"""Rows of one server in virtual time: what a worker does with refusals, in miniature, and what becomes of each row.

A row that failed is tried again as soon as it is due, if others were served since: that tells whose fault it was. Then
come fresh rows, then others that failed. A failure that is the server's costs no attempt; a row that fails again after
others were served is odd; a probe goes to a row that has not failed, as far from those that did as there is.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.leases.pacer import LeasePacer
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, Verdict
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.server.evidence import stops_its_holder
from ray_downloader.politeness.server.state import ServerState

MAX_ATTEMPTS = 5
ODD_DELAY_S = 5.0
TICK_S = 0.05
ENDS = {Verdict.DEAD: "server_dead", Verdict.REFUSED: "server_refused", Verdict.OPTED_OUT: "opted_out"}
FINAL = {ErrorKind.HTTP_4XX, ErrorKind.PAYMENT_REQUIRED}

OK = Outcome(None, 200, 1000)
BARE_429 = Outcome(ErrorKind.HTTP_429, 429, said="429 slow down")
BARE_503 = Outcome(ErrorKind.HTTP_5XX, 503, said="503 maintenance")
BROKEN = Outcome(ErrorKind.HTTP_5XX, 500)
FORBIDDEN = Outcome(ErrorKind.HTTP_4XX, 403)
DOWN = Outcome(ErrorKind.CONNECT)


@dataclass(slots=True)
class Row:
    """One row on its way."""

    number: int
    attempts: int = 0
    not_before_s: float = 0.0
    failed_after: int | None = None
    is_odd: bool = False


#: Answers a request: row, time, connections under way (with this one).
World = Callable[[int, float, int], Outcome]


@dataclass
class RowWorker:
    """One task."""

    name: str
    fresh: list[Row]
    deferred: list[Row] = field(default_factory=list)
    pacer: LeasePacer = field(default_factory=LeasePacer)
    in_flight: int = 0
    unused: int = 0
    outcomes: list[tuple[float, Outcome]] = field(default_factory=list)
    told_s: float = 0.0
    is_requesting: bool = False
    is_403_ban: bool = False
    is_probe: bool = False


class VirtualRows:
    """Tasks that work at one server's rows, until every one has an end.

    Args:
        rows: How many, in each task.
        world: What the server does.
        policy: Its limits.
        busy_until_s: Until when the run has other servers' rows to do, so that it is not idle.
        latency_s: How long an answer takes.
    """

    def __init__(
        self,
        rows: list[int],
        world: World,
        policy: ServerPolicy | None = None,
        *,
        busy_until_s: float = 0.0,
        latency_s: float = 0.05,
        seed: int = 1,
    ) -> None:
        self.state = ServerState(policy or ServerPolicy(10.0, 20.0), 0.0)
        self.world, self.busy_until_s, self.latency_s = world, busy_until_s, latency_s
        self.rng = random.Random(seed)
        self.now_s = 0.0
        self.ends: dict[int, str] = {}
        self.sent: list[tuple[float, int]] = []
        self.answers: list[tuple[float, Outcome]] = []
        self.most_in_flight = 0
        self.verdict_s: float | None = None
        self._served = 0
        self._failed_since_served: Row | None = None
        self._events: list[tuple[float, Callable[[], None]]] = []
        self.workers = []
        for count in rows:
            first = sum(len(worker.fresh) for worker in self.workers)
            fresh = [Row(first + number) for number in range(count)]
            self.workers.append(RowWorker(f"w{len(self.workers)}", fresh))

    def run(self, seconds: float = 86_400.0) -> None:
        """Go on until all rows have an end, or so long."""
        total = sum(len(worker.fresh) + len(worker.deferred) + worker.in_flight for worker in self.workers)
        while len(self.ends) < total and self.now_s < seconds:
            for _, event in self._take_events():
                event()
            waits = self.state.wait(self.now_s) is not None
            self.state.note_idle(waits and self.now_s >= self.busy_until_s, self.now_s)
            for worker in self.workers:
                self._turn(worker)
            self.now_s = self._next_s()

    def _next_s(self) -> float:
        """When something is due: an answer, a permit, or a look at what waits."""
        due_s = [worker.pacer.next_due_s(self.now_s) for worker in self.workers if worker.fresh or worker.deferred]
        permits_s = [at_s for at_s in due_s if at_s is not None and at_s > self.now_s]
        return min([self.now_s + TICK_S, *(at_s for at_s, _ in self._events), *permits_s])

    def kinds(self) -> Counter[str]:
        """Rows by how they ended; "" is an image."""
        return Counter(self.ends.values())

    def requests_of(self, row: int) -> int:
        """How often a row was asked for."""
        return sum(number == row for _, number in self.sent)

    def _take_events(self) -> list[tuple[float, Callable[[], None]]]:
        due = [event for event in self._events if event[0] <= self.now_s]
        self._events = [event for event in self._events if event[0] > self.now_s]
        return sorted(due, key=lambda event: event[0])

    def _turn(self, worker: RowWorker) -> None:
        while worker.in_flight < worker.pacer.connections:
            row = self._next_row(worker)
            if row is None or not worker.pacer.take(self.now_s):
                break
            (worker.fresh if row in worker.fresh else worker.deferred).remove(row)
            self._send(worker, row)
        wanted = len(worker.fresh) + sum(row.not_before_s <= self.now_s + 1 for row in worker.deferred)
        is_due = worker.pacer.needs_renewal(self.now_s, wanted, worker.in_flight)
        has_news = worker.outcomes and (worker.unused or self.now_s >= worker.told_s + 1.0 or not worker.in_flight)
        if not worker.is_requesting and (is_due or has_news or worker.unused):
            self._ask(worker, wanted)

    def _next_row(self, worker: RowWorker) -> Row | None:
        due = [row for row in worker.deferred if row.not_before_s <= self.now_s]
        if worker.is_probe:
            failed = [row.number for row in worker.deferred]
            return max(worker.fresh or due, key=lambda row: _distance(row, failed), default=None)
        telling = [
            row for row in due if not row.is_odd and row.failed_after is not None and row.failed_after < self._served
        ]
        waiting = telling or worker.fresh or due
        return waiting[0] if waiting else None

    def _send(self, worker: RowWorker, row: Row) -> None:
        worker.in_flight += 1
        under_way = sum(it.in_flight for it in self.workers)
        self.most_in_flight = max(self.most_in_flight, under_way)
        row.is_odd |= row.failed_after is not None and self._served > row.failed_after
        row.attempts += 1
        self.sent.append((self.now_s, row.number))
        outcome = self.world(row.number, self.now_s, under_way)
        took_s = outcome.total_s or self.latency_s
        ttfb_s = None if outcome.http_status is None else took_s
        outcome = replace(
            outcome, url_hash=row.number + 1, is_odd=row.is_odd and outcome.kind is not None, total_s=took_s,
            ttfb_s=ttfb_s, is_retry=row.attempts > 1,
        )  # fmt: skip
        self._events.append((self.now_s + took_s, partial(self._receive, worker, row, outcome)))

    def _receive(self, worker: RowWorker, row: Row, outcome: Outcome) -> None:
        outcome = replace(outcome, connections=worker.in_flight)
        worker.in_flight -= 1
        worker.outcomes.append((self.now_s, outcome))
        self.answers.append((self.now_s, outcome))
        if stops_its_holder(outcome):
            worker.unused += worker.pacer.give_back()
        if outcome.kind is None:
            self._served += 1
            self._failed_since_served = None
            self.ends[row.number] = ""
        else:
            self._defer_or_end(worker, row, outcome)

    def _defer_or_end(self, worker: RowWorker, row: Row, outcome: Outcome) -> None:
        assert outcome.kind is not None
        may_be_ban = outcome.http_status == 403 and (worker.is_403_ban or not row.is_odd)
        if outcome.kind in FINAL and not may_be_ban:
            self.ends[row.number] = str(outcome.kind)
            return
        before, self._failed_since_served = self._failed_since_served, row
        is_crowded = outcome.kind is ErrorKind.RESET and outcome.connections > 1
        if before is not None and before is not row and not row.is_odd:
            before.attempts = max(0, before.attempts - 1)
        if is_crowded:
            row.attempts -= 1
        if row.attempts >= MAX_ATTEMPTS:
            self.ends[row.number] = str(outcome.kind)
            return
        row.failed_after = self._served
        row.not_before_s = self.now_s + (ODD_DELAY_S if row.is_odd else self.rng.uniform(0.0, 2.0))
        worker.deferred.append(row)

    def _ask(self, worker: RowWorker, wanted: int) -> None:
        outcomes = tuple(outcome.aged(self.now_s - at_s) for at_s, outcome in worker.outcomes)
        request = LeaseRequest("s", worker.name, wanted, worker.in_flight, worker.unused, outcomes)
        worker.outcomes, worker.unused, worker.told_s, worker.is_requesting = [], 0, self.now_s, True
        worker.pacer.requested(self.now_s)
        lease = self.state.handle(request, self.now_s + 0.001, self.rng)
        self._events.append((self.now_s + 0.002, partial(self._granted, worker, lease)))

    def _granted(self, worker: RowWorker, lease: Lease) -> None:
        worker.is_requesting, worker.is_403_ban = False, lease.is_403_ban
        worker.is_probe = lease.is_probe if lease.permits else worker.is_probe
        worker.pacer.granted(lease, self.now_s)
        if lease.verdict in ENDS:
            self.verdict_s = self.verdict_s or self.now_s
            for row in (*worker.fresh, *worker.deferred):
                self.ends[row.number] = ENDS[lease.verdict]
            worker.fresh, worker.deferred = [], []


def _distance(row: Row, failed: list[int]) -> int:
    return min((abs(row.number - number) for number in failed), default=0)
