"""The budgets of many servers, and the progress of tasks: everything in a budget actor except Ray."""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ray_downloader.errors import ErrorKind
from ray_downloader.monitor.waiting import Waiting
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, Verdict, WaitReason
from ray_downloader.politeness.policy import PolicyBook, ServerPolicy
from ray_downloader.politeness.server.outage_probes import OutageProbes
from ray_downloader.politeness.server.state import Order, ServerState, Wait
from ray_downloader.profile.table import ProfiledWait
from ray_downloader.run_folder.instants import Instant
from ray_downloader.run_folder.orders import ServerOrder, in_force
from ray_downloader.worker.host_orders import HostOrders
from ray_downloader.worker.kept_states import KeptStates
from ray_downloader.worker.news import ProgressNews, StateNews, UnconfirmedChanges, UnconfirmedProgress
from ray_downloader.worker.progress import ProgressDelta

#: Snapshots in one answer: leases wait for 0.1 s meanwhile (20 us each, measured).
MOST_SNAPSHOTS = 5_000
#: Numbers of news that one process may use.
_NUMBERS = 2**32
#: The holder in whose name the profile stage reports.
_PROBE = "probe"


@dataclass(frozen=True, slots=True)
class BudgetReply:
    """A budget actor's answer to one call.

    Args:
        is_draining: Whether the run is ending: start nothing new and return everything.
        hosts: Hosts of groups that the operator paused or banned.
    """

    leases: tuple[Lease, ...]
    is_draining: bool = False
    hosts: Mapping[str, Verdict] = field(default_factory=dict)


class Budgets:
    """Holds the budgets of many servers and answers requests for them.

    Args:
        policies: Limits of each server.
        saved: Snapshots of an earlier run or of an actor that died, by budget.
        incarnation: A number that no other process of the run has had.
    """

    def __init__(  # noqa: PLR0913 - time and chance are three of them
        self,
        policies: PolicyBook,
        saved: Mapping[str, Mapping[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        now: Callable[[], Instant] = Instant.now,
        *,
        incarnation: int = 0,
    ) -> None:
        self._policies = policies
        self._saved = saved or {}
        #: How long nothing has been saved. What was granted since then nobody knows any more.
        began, saved_at = now(), map(Instant.of, self._saved.values())
        self._unsaved_s = min(map(began.since, saved_at), default=math.inf)
        self._began_s = clock()
        self._clock = clock
        self._now = now
        self._rng = rng or random.Random()
        self._states = KeptStates()
        self._probed: defaultdict[str, list[ProfiledWait]] = defaultdict(list)
        self._is_draining = False
        #: Budgets whose last snapshots count what may have been granted since.
        self._with_unsaved: set[str] = set()
        self._orders: defaultdict[str, list[ServerOrder]] = defaultdict(list)
        self._saved_at_s: dict[str, float] = {}
        self._hosts = HostOrders()
        self._is_idle = False
        self._outage = OutageProbes()
        self._progress = UnconfirmedProgress(incarnation * _NUMBERS)
        self._changes = UnconfirmedChanges(incarnation * _NUMBERS)

    def lease(self, requests: Sequence[LeaseRequest]) -> BudgetReply:
        """Answer each request, in order."""
        now_s = self._clock()
        leases = tuple(self._lease(request, now_s) for request in requests)
        return BudgetReply(leases, self._is_draining, self._hosts.verdicts)

    def _lease(self, request: LeaseRequest, now_s: float) -> Lease:
        """During an outage each state refuses, but from time to time one may let a single request probe for its end."""
        state = self._state(request.server, now_s)
        self._changes.note(request.server)
        wait_s = self._outage.wait_s(now_s)
        if wait_s > 0:
            return state.hold(request, wait_s, now_s, self._rng)
        lease = state.handle(request, now_s, self._rng)
        if lease.permits:
            self._outage.sent(now_s)
        return lease

    def _state(self, budget: str, now_s: float) -> ServerState:
        state = self._states.use(budget, now_s)
        if state is None:
            policy = self._policies.policy(budget)
            snapshot = self._saved.get(budget)
            state = self._restored(policy, snapshot, now_s) if snapshot else None
            if state is not None and snapshot:
                self._saved_at_s[budget] = Instant.of(snapshot).unix_s
            else:
                state = ServerState(policy, now_s)
            self._states.add(budget, state, now_s)
            self._note_run(state, now_s)
            self._heed_probes_of(budget, state, now_s)
            self._obey(budget, state)
        else:
            self._note_run(state, now_s)
        return state

    def _note_run(self, state: ServerState, now_s: float) -> None:
        """Inform a new state, or one that was packed, about the condition of the run; for others it is nothing new."""
        state.note_idle(self._is_idle, now_s)
        state.note_outage(self._outage.is_outage, now_s)

    def _restored(self, policy: ServerPolicy, snapshot: Mapping[str, Any], now_s: float) -> ServerState | None:
        """The state of a snapshot; None if it is damaged, so that everything is learned again."""
        try:
            age_s = max(0.0, self._now().since(Instant.of(snapshot)))
            return ServerState.restore(policy, snapshot, age_s, now_s, self._unsaved_s + now_s - self._began_s)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def heed_probes(self, waits: Mapping[str, ProfiledWait]) -> None:
        """Apply what servers demanded of the profile's probes, as if they had demanded it of the download.

        Args:
            waits: By server; for a member of a group, the whole group waits.
        """
        for server, wait in waits.items():
            self._probed[self._policies.budget_key(server)].append(wait)

    def _heed_probes_of(self, budget: str, state: ServerState, now_s: float) -> None:
        for wait in self._probed.pop(budget, ()):
            left_s = (wait.retry_at_unix_s or 0.0) - self._now().unix_s
            outcomes = (Outcome(ErrorKind.HTTP_5XX, 503, retry_after_s=left_s, is_row=False),) if left_s > 0 else ()
            request = LeaseRequest(budget, _PROBE, wanted=0, outcomes=outcomes, crawl_delay_s=wait.crawl_delay_s)
            state.handle(request, now_s, self._rng)

    def note_idle(self, is_idle: bool) -> None:
        """Record whether the run can do nothing but wait for servers in trouble."""
        self._is_idle = is_idle
        for state in self._states.awake.values():
            state.note_idle(is_idle, self._clock())

    def note_outage(self, is_outage: bool) -> None:
        """Record whether our own network is down."""
        now_s = self._clock()
        self._outage.note(is_outage, now_s)
        for budget in self._states.note_outage(is_outage, now_s):
            self._changes.note(budget)

    def waiting(self) -> dict[str, Waiting]:
        """Budgets, and single hosts of groups, that get no request now, with the reason and the end."""
        now_s = self._clock()
        ahead_s = self._now().unix_s - now_s
        states = self._states.awake
        waits = {budget: state.wait(now_s) for budget, state in states.items()}
        hosts = {host: wait for state in states.values() for host, wait in state.host_waits(now_s).items()}
        packed = dict.fromkeys(self._states.packed if self._outage.is_outage else (), Waiting(WaitReason.OUTAGE))
        paused = {host: Waiting(WaitReason.PAUSED_BY_OPERATOR) for host in self._hosts.paused}
        return {
            **paused,
            **packed,
            **{budget: _on_wall_clock(wait, ahead_s) for budget, wait in {**hosts, **waits}.items() if wait},
        }

    def report(self, delta: ProgressDelta) -> BudgetReply:
        """Count a task's progress."""
        self._progress.add(delta, self._clock())
        return BudgetReply((), self._is_draining, self._hosts.verdicts)

    def remember(self, orders: Iterable[ServerOrder]) -> None:
        """Accept orders that were given before this process started; a budget's state obeys them once it exists."""
        for order in in_force(orders):
            self._take(order)

    def order(self, order: ServerOrder) -> None:
        """Obey the operator's order."""
        budget = self._take(order)
        if budget is not None:
            self._obey(budget, self._state(budget, self._clock()))

    def _take(self, order: ServerOrder) -> str | None:
        """Keep an order until the state of its budget exists; the budget, or None if it is for a single host."""
        budget = self._policies.budget_key(order.server)
        if budget != order.server and order.action != "rate":
            self._hosts.obey(order.server, order.action)
            return None
        self._orders[budget].append(order)
        return budget

    def _obey(self, budget: str, state: ServerState) -> None:
        for order in self._orders.pop(budget, ()):
            self._changes.note(budget)
            is_kept = order.action == "rate" and order.value == state.ordered_rps
            is_older = order.given_at_unix_s < self._saved_at_s.get(budget, 0.0)
            if not (is_kept and is_older):  # otherwise what was learned since then remains valid
                state.order(cast("Order", order.action), order.value)

    def forget(self, holder: str) -> None:
        """Free the connections of a worker that is known to be gone."""
        for budget, state in self._states.awake.items():
            if state.forget(holder):
                self._changes.note(budget)

    def drain(self) -> None:
        """State in every answer from now on that the run is ending."""
        if not self._is_draining:
            self._is_draining = True
            for budget in self._with_unsaved:  # nothing is granted any more
                self._changes.note(budget)

    def progress_news(self, confirmed: int | None) -> ProgressNews:
        """What tasks reported and the driver has not received yet.

        Args:
            confirmed: Number of the last news that it received.
        """
        return self._progress.news(confirmed)

    def state_news(self, confirmed: Collection[int]) -> StateNews:
        """What was learned and the driver has not received yet; it repeats the call if that is not all.

        If nothing has changed, one state is news nevertheless: its time says until when nothing else was granted.

        Args:
            confirmed: Numbers of the last news that it received, of all actors.
        """
        if not self._changes and self._states:
            self._changes.note(next(iter(self._states)))
        now_s = self._clock()
        changed = self._changes.take(confirmed, MOST_SNAPSHOTS)
        states = {budget: self._snapshot(budget, now_s) for budget in changed}
        return StateNews(self._changes.number, states, is_more=bool(self._changes))

    def snapshots(self) -> dict[str, dict[str, Any]]:
        """The learned state of every server that was requested, as JSON-able values."""
        now_s = self._clock()
        return {budget: self._snapshot(budget, now_s) for budget in self._states}

    def _snapshot(self, budget: str, now_s: float) -> dict[str, Any]:
        snapshot = self._states.look_at(budget).snapshot(now_s, is_ending=self._is_draining)
        if snapshot["day_requests_unsaved"] or snapshot["day_bytes_unsaved"]:
            self._with_unsaved.add(budget)
        else:
            self._with_unsaved.discard(budget)
        return snapshot


def _on_wall_clock(wait: Wait, ahead_s: float) -> Waiting:
    return Waiting(wait.reason, None if wait.until_s is None else wait.until_s + ahead_s, wait.said)
