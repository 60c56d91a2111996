"""Ray's shell around the budgets: the actor that hosts them, and a task's connection to all of them.

The logic is in `Budgets` and in `politeness/`; this module only carries calls. A call that failed with its actor is
repeated: that is harmless, as one holder has at most one lease.
"""

from __future__ import annotations

import gc
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from ray_downloader.cluster.placement import Directory
from ray_downloader.logs import log_to_file
from ray_downloader.monitor.waiting import Waiting
from ray_downloader.politeness.messages import Lease, LeaseRequest, Verdict
from ray_downloader.profile.table import load_profiled_waits
from ray_downloader.run_folder.orders import OrderFile, ServerOrder
from ray_downloader.run_folder.server_states import StatesFile
from ray_downloader.worker.budgets import BudgetReply, Budgets
from ray_downloader.worker.news import ProgressNews, StateNews
from ray_downloader.worker.progress import ProgressDelta
from ray_downloader.worker.run_context import RunContext

RESEND_AFTER_S = 0.5


# Ray's head keeps 3 kB about each call of an actor that reports its tasks: of two workers, 4 MB a minute.
@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0, enable_task_events=False)
class BudgetActor:
    """Holds the budget of one server, or of many small ones. After a restart it continues with the last saved state."""

    def __init__(self, settings_file: str) -> None:
        context = RunContext.load(Path(settings_file))
        settings = context.settings
        log_to_file(context.layout.logs, "actor", settings.downloader_parameters.logger_level, settings.logging.format)
        incarnation = uuid.uuid4().int >> 65
        self._budgets = Budgets(context.policies, StatesFile(context.layout).load_packed(), incarnation=incarnation)
        self._budgets.heed_probes(load_profiled_waits(context.layout))
        self._budgets.remember(OrderFile(context.layout.orders_file).new())

    def lease(self, requests: Sequence[LeaseRequest]) -> BudgetReply:
        """Answer a task's requests."""
        return self._budgets.lease(requests)

    def report(self, delta: ProgressDelta) -> BudgetReply:
        """Count a task's progress."""
        return self._budgets.report(delta)

    def order(self, order: ServerOrder) -> None:
        """Obey the operator's order."""
        self._budgets.order(order)

    def forget(self, holder: str) -> None:
        """Free the connections of a task that is gone."""
        self._budgets.forget(holder)

    def note_idle(self, is_idle: bool) -> None:
        """Record whether the run can do nothing but wait for servers in trouble."""
        self._budgets.note_idle(is_idle)

    def note_outage(self, is_outage: bool) -> None:
        """Record whether our own network is down."""
        self._budgets.note_outage(is_outage)

    def waiting(self) -> dict[str, Waiting]:
        """Budgets that get no request now, and the reasons."""
        return self._budgets.waiting()

    def drain(self) -> None:
        """From now on, inform every task that the run ends."""
        self._budgets.drain()

    def progress_news(self, confirmed: int | None) -> ProgressNews:
        """What tasks reported to this actor and the driver has not received yet."""
        return self._budgets.progress_news(confirmed)

    def state_news(self, confirmed: Collection[int]) -> StateNews:
        """What was learned and the driver has not received yet; called every few seconds."""
        # States live long and have no cycles: to look for some among 10^5 of them, again and again, takes a second.
        gc.freeze()
        return self._budgets.state_news(confirmed)

    def snapshots(self) -> dict[str, dict[str, Any]]:
        """Learned state by budget."""
        return self._budgets.snapshots()


class RayBudgets:
    """A task's connection to the budget actors.

    Args:
        directory: Which actor holds which budget.
    """

    def __init__(self, directory: Directory[Any]) -> None:
        self.is_draining = False
        #: Hosts of groups that the operator paused or banned.
        self.hosts: Mapping[str, Verdict] = {}
        self._directory = directory
        self._calls: dict[ray.ObjectRef, tuple[Any, list[LeaseRequest]]] = {}
        self._resend: list[tuple[float, Any, list[LeaseRequest]]] = []

    def request(self, requests: Sequence[LeaseRequest]) -> None:
        """Send one call per actor."""
        by_actor: dict[Any, list[LeaseRequest]] = defaultdict(list)
        for request in requests:
            by_actor[self._directory.actor_of(request.server)].append(request)
        for actor, asked in by_actor.items():
            self._send(actor, asked)

    def report(self, delta: ProgressDelta) -> None:
        """Report progress to the first shared actor."""
        actor = self._directory.shared[0]
        self._calls[actor.report.remote(delta)] = (actor, [])

    def _send(self, actor: Any, requests: list[LeaseRequest]) -> None:
        self._calls[actor.lease.remote(requests)] = (actor, requests)

    def receive(self) -> list[Lease]:
        """Leases that have arrived; does not wait."""
        self._send_again()
        if not self._calls:
            return []
        done, _ = ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
        return [lease for ref in done for lease in self._receive(ref)]

    def _receive(self, ref: ray.ObjectRef) -> Sequence[Lease]:
        actor, requests = self._calls.pop(ref)
        try:
            answer: BudgetReply = ray.get(ref)
        except RayError:
            if requests:
                self._resend.append((time.monotonic() + RESEND_AFTER_S, actor, requests))
            return ()
        self.is_draining |= answer.is_draining
        self.hosts = answer.hosts
        return answer.leases

    def _send_again(self) -> None:
        due = [item for item in self._resend if item[0] <= time.monotonic()]
        self._resend = [item for item in self._resend if item not in due]
        for _, actor, requests in due:
            self._send(actor, requests)

    def flush(self, timeout_s: float) -> None:
        """Wait until all calls have been received."""
        if self._calls:
            ray.wait(list(self._calls), num_returns=len(self._calls), timeout=timeout_s)
