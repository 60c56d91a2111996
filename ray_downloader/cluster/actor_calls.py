"""Starts and calls the budget actors on Ray."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from ray_downloader.cluster.budget_actor import BudgetActor
from ray_downloader.cluster.connect import Cluster
from ray_downloader.cluster.placement import Directory, place
from ray_downloader.worker.run_context import RunContext

#: Ray's decorator gives the class methods that its type does not show.
_BudgetActor: Any = BudgetActor
#: How long the driver waits for an actor's answer before it continues without one.
PATIENCE_S = 2.0
_log = logging.getLogger(__name__)


class RayActorCalls:
    """Calls actors on Ray (`server_actors.ActorCalls`)."""

    def request(self, actors: Sequence[Any], method: str, *arguments: object) -> list[Any]:
        """Answers of actors; one that is restarting is asked again next time."""
        calls = [getattr(actor, method).remote(*arguments) for actor in actors]
        done, _ = ray.wait(calls, num_returns=len(calls), timeout=PATIENCE_S)
        answers = []
        for ref in done:
            try:
                answers.append(ray.get(ref))
            except RayError:
                continue
        return answers

    def send(self, actors: Sequence[Any], method: str, *arguments: object) -> None:
        """Call without waiting for the result."""
        for actor in actors:
            getattr(actor, method).remote(*arguments)


def start_budget_actors(context: RunContext, cluster: Cluster, rows_by_server: Mapping[str, int]) -> Directory[Any]:
    """Start all actors, without waiting for them.

    Args:
        context: The run.
        cluster: The cluster on which they run.
        rows_by_server: Rows still to do, to choose which budgets get an actor of their own.
    """
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
    return Directory(
        dedicated={budget: _start(context, cluster, budget) for budget in placement.dedicated},
        shared=tuple(_start(context, cluster, f"shared servers {number}") for number in range(placement.shared)),
    )


def end_budget_actors(directory: Directory[Any]) -> None:
    """End all actors: a Ray that goes on after the run, as the caller's own does, would keep them for a while."""
    for actor in directory.actors:
        ray.kill(actor)


def _start(context: RunContext, cluster: Cluster, name: str) -> Any:
    """Start an actor, under a name that is its own also where several runs share one Ray."""
    options = _BudgetActor.options(name=name, namespace=cluster.namespace)
    return options.remote(str(context.layout.settings_file))
