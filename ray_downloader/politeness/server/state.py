"""One whole budget: who may send how many requests when, and how the server's answers change that.

A state machine without clock, chance or network. `handle` is the only entry for workers: a message with outcomes comes
in, a lease goes out. `order` is for the operator, `note_idle` and `note_outage` are for the driver. What was learned
survives through `snapshot` and `restore`. The server's condition, and the reason for it, is in `ServerCondition`.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.headers.x_robots_tag import OptOutBreaker
from ray_downloader.politeness.leases.allocator import LEAD_S, RECHECK_S, LeaseAllocator, Terms, holder_name
from ray_downloader.politeness.leases.timeline import ALONE_SLACK_S, MAX_SLACK_S, spacing_s
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, Verdict, WaitReason
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.retry import RetryBudget
from ray_downloader.politeness.server.ceiling import Ceiling
from ray_downloader.politeness.server.condition import ServerCondition
from ray_downloader.politeness.server.connections import Connections
from ray_downloader.politeness.server.controls import Controls
from ray_downloader.politeness.server.events import Consequence, Event
from ray_downloader.politeness.server.evidence import FORBIDDEN_STATUS, Evidence
from ray_downloader.politeness.server.group_hosts import GroupHosts
from ray_downloader.politeness.server.lessons import Lessons
from ray_downloader.politeness.server.name_watch import NameWatch
from ray_downloader.politeness.server.noise import RefusalNoise
from ray_downloader.politeness.server.patience import Patience
from ray_downloader.politeness.server.quota import ByteRate, DayQuota, DayRequests
from ray_downloader.politeness.server.rate import AdaptiveRate
from ray_downloader.politeness.server.reading import OutcomeReader
from ray_downloader.politeness.server.snapshot import Reader

Order = Literal["pause", "resume", "rate", "ban"]

#: Length of a lease for a single holder: when the rate has settled, and while it changes fast.
SETTLED_LEASE_S = 2.0
MOVING_LEASE_S = 0.25
#: Snapshots are saved every 2 s (`cluster/driver.py`), and what was used after the last one is lost if everything is
#: killed. So each contains, of a limit a day, what may be used within so long, as if it had been.
UNSAVED_S = 4.0
#: A snapshot older than this comes from a process whose leases have ended.
FRESH_S = 300.0
#: Weight of a new answer in the mean time for which a connection is busy: about twenty answers.
BUSY_WEIGHT = 0.05
#: A turn has this many more connections than Little's law requires: the exact number is too low if answers vary (four
#: tasks, 30 ms answers with 4 ms of noise, 28/s: 0.87 of the rate was used, with the headroom 0.95; virtual time).
CONNECTION_HEADROOM = 1.15
#: How long a hint from `RateLimit` headers applies at most.
MAX_HINT_S = 3_600.0


class Wait(NamedTuple):
    """Why a server gets no request now, until when (None: unknown), and what it said."""

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
        self._ceiling = Ceiling(policy.ceiling_rps)
        self._rate = _rate_of(policy, now_s)
        self._lessons = Lessons(self._rate) if self._rate else None
        self._allocator = LeaseAllocator(now_s)
        self._patience = Patience(policy.patience_s, now_s)
        self._condition = ServerCondition(policy.dead_probe_delays_s, self._patience, now_s)
        #: Of a group, whose hosts may be unreachable one by one.
        self._hosts = GroupHosts(policy.dead_probe_delays_s, policy.patience_s) if policy.group else None
        self._reader = OutcomeReader(self._patience, is_limited=self._rate is not None, hosts=self._hosts)
        self._connections = Connections(policy.max_connections, now_s)
        self._controls = Controls()
        self._opt_out = OptOutBreaker()
        self._name = NameWatch()
        self._retries = RetryBudget()
        self._byte_rate = ByteRate(policy.max_bytes_per_s, now_s)
        self._day_bytes = DayQuota(policy.max_bytes_per_day, now_s)
        self._day_requests = DayRequests(policy.max_requests_per_day, now_s)
        self._hint_rps = 0.0
        self._hint_until_s = now_s
        self._busy_s = 0.0
        self._ordered: Verdict | None = None
        self._charged_serial = 0
        self._granted_until_s = -math.inf
        self._counted: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"ServerState({self._condition!r}, ordered={self._ordered}, rate={self._rate and self._rate.rate_rps})"

    # -- messages of workers ---------------------------------------------------------------------------------------

    def handle(self, request: LeaseRequest, now_s: float, rng: random.Random) -> Lease:
        """Process a worker's message and answer it."""
        self._take_in(request, now_s, rng)
        verdict = self.verdict(now_s)
        is_open = verdict is Verdict.OPEN and request.wanted > 0
        lease = self._offer(request, now_s) if is_open else self._refuse(request, verdict, now_s)
        return self._explained(lease, request, now_s)

    def hold(self, request: LeaseRequest, wait_s: float, now_s: float, rng: random.Random) -> Lease:
        """Process a worker's message but grant no permit: an outage of our own network lasts."""
        self._take_in(request, now_s, rng)
        lease = self._allocator.refuse(request, wait_s, Verdict.PAUSED, now_s)
        return self._explained(lease, request, now_s)

    def _take_in(self, request: LeaseRequest, now_s: float, rng: random.Random) -> None:
        self._patience.note_pause(self._ordered is Verdict.PAUSED, now_s)
        if self._hosts:
            self._hosts.note_pause(self._ordered is Verdict.PAUSED, now_s)
        self._allocator.receive(request, now_s)
        self._reader.open_elsewhere = self._allocator.in_flight - request.in_flight
        self._condition.has_in_flight = self._allocator.in_flight > 0
        self._day_requests.note_report(request, holder_name(request), now_s)
        self._know_controls(request.controls)
        if request.crawl_delay_s:
            self._ceiling.note_crawl_delay(request.crawl_delay_s, now_s)
            self._apply_ceiling()
        for outcome in sorted(request.outcomes, key=lambda it: -it.age_s):
            self._learn(outcome, now_s, rng)
        if not request.in_flight:
            is_returned = request.unused > 0 or not request.wanted
            self._condition.probe.has_nothing_under_way(holder_name(request), now_s, is_returned=is_returned)

    def _know_controls(self, urls: Iterable[str]) -> None:
        self._controls.add(urls)
        self._condition.knows_control = bool(self._controls.urls)
        if self._hosts:
            self._hosts.know_served(self._controls.urls)

    def _learn(self, outcome: Outcome, now_s: float, rng: random.Random) -> None:
        ended_s = now_s - outcome.age_s
        self._retries.add(outcome.is_retry)
        self._counted["bytes"] += outcome.size_bytes
        self._byte_rate.add(outcome.size_bytes, ended_s)
        self._day_bytes.add(outcome.size_bytes, now_s)
        if outcome.is_row:
            self._opt_out.observe(outcome.kind)
        is_no_such_name = outcome.is_no_such_name and not self._patience.is_outage
        self._name.observe(is_no_such_name=is_no_such_name, ended_s=ended_s)
        self._take_hint(outcome, ended_s)
        self._judge(outcome, now_s, rng)
        if self._hosts and outcome.host:
            self._hosts.observe(outcome, now_s)
        if outcome.kind is None:
            self._on_success(outcome, ended_s)

    def _judge(self, outcome: Outcome, now_s: float, rng: random.Random) -> None:
        """What the answer reveals about the server, and the consequences."""
        event = self._reader.event(outcome, now_s, self._allocator.expires_s, rng)
        if outcome.kind is ErrorKind.RESET or event.evidence is Evidence.CROWDED:
            self._connections.lost_one(self._reader.open_with(outcome), event.sent_s, now_s)
        self._counted["throttled"] += event.evidence is Evidence.REFUSED
        if self._rate and self._policy.adaptive and event.evidence is Evidence.ANSWERED and event.is_answer:
            self._rate.on_answer(event.sent_s)
            self._condition.note_noise(self._rate.noise.is_noise)
        was_trouble, refused_first_visits = self._condition.is_trouble, self._condition.first_visits.are_refused
        self._draw(self._condition.on(event), event)
        if self._rate and self._condition.first_visits.are_refused and not refused_first_visits:
            self._rate.take_back_all()
        if self._rate and was_trouble and not self._condition.is_trouble:
            self._rate.on_recovery(event.sent_s)
        if outcome.is_odd and outcome.is_row and outcome.kind:  # robots.txt is no file: many forbid only that
            is_forbidden, states_wait = outcome.http_status == FORBIDDEN_STATUS, event.wait_s is not None
            self._condition.was_odd(outcome.url_hash, is_forbidden=is_forbidden, states_wait=states_wait)
            if self._lessons:
                self._lessons.was_odd(outcome.url_hash)

    def _draw(self, consequence: Consequence, event: Event) -> None:
        """What the rate learns from it."""
        if self._rate is None or self._lessons is None or not self._policy.adaptive:
            return
        resumes_s = self._condition.backoff.epoch_s
        if consequence is Consequence.REFUSED and event.evidence is Evidence.FORBIDDEN:
            self._lessons.banned(event.url_hash, event.now_s, resumes_s, event.sent_s)
        elif consequence is Consequence.REFUSED:
            is_bare = not self._condition.backoff.is_asked
            self._lessons.refused(event.url_hash, event.now_s, resumes_s, event.sent_s, is_bare=is_bare)
        elif consequence is Consequence.REFUSED_FOR_LONG:
            self._lessons.refused_for_long(event.now_s, resumes_s, event.sent_s)
        elif consequence is Consequence.FAILED:
            self._rate.on_trouble(event.now_s, resumes_s)

    def _on_success(self, outcome: Outcome, ended_s: float) -> None:
        self._counted["successes"] += 1
        self._connections.served(ended_s)
        busy_s = outcome.total_s or outcome.ttfb_s
        if busy_s is not None:
            self._busy_s += BUSY_WEIGHT * (busy_s - self._busy_s)
        if self._rate and self._policy.adaptive:
            self._rate.on_success(ended_s, outcome.ttfb_s)
            self._condition.note_noise(self._rate.noise.is_noise)

    def _take_hint(self, outcome: Outcome, ended_s: float) -> None:
        if outcome.ratelimit_rps is not None:
            self._hint_rps = outcome.ratelimit_rps
            self._hint_until_s = ended_s + min(outcome.ratelimit_reset_s or 0.0, MAX_HINT_S)

    # -- calls of the driver and the operator ----------------------------------------------------------------------

    def note_idle(self, is_idle: bool, now_s: float) -> None:
        """Record whether the run has nothing else to do: only then does the patience with this server run out."""
        self._patience.note_idle(is_idle, now_s)
        if self._hosts:
            self._hosts.note_idle(is_idle, now_s)

    def note_outage(self, is_outage: bool, now_s: float) -> bool:
        """Record whether our own network is down: until it works again, silence reveals nothing about this server.

        Returns:
            Whether that is new.
        """
        is_new = is_outage != self._patience.is_outage
        if is_new:
            self._patience.note_outage(is_outage, now_s)
            self._condition.probe_now(now_s)
            if self._hosts:
                self._hosts.note_outage(is_outage, now_s)
        return is_new

    def forget(self, holder: str) -> bool:
        """Free the connections of a holder that is known to be gone.

        Returns:
            Whether it had any.
        """
        before = self._allocator.in_flight
        self._allocator.forget(holder)
        self._condition.has_in_flight = self._allocator.in_flight > 0
        return self._allocator.in_flight != before

    def order(self, order: Order, value: float | None = None) -> None:
        """Obey the operator's order: `rate` sets the rate and its ceiling; `resume` ends an ordered pause or ban."""
        if order == "rate":
            if self._rate and value:
                self._ceiling.ordered_rps = value
                self._apply_ceiling()
                self._rate.resume(value, None)
            return
        self._ordered = {"pause": Verdict.PAUSED, "ban": Verdict.BANNED, "resume": None}[order]

    def is_at_rest(self, now_s: float) -> bool:
        """Whether only a message of a worker or an order changes it, and neither time nor the condition of the run."""
        is_trouble = self._condition.is_trouble or (self._hosts is not None and self._hosts.is_trouble)
        return not self._allocator.in_flight and not is_trouble and self.wait(now_s) is None

    @property
    def ordered_rps(self) -> float | None:
        """The rate that the operator ordered, if any."""
        return self._ceiling.ordered_rps

    # -- answers ---------------------------------------------------------------------------------------------------

    def verdict(self, now_s: float) -> Verdict:
        """What may be done with rows of this server."""
        if self._ordered is Verdict.BANNED:
            return Verdict.BANNED
        if self._opt_out.is_open:
            return Verdict.OPTED_OUT
        if self._is_name_gone:
            return Verdict.DEAD
        given_up = self._condition.verdict
        if given_up:
            return given_up
        return Verdict.PAUSED if self._pause_s(now_s) > 0 else Verdict.OPEN

    def wait(self, now_s: float) -> Wait | None:
        """Why there are no permits now, if the server, the operator or an outage is the reason."""
        if self._ordered is Verdict.BANNED or self._opt_out.is_open or self._condition.verdict:
            return None
        if self._ordered is Verdict.PAUSED:
            return Wait(WaitReason.PAUSED_BY_OPERATOR, None, "")
        if self._patience.is_outage:
            return Wait(WaitReason.OUTAGE, None, "")
        pause_s, reason = self._condition.pause_s(now_s), self._condition.reason
        if reason and (pause_s > 0 or self._condition.needs_probe):
            return Wait(reason, now_s + pause_s if pause_s > 0 else None, self._condition.said)
        return self._slow_wait(now_s)

    def host_waits(self, now_s: float) -> dict[str, Wait]:
        """Why single hosts of a group get no requests now."""
        return {host: Wait(*why) for host, why in (self._hosts.reasons(now_s) if self._hosts else {}).items()}

    def _slow_wait(self, now_s: float) -> Wait | None:
        """The wait for a limit that is used up, or for a long delay."""
        hint_s, quota_s = self._hint_pause_s(now_s), self._quota_pause_s(now_s)
        if hint_s > 0:
            return Wait(WaitReason.RETRY_AFTER, now_s + hint_s, "RateLimit headers: nothing left")
        if quota_s > 0:
            return Wait(WaitReason.QUOTA, now_s + quota_s, "")
        if self._ceiling.is_long_delay and self._allocator.is_wanted(now_s):
            return Wait(WaitReason.CRAWL_DELAY, None, f"Crawl-delay: {self._ceiling.crawl_delay_s:g}")
        return None

    @property
    def _is_name_gone(self) -> bool:
        return self._hosts is None and self._name.is_gone

    def _pause_s(self, now_s: float) -> float:
        """How long nothing may be sent; 0: sending is allowed."""
        ordered_s = RECHECK_S if self._ordered is Verdict.PAUSED else 0.0
        pause_s = self._condition.pause_s(now_s)
        return max(ordered_s, pause_s, self._hint_pause_s(now_s), self._quota_pause_s(now_s))

    def _hint_pause_s(self, now_s: float) -> float:
        return self._hint_until_s - now_s if self._rate and not self._hint_rps else 0.0

    def _quota_pause_s(self, now_s: float) -> float:
        pause_s = self._day_requests.wait_s(now_s) if self._day_requests.left(now_s) < 1 else 0.0
        if self._day_bytes.left(now_s) < (self._byte_rate.mean_bytes or 1.0):
            return max(pause_s, self._day_bytes.wait_s(now_s))
        return pause_s

    def _refuse(self, request: LeaseRequest, verdict: Verdict, now_s: float) -> Lease:
        """No permit now. A pause that we chose may become shorter when the run is idle, so the worker returns soon."""
        wait_s = self._pause_s(now_s)
        if self._condition.is_trouble and not self._condition.backoff.is_asked:
            wait_s = min(wait_s, self._patience.check_s)
        return self._allocator.refuse(request, wait_s, verdict, now_s)

    def _offer(self, request: LeaseRequest, now_s: float) -> Lease:
        condition = self._condition
        is_probe = condition.needs_probe or self._patience.is_outage
        if condition.needs_probe and condition.probe.is_under_way(now_s):
            return self._allocator.refuse(request, RECHECK_S, Verdict.OPEN, now_s)
        lease = self._allocator.offer(request, self._probe_terms(now_s) if is_probe else self._terms(now_s), now_s)
        if lease.permits and is_probe:
            condition.probe_given(holder_name(request), now_s + lease.first_in_s, now_s + lease.valid_s)
        if lease.serial > self._charged_serial:
            self._charged_serial = lease.serial
            self._granted_until_s = now_s + lease.valid_s
            self._day_requests.granted(holder_name(request), lease.permits, now_s + lease.valid_s)
        return replace(lease, is_probe=is_probe and lease.permits > 0)

    def _explained(self, lease: Lease, request: LeaseRequest, now_s: float) -> Lease:
        """The lease with what its holder should know about the server."""
        holder = holder_name(request)
        wait = None if lease.permits else self.wait(now_s)
        return replace(
            lease,
            reason=wait.reason if wait else None,
            said=self._condition.said if wait or self._condition.verdict else "",
            is_403_ban=self._condition.is_403_ban,
            probe_url=self._condition.probe_url,
            controls=self._controls.urls,
            is_no_such_name=self._is_name_gone,
            connections_elsewhere=self._allocator.held_by_others(holder),
            hosts=self._hosts.waits(request.hosts, holder, now_s) if self._hosts else (),
        )

    def _terms(self, now_s: float) -> Terms:
        is_moving = self._rate is not None and self._policy.adaptive and not self._rate.is_settled
        by_bytes = self._day_bytes.left(now_s) / (self._byte_rate.mean_bytes or 1.0)
        return Terms(
            not_before_s=max(now_s, self._condition.backoff.epoch_s, self._byte_rate.paid_s),
            interval_s=self._interval_s(now_s),
            least_s=spacing_s(self._ceiling.rps) if self._ceiling.rps else 0.0,
            burst=1 if self._ceiling.keeps_distance or self._has_limit else self._policy.burst,
            connections=self._connections.limit,
            turn_connections=self._turn_connections(now_s),
            length_s=MOVING_LEASE_S if is_moving else SETTLED_LEASE_S,
            most_permits=1 if self._byte_rate.is_unmeasured else min(by_bytes, self._day_requests.left(now_s)),
            retries=self._retries.available(),
        )

    @property
    def _has_limit(self) -> bool:
        """Whether refusals have shown a limit: a burst would exceed it, however low the rate has become."""
        return self._rate is not None and self._rate.incident_rps is not None

    def _turn_connections(self, now_s: float) -> int:
        """Connections that the rate keeps busy (Little's law), as far as that many are available."""
        interval_s = self._interval_s(now_s)
        busy = math.ceil(CONNECTION_HEADROOM * self._busy_s / interval_s) if interval_s else 1
        return max(1, min(busy, self._connections.limit))

    def _probe_terms(self, now_s: float) -> Terms:
        """Terms for one request of any kind: retries may be all that is left."""
        return replace(
            self._terms(now_s),
            not_before_s=max(now_s, self._byte_rate.paid_s),
            interval_s=self._interval_s(now_s) or MAX_SLACK_S,
            burst=1,
            turn_connections=1,
            most_permits=1,
            retries=math.inf,
            is_probe=True,
        )

    def _interval_s(self, now_s: float) -> float:
        """Distance between requests: the strictest of the learned rate, the ceiling, the server's hint and bytes/s."""
        least_s = spacing_s(self._ceiling.rps) if self._ceiling.rps else 0.0  # also without a limit: a Crawl-delay
        if self._rate is None:
            return max(least_s, self._byte_rate.interval_s)
        interval_s = max(1 / self._rate.rate_rps, least_s, self._byte_rate.interval_s)
        return max(interval_s, 1 / self._hint_rps) if self._hint_rps and now_s < self._hint_until_s else interval_s

    def _apply_ceiling(self) -> None:
        if self._rate and self._ceiling.rps:
            self._rate.cap(self._ceiling.rps)

    # -- what outlives the process ---------------------------------------------------------------------------------

    def snapshot(self, now_s: float, *, is_ending: bool = False) -> dict[str, Any]:
        """What was learned, ordered and counted, as JSON-able values; times are relative to now.

        Args:
            now_s: Monotonic time.
            is_ending: Whether nothing is granted any more.
        """
        wait = self.wait(now_s)
        ahead = 0.0 if is_ending else self._requests_ahead(now_s)
        return {
            "verdict": self.verdict(now_s).value,
            "ordered": self._ordered.value if self._ordered else None,
            "rate_rps": self._rate.rate_rps if self._rate else None,
            "ceiling_rps": self._ceiling.rps,
            "incident_rps": self._rate.incident_rps if self._rate else None,
            "plateau_factor": self._rate.plateau_factor if self._rate else 1,
            "was_costly": self._rate.was_costly if self._rate else False,
            "refusal_noise": self._rate.noise.score if self._rate else 0.0,
            "hint_rps": self._hint_rps,
            "hint_s": max(0.0, self._hint_until_s - now_s),
            "mean_bytes": self._byte_rate.mean_bytes,
            "day_bytes": self._day_bytes.dump(now_s),
            "day_requests": self._day_requests.dump(now_s),
            "day_requests_unsaved": self._day_requests.unsaved(ahead, now_s),
            "day_bytes_unsaved": self._day_bytes.unsaved(ahead * (self._byte_rate.mean_bytes or 0.0), now_s),
            "requests": self._retries.requests,
            "retries": self._retries.retries,
            "successes": self._counted["successes"],
            "throttled": self._counted["throttled"],
            "bytes": self._counted["bytes"],
            "in_flight": self._allocator.in_flight,
            "waiting": wait and _relative(wait, now_s),
            "controls": list(self._controls.urls),
            **self._condition.dump(now_s),
            **self._connections.dump(),
            **self._ceiling.dump(now_s),
        }

    def _requests_ahead(self, now_s: float) -> float:
        """Requests that may be granted before the next snapshot is saved: none if none was lately."""
        if now_s > self._granted_until_s + UNSAVED_S:
            return 0.0
        least_s = self._interval_s(now_s) or self._busy_s / self._connections.limit
        return math.ceil(UNSAVED_S / least_s) if least_s else 0.0

    @classmethod
    def restore(
        cls,
        policy: ServerPolicy,
        snapshot: Mapping[str, Any],
        elapsed_s: float,
        now_s: float,
        granted_s_ago: float = math.inf,
    ) -> ServerState:
        """Continue from a snapshot that was taken `elapsed_s` ago, by the same process or another.

        Whether a server is given up or opts out is determined anew. Leases of a process that just died may still be
        used, so the first new one waits until they have ended: the snapshot may be old, as it did not change, and a
        lease as young as `granted_s_ago`. Values that cannot be parsed are left out, key by key.
        """
        state, saved = cls(policy, now_s), Reader(snapshot)
        state._ceiling.load(saved, elapsed_s, now_s)
        state._condition.load(saved, elapsed_s, now_s)
        state._connections.load(saved)
        state._load_rate(saved)
        if min(elapsed_s, granted_s_ago) < FRESH_S:
            state._allocator = LeaseAllocator(
                now_s + LEAD_S + SETTLED_LEASE_S + ALONE_SLACK_S + policy.burst * state._interval_s(now_s)
            )
        state._hint_rps = saved.number("hint_rps", 0.0)
        state._hint_until_s = now_s + max(0.0, min(saved.number("hint_s", 0.0), MAX_HINT_S) - elapsed_s)
        state._byte_rate.mean_bytes = saved.number("mean_bytes", 0.0) or None
        state._day_bytes.load(_used(saved, "day_bytes"), elapsed_s, now_s)
        state._day_requests.load(_used(saved, "day_requests"), elapsed_s, now_s)
        state._retries = RetryBudget(saved.count("requests"), saved.count("retries"))
        state._counted.update({key: saved.count(key) for key in ("successes", "throttled", "bytes")})
        state._ordered = saved.choice("ordered", Verdict)
        state._know_controls(saved.texts("controls"))
        return state

    def _load_rate(self, saved: Reader) -> None:
        rate_rps = saved.number("rate_rps", 0.0)
        if self._rate and rate_rps > 0:
            self._apply_ceiling()
            incident_rps = saved.number("incident_rps", 0.0) or None
            plateau_factor = max(1, saved.count("plateau_factor"))
            self._rate.resume(rate_rps, incident_rps, plateau_factor, was_costly=saved.flag("was_costly"))
            self._rate.noise = RefusalNoise(saved.number("refusal_noise", 0.0))
            if self._rate.noise.is_noise or self._condition.first_visits.are_refused:
                self._rate.take_back_all()


def _used(saved: Reader, key: str) -> list[tuple[float, float]]:
    """The uses of a day that were known, and those that the end of the process may have hidden."""
    return [*saved.uses(key), (0.0, saved.number(f"{key}_unsaved", 0.0))]


def _relative(wait: Wait, now_s: float) -> dict[str, Any]:
    wait_s = None if wait.until_s is None else max(0.0, wait.until_s - now_s)
    return {"reason": wait.reason.value, "wait_s": wait_s, "said": wait.said}


def _rate_of(policy: ServerPolicy, now_s: float) -> AdaptiveRate | None:
    if policy.start_rate_rps is None or policy.ceiling_rps is None:
        return None
    return AdaptiveRate(policy.start_rate_rps, policy.ceiling_rps, now_s)
