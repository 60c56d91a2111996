"""Runs a world: the real driver, planner, workers, budgets, journal and resume, under one clock.

`Simulation(world, folder).run()` gives a `Run`: all that arrived at the servers, all that was settled, how each
process ended. What goes wrong in the world happens by itself; whoever stops a run gives the same command again later.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.cluster.driver import DownloadResult, Driver
from ray_downloader.cluster.ports import DriverPorts, Watcher
from ray_downloader.cluster.server_actors import ServerActors
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode
from ray_downloader.partition.batches import Batch, load_batches, read_batch
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.instants import Instant
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout
from ray_downloader.run_folder.orders import OrderFile, ServerOrder
from ray_downloader.run_folder.retry_order import begin_retry, finish_retry
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.schedule.run_status import scan
from ray_downloader.worker.run_context import RunContext
from tests.simulation.cluster import ActorCalls, Cluster
from tests.simulation.listing import write_list
from tests.simulation.network import EPOCH_UNIX_S, Network
from tests.simulation.origin import Arrival
from tests.simulation.scheduler import DriverKilled, NeverEndsError, Scheduler
from tests.simulation.world import (
    ActorRestarted,
    ClockStepped,
    Drained,
    Fault,
    NetworkLost,
    NodeLost,
    Ordered,
    Requeued,
    WorkerKilled,
    World,
)

#: No world of the generator takes so long, whatever goes wrong in it.
DEADLINE_S = 4 * 86_400.0
MOST_STEPS = 2_000_000
#: Somebody who reads "run the same command again" does so this much later.
AGAIN_S = 600.0


@dataclass
class Run:
    """What became of a world.

    Args:
        settled: How each input row ended ("" for an image), by its uuid; more than one where it was settled twice.
        exits: How each process of the driver ended; None where it was killed.
        ends_s: When.
        arrivals: Requests by server number.
        events: Everything, in order; equal for two runs of one world.
        crashes: What slices raised.
        never_ended: Why it was given up.
    """

    world: World
    settled: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    messages: dict[str, str] = field(default_factory=dict)
    exits: list[int | None] = field(default_factory=list)
    ends_s: list[float] = field(default_factory=list)
    arrivals: list[list[Arrival]] = field(default_factory=list)
    events: list[tuple[object, ...]] = field(default_factory=list)
    crashes: list[BaseException] = field(default_factory=list)
    never_ended: str = ""
    steps: int = 0

    @property
    def seconds(self) -> float:
        """How long it all took."""
        return self.ends_s[-1] if self.ends_s else 0.0


class Simulation:
    """One world, run once.

    Args:
        world: What there is.
        folder: An empty folder.
        watchers: Called when the driver starts, with the run and the time; gives what watches it.
    """

    def __init__(
        self,
        world: World,
        folder: Path,
        watchers: Callable[[RunContext, float], Sequence[Watcher]] = lambda _context, _now_s: (),
    ) -> None:
        self._world = world
        self._watchers = watchers
        self._scheduler = Scheduler(DEADLINE_S, MOST_STEPS)
        self._clock_error_s = 0.0
        self._cluster: Cluster | None = None
        self._driver: Driver | None = None
        self._pause_s = AGAIN_S
        self.run_so_far = Run(world)
        self._network = Network(world, self._scheduler, self._note)
        self._settings = _settings(world, folder)
        self._layout = RunLayout.of(self._settings)

    def run(self) -> Run:
        """Run to the end, through every restart."""
        run = self.run_so_far
        write_list(self._world, self._layout)
        write_text(self._layout.settings_file, self._settings.to_json())
        for fault in self._world.faults:
            self._plan(fault)
        with _fast_disk(), _quiet():
            try:
                while len(run.exits) < self._world.runs:
                    run.exits.append(self._run_once())
                    run.ends_s.append(self._scheduler.now_s)
                    if run.exits[-1] not in {None, ExitCode.STOPPED}:
                        break
                    self._scheduler.run_until(self._scheduler.now_s + self._pause_s)
                    self._pause_s = AGAIN_S
            except NeverEndsError as error:
                run.never_ended = str(error)
                run.ends_s.append(self._scheduler.now_s)
        run.arrivals = [origin.log for origin in self._network.origins.values()]
        run.steps = self._scheduler.steps
        _read_settled(self._layout, run)
        return run

    def _run_once(self) -> int | None:
        """What `pipeline` and `cluster.stage` do of it, and the exit code that comes; None for a killed process."""
        self._note("driver starts")
        layout = self._layout
        retry = begin_retry(layout, self._settings.retry_errors, "2027-01-01T00:00:00Z")
        context = RunContext(self._settings, layout)
        status = scan(layout, load_batches(layout), context.retry)
        result = self._download(context, status.work) if status.work else DownloadResult()
        if result is None:
            return None
        self._note("driver ends", result.is_stopped, result.is_outage, result.abandoned)
        if result.abandoned:
            return int(ExitCode.FAILED)
        if scan(layout, load_batches(layout), retry).work:
            return int(ExitCode.STOPPED)
        finish_retry(layout, retry)
        return int(ExitCode.SETTLED)

    def _download(self, context: RunContext, work: Sequence[WorkItem]) -> DownloadResult | None:
        name = f"run{len(self.run_so_far.exits)}"
        cluster = self._cluster = Cluster(
            self._world, context, self._network, self._scheduler, self._now, name, self._note
        )
        actors = ServerActors(context, cluster.directory, ActorCalls(cluster), self._now)
        ports = DriverPorts(
            pool=cluster,
            actors=actors,
            rescan=lambda batches: scan(context.layout, batches, context.retry).work,
            watchers=self._watchers(context, self._scheduler.now_s),
            clock=self._scheduler,
            sleep=self._sleep,
        )
        driver = self._driver = Driver(context, cluster.slots, ports)
        try:
            return driver.run(work)
        except DriverKilled:
            return None
        finally:
            self.run_so_far.crashes.extend(cluster.crashes)
            cluster.kill()
            self._cluster = self._driver = None

    def _sleep(self, seconds: float) -> None:
        self._scheduler.run_until(self._scheduler.now_s + seconds)

    def _now(self) -> Instant:
        now_s = self._scheduler.now_s
        return Instant(EPOCH_UNIX_S + now_s + self._clock_error_s, boot_id="simulated", after_boot_s=now_s)

    def _note(self, *what: object) -> None:
        self.run_so_far.events.append((round(self._scheduler.now_s, 6), *what))

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def _plan(self, fault: Fault) -> None:
        if not isinstance(fault, NetworkLost):
            self._scheduler.at(fault.at_s, lambda: self._happen(fault))

    def _happen(self, fault: Fault) -> None:
        self._note(str(fault))
        if isinstance(fault, ClockStepped):
            self._clock_error_s += fault.by_s
        elif isinstance(fault, Ordered):
            server = self._world.servers[fault.server].name
            OrderFile(self._layout.orders_file).append(
                ServerOrder(fault.action, server, fault.value, self._now().unix_s)
            )
        elif self._cluster is not None and self._driver is not None:
            self._happen_to(self._cluster, self._driver, fault)

    def _happen_to(self, cluster: Cluster, driver: Driver, fault: Any) -> None:
        if isinstance(fault, WorkerKilled):
            cluster.kill_worker()
        elif isinstance(fault, ActorRestarted):
            cluster.restart_actor(fault.actor, fault.down_s)
        elif isinstance(fault, NodeLost):
            cluster.lose_node(fault.node)
        elif isinstance(fault, Drained):
            self._pause_s = fault.pause_s
            driver.stop("SIGTERM")
        elif isinstance(fault, Requeued):
            self._pause_s = fault.pause_s
            cluster.kill()
            self._scheduler.kill_driver()


def simulate(world: World, folder: Path) -> Run:
    """Run a world in a folder that is empty."""
    return Simulation(world, folder).run()


def _settings(world: World, folder: Path) -> Settings:
    return Settings.from_config(
        {
            "path_to_input": "list.txt",
            "path_to_output": folder,
            "downloader_parameters": {"default_rate_limit": world.rate_rps},
            "cluster": {"task_seconds": world.task_seconds},
            "politeness": {"published_rules": False, **world.politeness},
            "network": world.network,
        }
    )


def _read_settled(layout: RunLayout, run: Run) -> None:
    for path in sorted(layout.images.glob(f"*/*/{SUCCESSES}")):
        table = pq.read_table(path, columns=["uuid", "identifier", "image"])
        for uuid, body in zip(table["uuid"].to_pylist(), table["image"].to_pylist(), strict=True):
            run.settled[uuid].append("")
            run.messages[uuid] = body.decode().strip()
    for path in sorted(layout.images.glob(f"*/*/{ERRORS}")):
        table = pq.read_table(path, columns=["uuid", "error_kind", "error_msg"])
        for uuid, kind, message in zip(*(column.to_pylist() for column in table.columns), strict=True):
            run.settled[uuid].append(kind)
            run.messages[uuid] = message


@contextmanager
def _fast_disk() -> Iterator[None]:
    """No power is cut in these worlds, and batches never change: flushing and reading them took half of the time."""
    known: dict[Batch, pa.Table] = {}

    def read_once(layout: RunLayout, batch: Batch) -> pa.Table:
        if batch not in known:
            known[batch] = read_batch(layout, batch)
        return known[batch]

    with (
        mock.patch("ray_downloader.run_folder.atomic._fsync"),
        mock.patch("ray_downloader.worker.batch_work.read_batch", read_once),
        mock.patch("ray_downloader.schedule.run_status.read_batch", read_once),
    ):
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """What the run says is not what is looked at here, and faults make it say much."""
    logger = logging.getLogger("ray_downloader")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
