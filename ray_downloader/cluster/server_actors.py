"""The server actors of one run, as the driver sees them: started, watched, saved, drained."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from ray_downloader.cluster.budget_actor import BudgetActor
from ray_downloader.cluster.connect import Cluster
from ray_downloader.cluster.placement import Directory, place
from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.orders import ServerOrder
from ray_downloader.run_folder.schemas import POOLED
from ray_downloader.run_folder.server_states import SAVED_AT, load_server_states, save_server_states
from ray_downloader.worker.progress import Progress
from ray_downloader.worker.run_context import RunContext

#: Ray's decorator gives the class methods that its type does not show.
_BudgetActor: Any = BudgetActor
#: How long the driver waits for an actor's answer before it goes on without.
PATIENCE_S = 2.0
_log = logging.getLogger(__name__)


class ServerActors:
    """All server actors.

    Args:
        context: The run.
        cluster: Where they run.
        rows_by_server: Rows still to do, to choose who gets an actor of its own.
    """

    def __init__(self, context: RunContext, cluster: Cluster, rows_by_server: Mapping[str, int]) -> None:
        self._context = context
        rows_by_budget: Counter[str] = Counter()
        for server, rows in rows_by_server.items():
            rows_by_budget[context.policies.budget_key(server)] += rows
        mode = context.settings.cluster.server_actors
        placement = place(rows_by_budget, mode, cluster.memory_mb, cluster.cpus)
        if mode == "dedicated" and len(placement.dedicated) < len(rows_by_budget):
            _log.warning(
                "the memory of the cluster allows %d dedicated actors; the other %d servers share %d",
                len(placement.dedicated), len(rows_by_budget) - len(placement.dedicated), placement.shared,
            )  # fmt: skip
        self.directory: Directory[Any] = Directory(
            dedicated={budget: self._start(budget) for budget in placement.dedicated},
            shared=tuple(self._start(f"shared servers {number}") for number in range(placement.shared)),
        )
        self._snapshots = load_server_states(context.layout)

    def _start(self, name: str) -> Any:
        return _BudgetActor.options(name=name).remote(str(self._context.layout.settings_file))

    def ready(self) -> list[ray.ObjectRef]:
        """Calls that end when the shared actors have started; for the others only the tasks that need them wait."""
        return [host.progress.remote() for host in self.directory.shared]

    def expected_rate_rps(self, batch: Batch) -> float:
        """Requests/s that a batch's servers are expected to allow: learned, profiled or default."""
        policies = self._context.policies
        learned = self._snapshots.get(policies.budget_key(batch.server_name), {}).get("rate_rps")
        rate_rps = learned or policies.policy(batch.server_name).start_rate_rps
        if rate_rps is None:
            return math.inf
        return float(rate_rps) * (batch.servers if batch.server_name == POOLED else 1)

    def progress(self) -> Progress:
        """What tasks did in this run; they tell the first shared actor."""
        (answer,) = self._ask("progress", self.directory.shared[:1]) or [Progress()]
        assert isinstance(answer, Progress)
        return answer

    def order(self, order: ServerOrder) -> None:
        """Pass an operator's order to the actor that holds the server's budget."""
        budget = self._context.policies.budget_key(order.server)
        self.directory.actor_of(budget).order.remote(budget, order.action, order.value)

    def save(self) -> None:
        """Write what the actors learned to `schedules/servers.json`."""
        for snapshots in self._ask("snapshots", self.directory.hosts):
            self._snapshots.update({budget: {**state, SAVED_AT: time.time()} for budget, state in snapshots.items()})
        save_server_states(self._context.layout, self._snapshots)

    def drain(self) -> None:
        """Let every actor tell its tasks that the run ends."""
        for host in self.directory.hosts:
            host.drain.remote()

    def _ask(self, method: str, hosts: Sequence[Any]) -> list[Any]:
        """Answers of actors; one that restarts just now is asked again next time."""
        calls = [getattr(host, method).remote() for host in hosts]
        done, _ = ray.wait(calls, num_returns=len(calls), timeout=PATIENCE_S)
        answers = []
        for ref in done:
            try:
                answers.append(ray.get(ref))
            except RayError:
                continue
        return answers
