"""One budget, whole: who may send how many requests when, and what the server's answers change about that.

A state machine without clock, chance or network. `handle` is the only way in for workers: a message comes with what
ended, a lease goes out. `order` is the operator's. What was learned survives by `snapshot` and `restore`.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from ray_downloader.politeness.headers.x_robots_tag import OptOutBreaker
from ray_downloader.politeness.leases.allocator import LEAD_S, RECHECK_S, LeaseAllocator, Terms
from ray_downloader.politeness.leases.timeline import ALONE_SLACK_S, MAX_SLACK_S, spacing_s
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, Verdict, WaitReason
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.retry import RetryBudget
from ray_downloader.politeness.server.backoff import Backoff
from ray_downloader.politeness.server.incidents import IncidentDetector
from ray_downloader.politeness.server.liveness import Liveness
from ray_downloader.politeness.server.patience import Patience
from ray_downloader.politeness.server.quota import ByteRate, DayQuota
from ray_downloader.politeness.server.rate import AdaptiveRate

Order = Literal["pause", "resume", "rate", "ban"]

#: Length of a lease, alone on a server: when the rate has settled, and while it moves fast.
SETTLED_LEASE_S = 2.0
MOVING_LEASE_S = 0.25
#: A snapshot older than this is of a process whose leases have ended.
FRESH_S = 300.0
#: Weight of a new answer in the mean time that a connection is busy: some twenty answers.
BUSY_WEIGHT = 0.05
#: A turn has this much more of connections than Little's law says: just enough is too few when answers vary (four
#: tasks, 30 ms answers with 4 ms of noise, 28/s: 0.87 of the rate was used, with the headroom 0.95; virtual time).
CONNECTION_HEADROOM = 1.15
#: How long a hint of `RateLimit` headers holds, at most.
MAX_HINT_S = 3_600.0


class Wait(NamedTuple):
    """Why a server gets no request now, until when (None: nobody knows), and what it said."""

    reason: WaitReason
    until_s: float | None
    said: str


class ServerState:
    """One server's (or group's) budget.

    Args:
        policy: Its limits.
        now_s: Monotonic time, as in every call.
    """

    def __init__(self, policy: ServerPolicy, now_s: float) -> None:
        self._policy = policy
        self._ceiling_rps = policy.ceiling_rps
        self._rate = _rate_of(policy, now_s)
        self._allocator = LeaseAllocator(now_s)
        self._backoff = Backoff(now_s)
        self._detector = IncidentDetector()
        self._liveness = Liveness(policy.dead_probe_delays_s)
        self._patience = Patience(policy.patience_s, now_s)
        self._opt_out = OptOutBreaker()
        self._retries = RetryBudget()
        self._byte_rate = ByteRate(policy.max_bytes_per_s, now_s)
        self._day_bytes = DayQuota(policy.max_bytes_per_day, now_s)
        self._day_requests = DayQuota(policy.max_requests_per_day, now_s)
        self._hint_rps = 0.0
        self._hint_until_s = now_s
        self._busy_s = 0.0
        self._ordered: Verdict | None = None
        self._charged_serial = 0
        self._counted: Counter[str] = Counter()

    # -- what a worker says ----------------------------------------------------------------------------------------

    def handle(self, request: LeaseRequest, now_s: float, rng: random.Random) -> Lease:
        """Take in a worker's message and answer it."""
        self._take_in(request, now_s, rng)
        verdict = self.verdict(now_s)
        if verdict is not Verdict.OPEN or not request.wanted:
            return self._allocator.refuse(request, self._pause_s(now_s), verdict, now_s)
        return self._offer(request, now_s)

    def hold(self, request: LeaseRequest, wait_s: float, now_s: float, rng: random.Random) -> Lease:
        """Take in a worker's message and give no permit: an outage of our own network lasts."""
        self._take_in(request, now_s, rng)
        lease = self._allocator.refuse(request, wait_s, Verdict.PAUSED, now_s)
        return replace(lease, reason=WaitReason.OUTAGE)

    def _take_in(self, request: LeaseRequest, now_s: float, rng: random.Random) -> None:
        self._allocator.receive(request, now_s)
        self._day_requests.add(-request.unused, now_s)
        if request.crawl_delay_s:
            self._lower_ceiling(1 / request.crawl_delay_s)
        for outcome in sorted(request.outcomes, key=lambda it: -it.age_s):
            self._learn(outcome, now_s, rng)
        if not request.in_flight:
            self._liveness.has_nothing_under_way(request.holder, now_s)

    def _learn(self, outcome: Outcome, now_s: float, rng: random.Random) -> None:
        ended_s = now_s - outcome.age_s
        self._retries.add(outcome.is_retry)
        self._counted["bytes"] += outcome.size_bytes
        self._byte_rate.add(outcome.size_bytes, ended_s)
        self._day_bytes.add(outcome.size_bytes, now_s)
        self._liveness.observe(outcome.kind, ended_s)
        self._opt_out.observe(outcome.kind)
        self._take_hint(outcome, ended_s)
        if outcome.kind is None:
            self._on_success(outcome, ended_s)
        if self._detector.sees_incident(outcome) and self._rate:
            self._on_throttled(outcome, now_s, ended_s, rng)

    def _on_success(self, outcome: Outcome, ended_s: float) -> None:
        self._counted["successes"] += 1
        self._backoff.on_success()
        busy_s = outcome.total_s or outcome.ttfb_s
        if busy_s is not None:
            self._busy_s += BUSY_WEIGHT * (busy_s - self._busy_s)
        if self._rate and self._policy.adaptive:
            self._rate.on_success(ended_s, outcome.ttfb_s)

    def _on_throttled(self, outcome: Outcome, now_s: float, ended_s: float, rng: random.Random) -> None:
        """The server says that we are too fast: pause and slow down, once however many answers say so."""
        self._counted["throttled"] += 1
        sent_s = ended_s - (outcome.ttfb_s or 0.0)
        if not self._backoff.is_new(sent_s):
            self._backoff.prolong(ended_s, outcome.retry_after_s)
            return
        self._backoff.begin(now_s, ended_s, outcome.retry_after_s, self._allocator.expires_s, rng)
        if self._rate and self._policy.adaptive:
            self._rate.on_incident(now_s, self._backoff.epoch_s, sent_s)

    def _take_hint(self, outcome: Outcome, ended_s: float) -> None:
        if outcome.ratelimit_rps is not None:
            self._hint_rps = outcome.ratelimit_rps
            self._hint_until_s = ended_s + min(outcome.ratelimit_reset_s or 0.0, MAX_HINT_S)

    # -- what the driver says ------------------------------------------------------------------------------------

    def note_idle(self, is_idle: bool, now_s: float) -> None:
        """Whether the run has nothing else to do: only then does the patience with this server run out."""
        self._patience.note_idle(is_idle, now_s)

    def note_outage(self, is_outage: bool, now_s: float) -> None:
        """Whether our own network is out of order: until it works again no failure says anything of this server."""
        self._patience.note_outage(is_outage, now_s)

    # -- what it is answered ---------------------------------------------------------------------------------------

    def verdict(self, now_s: float) -> Verdict:
        """What may be done with rows of this server."""
        if self._ordered is Verdict.BANNED:
            return Verdict.BANNED
        if self._opt_out.is_open:
            return Verdict.OPTED_OUT
        if (self._liveness.is_dead and self._may_park) or self._backoff.is_fruitless(now_s):
            return Verdict.DEAD
        return Verdict.PAUSED if self._pause_s(now_s) > 0 else Verdict.OPEN

    @property
    def _may_park(self) -> bool:
        """A group is many hosts: one that is down says nothing of the others."""
        return self._policy.group is None

    def _pause_s(self, now_s: float) -> float:
        """How long nothing may be sent; 0: it may."""
        pauses_s = [self._backoff.remaining_s(now_s)]
        if self._ordered is Verdict.PAUSED:
            pauses_s.append(RECHECK_S)
        if self._rate and not self._hint_rps:
            pauses_s.append(self._hint_until_s - now_s)
        if self._day_requests.left(now_s) < 1:
            pauses_s.append(self._day_requests.wait_s(now_s))
        if self._day_bytes.left(now_s) < (self._byte_rate.mean_bytes or 1.0):
            pauses_s.append(self._day_bytes.wait_s(now_s))
        return max(pauses_s)

    def wait(self, now_s: float) -> Wait | None:
        """Why there are no permits now, if the server, the operator or an outage is why."""
        if self._ordered is Verdict.PAUSED:
            return Wait(WaitReason.PAUSED_BY_OPERATOR, None, "")
        pause_s = self._backoff.remaining_s(now_s)
        return Wait(WaitReason.BACKOFF, now_s + pause_s, "") if pause_s > 0 else None

    def _offer(self, request: LeaseRequest, now_s: float) -> Lease:
        is_probe = self._liveness.is_parked and self._may_park
        if is_probe and (wait_s := self._liveness.wait_s(request.holder, now_s)) > 0:
            return self._allocator.refuse(request, wait_s, Verdict.OPEN, now_s)
        lease = self._allocator.offer(request, self._probe_terms(now_s) if is_probe else self._terms(now_s), now_s)
        if lease.permits and is_probe:
            self._liveness.probe(request.holder, now_s + lease.first_in_s, now_s + lease.valid_s)
        if lease.serial > self._charged_serial:
            self._charged_serial = lease.serial
            self._day_requests.add(lease.permits, now_s)
        return replace(lease, is_403_ban=True) if self._detector.is_403_ban else lease

    def _terms(self, now_s: float) -> Terms:
        is_moving = self._rate is not None and self._policy.adaptive and not self._rate.is_settled
        by_bytes = self._day_bytes.left(now_s) / (self._byte_rate.mean_bytes or 1.0)
        return Terms(
            not_before_s=max(now_s, self._backoff.epoch_s, self._byte_rate.paid_s),
            interval_s=self._interval_s(now_s),
            least_s=spacing_s(self._ceiling_rps) if self._ceiling_rps else 0.0,
            burst=self._policy.burst,
            connections=self._policy.max_connections,
            turn_connections=self._turn_connections(now_s),
            length_s=MOVING_LEASE_S if is_moving else SETTLED_LEASE_S,
            most_permits=1 if self._byte_rate.is_unmeasured else min(by_bytes, self._day_requests.left(now_s)),
            retries=self._retries.available(),
        )

    def _turn_connections(self, now_s: float) -> int:
        """Connections that the rate keeps busy (Little's law), as far as there are so many."""
        interval_s = self._interval_s(now_s)
        busy = math.ceil(CONNECTION_HEADROOM * self._busy_s / interval_s) if interval_s else 1
        return max(1, min(busy, self._policy.max_connections))

    def _probe_terms(self, now_s: float) -> Terms:
        """One request, whatever it is: retries may be all that is left."""
        interval_s = self._interval_s(now_s) or MAX_SLACK_S
        return replace(
            self._terms(now_s), interval_s=interval_s, burst=1, turn_connections=1, most_permits=1, retries=math.inf
        )

    def _interval_s(self, now_s: float) -> float:
        """Distance between requests: the strictest of the learned rate, the ceiling, the server's hint and bytes/s."""
        if self._rate is None or self._ceiling_rps is None:
            return self._byte_rate.interval_s
        interval_s = max(1 / self._rate.rate_rps, spacing_s(self._ceiling_rps), self._byte_rate.interval_s)
        return max(interval_s, 1 / self._hint_rps) if self._hint_rps and now_s < self._hint_until_s else interval_s

    def _lower_ceiling(self, ceiling_rps: float) -> None:
        if self._rate and self._ceiling_rps and ceiling_rps < self._ceiling_rps:
            self._ceiling_rps = ceiling_rps
            self._rate.cap(ceiling_rps)

    # -- the operator, and what outlives the process ---------------------------------------------------------------

    def order(self, order: Order, value: float | None = None) -> None:
        """Obey the operator: `rate` sets the rate and its ceiling; `resume` ends an ordered pause or ban."""
        if order == "rate":
            if self._rate and value:
                self._ceiling_rps = value
                self._rate.cap(value)
                self._rate.resume(value, None)
            return
        self._ordered = {"pause": Verdict.PAUSED, "ban": Verdict.BANNED, "resume": None}[order]

    def snapshot(self, now_s: float) -> dict[str, Any]:
        """What was learned and counted, as JSON has it; times are relative to now."""
        return {
            "verdict": self.verdict(now_s).value,
            "ordered": self._ordered.value if self._ordered else None,
            "rate_rps": self._rate.rate_rps if self._rate else None,
            "ceiling_rps": self._ceiling_rps,
            "incident_rps": self._rate.incident_rps if self._rate else None,
            "plateau_factor": self._rate.plateau_factor if self._rate else 1,
            "was_costly": self._rate.was_costly if self._rate else False,
            "pause_s": self._backoff.remaining_s(now_s),
            "doublings": self._backoff.doublings,
            "mean_bytes": self._byte_rate.mean_bytes,
            "day_bytes": self._day_bytes.dump(now_s),
            "day_requests": self._day_requests.dump(now_s),
            "requests": self._retries.requests,
            "retries": self._retries.retries,
            "successes": self._counted["successes"],
            "incidents": self._backoff.incidents,
            "throttled": self._counted["throttled"],
            "bytes": self._counted["bytes"],
            "in_flight": self._allocator.in_flight,
        }

    @classmethod
    def restore(cls, policy: ServerPolicy, snapshot: Mapping[str, Any], elapsed_s: float, now_s: float) -> ServerState:
        """Go on from a snapshot that was taken `elapsed_s` ago, by the same process or another.

        Whether a server is dead or opts out is found out anew. Leases of a process that just died may still be used,
        so the first new one waits until they have ended.
        """
        state = cls(policy, now_s)
        if state._rate and snapshot["rate_rps"]:
            learned = snapshot["rate_rps"], snapshot["incident_rps"], snapshot.get("plateau_factor", 1)
            state._rate.resume(*learned, was_costly=snapshot.get("was_costly", False))
        if elapsed_s < FRESH_S:
            state._allocator = LeaseAllocator(
                now_s + LEAD_S + SETTLED_LEASE_S + ALONE_SLACK_S + policy.burst * state._interval_s(now_s)
            )
        state._backoff.resume(max(0.0, snapshot["pause_s"] - elapsed_s), snapshot["doublings"], now_s)
        state._backoff.incidents = snapshot["incidents"]
        state._byte_rate.mean_bytes = snapshot["mean_bytes"]
        state._day_bytes.load(snapshot["day_bytes"], elapsed_s, now_s)
        state._day_requests.load(snapshot["day_requests"], elapsed_s, now_s)
        state._retries = RetryBudget(snapshot["requests"], snapshot["retries"])
        state._counted.update({key: snapshot[key] for key in ("successes", "throttled", "bytes")})
        state._ordered = Verdict(snapshot["ordered"]) if snapshot["ordered"] else None
        return state


def _rate_of(policy: ServerPolicy, now_s: float) -> AdaptiveRate | None:
    if policy.start_rate_rps is None or policy.ceiling_rps is None:
        return None
    return AdaptiveRate(policy.start_rate_rps, policy.ceiling_rps, now_s)
