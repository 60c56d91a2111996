"""The time left is within a fifth of the truth at half-time, in thirty worlds with servers of all kinds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from ray_downloader.cluster.ports import RunView, Watcher
from ray_downloader.cluster.watchers import moment_of
from ray_downloader.errors import ErrorKind
from ray_downloader.monitor.figures import RowsLeft, RunEta, RunFigures
from ray_downloader.partition import PartitionSummary
from ray_downloader.worker.run_context import RunContext
from tests.simulation.network import EPOCH_UNIX_S
from tests.simulation.simulation import Simulation
from tests.simulation.world import (
    FOREVER,
    Bucket,
    Fate,
    Limit,
    Moved,
    Picture,
    Robots,
    Row,
    Says,
    Server,
    Slow,
    Trouble,
    Window,
    World,
)

#: Two quick ones of twelve worlds; `make test-thorough` runs the others.
QUICK = (2, 8)
SEEDS = [pytest.param(seed, marks=() if seed in QUICK else pytest.mark.thorough) for seed in range(12)]
CAPACITY_RPS = 900.0


class EtaWatcher:
    """Notes the estimate whenever it is shown the run."""

    def __init__(self, world: World, context: RunContext, now_s: float) -> None:
        rows = Counter(world.servers[row.server].name for row in world.rows)
        left = RowsLeft(rows, context.policies.budget_key)
        partition = PartitionSummary(rows.total(), rows.total(), {}, len(rows), 1)
        self._figures = RunFigures(partition, {}, left, RunEta(left, context.policies.policy, CAPACITY_RPS, now_s))
        self._shown_s = -1.0
        self.seen: list[tuple[float, float]] = []

    def update(self, view: RunView, now_s: float) -> None:
        if now_s - self._shown_s >= 2.0:
            self._shown_s = now_s
            found = self._figures.of(view.progress, moment_of(view, now_s, EPOCH_UNIX_S + now_s))
            self.seen.append((now_s, found["eta_s"]))


def world_of(rng: random.Random) -> World:
    """A run of some minutes, as its servers may be."""
    servers = tuple(_server(rng, number) for number in range(rng.choice([2, 3, 6])))
    rows = tuple(
        Row(number, _fate(rng))
        for number in range(len(servers))
        for _ in range(100 + int(rng.lognormvariate(4.4, 0.9)))
    )
    return World(
        servers, rows, slots=rng.choice([1, 2, 4]), rate_rps=rng.choice([0.5, 1.0, 2.0]), chance=rng.randrange(99)
    )


def _server(rng: random.Random, number: int) -> Server:
    limits: list[Limit | None] = [
        None, None, None, Bucket(2.0, 5, 429, "5"), Bucket(5.0, 30, 503), Window(60, 60.0, retry_after="20"),
    ]  # fmt: skip
    limit = rng.choice(limits)
    is_dead = number and rng.random() < 0.1
    troubles = (
        [Trouble(0.0, FOREVER, ErrorKind.CONNECT)]
        if is_dead
        else [Trouble(15.0, 60.0, 503, "45")]
        if rng.random() < 0.15
        else []
    )
    robots = Robots(200, "User-agent: *\nCrawl-delay: 1\n") if rng.random() < 0.15 else Robots(404)
    latency_s = rng.choice([0.05, 0.3, 1.5])
    return Server(f"s{number}.example", latency_s, (limit,) if limit else (), tuple(troubles), robots)


def _fate(rng: random.Random) -> Fate:
    odd: list[Fate] = [Says(404), Says(404), Moved(), Says(500, 1), Slow(8.0)]
    return rng.choice(odd) if rng.random() < 0.06 else Picture()


def estimates(seed: int, folder: Path) -> tuple[float, list[tuple[float, float]]]:
    """How long the world took, and what was estimated when."""
    world = world_of(random.Random(seed))
    watched: list[EtaWatcher] = []

    def watchers(context: RunContext, now_s: float) -> Sequence[Watcher]:
        watched.append(EtaWatcher(world, context, now_s))
        return watched[-1:]

    run = Simulation(world, folder, watchers).run()
    return run.seconds, watched[0].seen


@pytest.mark.parametrize("seed", SEEDS)
def test_the_time_left_is_right_at_half_time(seed: int, tmp_path: Path) -> None:
    seconds, seen = estimates(seed, tmp_path / "out")
    at_s, eta_s = min(seen, key=lambda item: abs(item[0] - seconds / 2))
    assert eta_s == pytest.approx(seconds - at_s, rel=0.2)
