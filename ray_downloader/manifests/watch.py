"""The budgets of the documents' servers, in this process, and what the driver does for those of a download.

The worker's report, once a second, is the beat: the operator's orders are obeyed, the run is idle if it only waits for
servers in trouble, an outage of our own network is recognised, and what was learned is saved for the download.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from ray_downloader.politeness.messages import Lease, LeaseRequest, Verdict
from ray_downloader.politeness.outage import NetworkState, OutageDetector
from ray_downloader.run_folder.instants import Instant
from ray_downloader.run_folder.orders import OrderFile, in_force
from ray_downloader.run_folder.server_states import StatesFile, has_answered
from ray_downloader.worker.budgets import Budgets
from ray_downloader.worker.progress import Progress, ProgressDelta
from ray_downloader.worker.run_context import RunContext

#: As in `cluster/driver.py`.
IDLE_AFTER_S = 2.0
SAVE_INTERVAL_S = 2.0
#: A line of progress is logged this often.
SAY_INTERVAL_S = 10.0


class WatchedBudgets:
    """A `BudgetClient` whose budgets are here.

    Args:
        context: The run; its orders and what it learned before apply.
        report: Called with a sentence about the progress.
    """

    def __init__(
        self,
        context: RunContext,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], Instant] = Instant.now,
    ) -> None:
        #: Why the stage ends early; empty if it does not.
        self.stop_reason = ""
        self._context = context
        self._documents = 0
        self._report = report
        self._clock = clock
        self._now = now
        self._states = StatesFile(context.layout)
        self._learned = self._states.load()
        self._orders = OrderFile(context.layout.orders_file)
        self._budgets = Budgets(context.policies, self._learned, clock, now=now)
        self._budgets.remember(self._orders.new())
        self._progress = Progress()
        self._leases: list[Lease] = []
        self._hosts: Mapping[str, Verdict] = {}
        self._save_at_s = self._busy_s = clock()
        self._say_at_s = clock() + SAY_INTERVAL_S
        has_anybody_answered = any(map(has_answered, self._learned.values()))
        self._outage = OutageDetector(self._has_answered, has_anybody_answered=has_anybody_answered)

    @property
    def is_draining(self) -> bool:
        """Whether the stage ends early."""
        return bool(self.stop_reason)

    @property
    def hosts(self) -> Mapping[str, Verdict]:
        """Hosts of groups that the operator paused or banned."""
        return self._hosts

    def expect(self, documents: int) -> None:
        """Count documents that are to be fetched."""
        self._documents += documents

    def drain(self, reason: str) -> None:
        """End early; may be called by a signal handler."""
        self.stop_reason = self.stop_reason or reason

    def request(self, requests: Sequence[LeaseRequest]) -> None:
        """Answered at once; the answer waits for `receive`."""
        answer = self._budgets.lease(requests)
        self._leases.extend(answer.leases)
        self._hosts = answer.hosts

    def receive(self) -> list[Lease]:
        """Leases that have come since the last call."""
        leases, self._leases = self._leases, []
        return leases

    def report(self, delta: ProgressDelta) -> None:
        """Count progress, and do what is due."""
        self._hosts = self._budgets.report(delta).hosts
        self._progress.add(delta, self._clock())
        if delta.is_busy:
            self._busy_s = self._clock()
        self.beat()

    def beat(self) -> None:
        """Do what is due."""
        now_s = self._clock()
        for order in in_force(self._orders.new()):
            self._budgets.order(order)
        self._budgets.note_idle(now_s - self._busy_s >= IDLE_AFTER_S)
        self._note_outage(now_s)
        if now_s >= self._save_at_s:
            self._save_at_s = now_s + SAVE_INTERVAL_S
            self.save()
        if now_s >= self._say_at_s:
            self._say_at_s = now_s + SAY_INTERVAL_S
            self._report(self._sentence())

    def end(self) -> None:
        """Grant nothing any more, and save."""
        self._budgets.drain()
        self.save()

    def save(self) -> None:
        """Keep what was learned: the download continues with it."""
        saved_at = self._now().in_state()
        changed = {key: {**state, **saved_at} for key, state in self._budgets.snapshots().items()}
        self._learned = {**self._learned, **changed}
        self._states.save(self._learned, changed)

    def _has_answered(self, server: str) -> bool:
        return has_answered(self._learned.get(self._context.policies.budget_key(server), {}))

    def _note_outage(self, now_s: float) -> None:
        progress = self._progress
        state = self._outage.observe(progress.answered, progress.unreached, now_s, progress.unresolved)
        is_outage, patience_s = state is NetworkState.OUTAGE, self._context.settings.network.outage_patience_s
        self._budgets.note_outage(is_outage)
        if is_outage and now_s - self._outage.since_s >= patience_s:
            self.drain(f"no server could be reached for {patience_s:g} s: check this machine's network, DNS and proxy")

    def _sentence(self) -> str:
        settled = self._progress.settled
        failed = sum(count for (_, kind), count in settled.items() if kind)
        waits = "".join(f"; {server} waits: {wait.reason.value}" for server, wait in self._budgets.waiting().items())
        return f"manifests: {settled.total()} of {self._documents} requested, {failed} of them failed{waits[:200]}"
