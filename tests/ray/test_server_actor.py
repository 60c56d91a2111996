"""The server actor on a real Ray: it answers, dies, and comes back with what it had learned."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.politeness.messages import Lease, LeaseRequest
from ray_downloader.run_folder.instants import SAVED_AT
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import OrderFile, ServerOrder

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_a_killed_actor_restarts_with_the_learned_rate(settings_file: Path) -> None:
    import ray

    from ray_downloader.cluster.budget_actor import BudgetActor
    from ray_downloader.run_folder.server_states import save_server_states

    actor = BudgetActor.remote(str(settings_file))
    request = LeaseRequest("museum.example", "task", wanted=10)
    first = ray.get(actor.lease.remote([request])).leases[0]
    assert first.permits > 0
    state = ray.get(actor.snapshots.remote())["museum.example"]
    layout = RunLayout.of(Settings.load(settings_file))
    save_server_states(layout, {"museum.example": {**state, "rate_rps": 1.25, SAVED_AT: time.time()}})
    process = ray.get(actor.__ray_call__.remote(lambda _: os.getpid()))
    ray.kill(actor, no_restart=False)
    while eventually(lambda: actor.__ray_call__.remote(lambda _: os.getpid())) == process:
        time.sleep(0.1)
    assert eventually(lambda: actor.lease.remote([request])).leases[0].server == "museum.example"
    learned = eventually(actor.snapshots.remote)["museum.example"]
    assert learned["rate_rps"] == pytest.approx(1.25)


def test_an_order_outlives_an_actor_that_is_killed_before_anything_was_saved(settings_file: Path) -> None:
    import ray

    from ray_downloader.cluster.budget_actor import BudgetActor

    layout = RunLayout.of(Settings.load(settings_file))
    request = LeaseRequest("museum.example", "task", wanted=10)
    actor = BudgetActor.remote(str(settings_file))
    assert ray.get(actor.lease.remote([request])).leases[0].permits > 0
    order = ServerOrder("pause", "museum.example")
    OrderFile(layout.orders_file).append(order)
    process = ray.get(actor.__ray_call__.remote(lambda _: os.getpid()))
    actor.order.remote(order)
    ray.kill(actor, no_restart=False)
    while eventually(lambda: actor.__ray_call__.remote(lambda _: os.getpid())) == process:
        time.sleep(0.1)
    for _ in range(5):
        assert eventually(lambda: actor.lease.remote([request])).leases[0].permits == 0, "before any other word"
    layout.orders_file.unlink()


def eventually(call: Callable[[], Any]) -> Any:
    """The answer to a call, asked again until the actor is back."""
    import ray
    from ray.exceptions import RayError

    until = time.monotonic() + 120  # an actor starts slowly where the cores are busy
    while True:
        try:
            return ray.get(call())
        except RayError:
            assert time.monotonic() < until, "the actor did not come back"
            time.sleep(0.1)


def test_a_task_asks_again_when_an_actor_dies_under_its_call(settings_file: Path) -> None:
    import ray

    from ray_downloader.cluster.budget_actor import BudgetActor, RayBudgets
    from ray_downloader.cluster.placement import Directory

    actor = BudgetActor.remote(str(settings_file))
    ray.get(actor.waiting.remote())
    budgets = RayBudgets(Directory({}, (actor,)))
    ray.kill(actor, no_restart=False)
    budgets.request([LeaseRequest("museum.example", "task", wanted=3)])
    until = time.monotonic() + 120  # an actor starts slowly where the cores are busy
    leases: list[Lease] = []
    while not leases:
        assert time.monotonic() < until, "no answer came"
        leases = budgets.receive()
    assert leases[0].permits > 0


def test_ray_keeps_nothing_about_the_calls_of_an_actor(settings_file: Path) -> None:
    from ray_downloader.cluster.budget_actor import BudgetActor

    actor = BudgetActor.remote(str(settings_file))
    assert actor._ray_enable_task_events is False, "there are thousands of calls a minute"
