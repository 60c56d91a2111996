"""The download stage: what is left to do, a cluster to do it on, and the driver that gets it done."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ray
from ray.exceptions import ActorUnavailableError, NodeDiedError, WorkerCrashedError
from rich.console import Console

from ray_downloader.cluster.actor_calls import RayActorCalls, end_budget_actors, start_budget_actors
from ray_downloader.cluster.connect import running_cluster
from ray_downloader.cluster.dashboard import way_to_dashboard, with_chosen_port
from ray_downloader.cluster.driver import DownloadResult, Driver
from ray_downloader.cluster.metrics import RunMetrics
from ray_downloader.cluster.ports import DriverPorts
from ray_downloader.cluster.server_actors import ServerActors
from ray_downloader.cluster.slice_pool import RaySlicePool
from ray_downloader.cluster.slices import slice_task
from ray_downloader.cluster.watchers import FiguresWatcher, RayWatcher, WaitingWatcher
from ray_downloader.config.settings import ClusterSettings, Settings
from ray_downloader.errors import RayLostError, StartError
from ray_downloader.fetch.base import FETCHERS
from ray_downloader.monitor.figures import Moment, RowsLeft, RunEta, RunFigures
from ray_downloader.monitor.plan import planned_slots
from ray_downloader.monitor.run_report import RunReport
from ray_downloader.partition import load_partition_summary
from ray_downloader.partition.batches import load_batches
from ray_downloader.progress import LiveView
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.small_tables import read_small_table
from ray_downloader.schedule.planner import CORE_RPS, WorkItem
from ray_downloader.schedule.run_status import RunStatus, scan
from ray_downloader.signals import draining_on_signals
from ray_downloader.worker.progress import Progress
from ray_downloader.worker.run_context import RunContext

_log = logging.getLogger(__name__)


class _LostWhileDrainingError(RayLostError):
    """Ray has ended in a run that was to end as well: no other one is started."""


#: Receives the folders of batches when they are finished.
Publish = Callable[[Sequence[Path]], None]


def download(
    settings: Settings, layout: RunLayout, console: Console, report: RunReport, publish: Publish
) -> DownloadResult:
    """Settle every row that is left; Ray is not even started if there are none.

    Args:
        console: Where progress is shown.
        report: Receives the progress for `status`.
        publish: Called with finished batches.

    Raises:
        UserError: No Ray is running to join, or an input table is unusable.
    """
    FETCHERS.get(settings.fetcher.name)
    context = RunContext(settings, layout)
    try:
        return _download_on_ray(context, console, report, publish)
    except _LostWhileDrainingError as loss:
        _log.warning("%s while the run drained; all results so far are kept", loss)
        return DownloadResult(is_stopped=True)
    except RayLostError as loss:
        _log.warning("%s; Ray is started once more", loss)
    try:
        return _download_on_ray(context, console, report, publish)
    except (RayLostError, StartError) as loss:
        _log.error("%s; the run stops, and the same command continues it", loss)
        return DownloadResult(is_stopped=True)


def _download_on_ray(context: RunContext, console: Console, report: RunReport, publish: Publish) -> DownloadResult:
    """The stage for as long as Ray lives.

    Raises:
        RayLostError: Ray has ended.
        StartError: It did not start.
    """
    settings, layout = context.settings, context.layout
    status = scan(layout, load_batches(layout), context.retry)
    for problem in status.problems:
        _log.warning("%s; what it has lost is fetched again", problem)
    rows_by_server = _rows_by_server(layout, status)
    rows_left = RowsLeft(rows_by_server, context.policies.budget_key)
    now_s, slots = time.monotonic(), planned_slots(settings, os.environ)
    eta = RunEta(rows_left, context.policies.policy, slots * CORE_RPS, now_s)
    figures = RunFigures(load_partition_summary(layout), status.by_kind, rows_left, eta)
    planned = figures.of(Progress(), Moment(now_s, time.time()))
    report.write("running", planned)
    if not status.work:
        return DownloadResult()
    options = with_chosen_port(settings.cluster, planned["eta_s"])
    with (
        running_cluster(options, settings.downloader_parameters, layout) as cluster,
        way_to_dashboard(cluster.dashboard if options.name == "local" else None, layout.root) as dashboard,
    ):
        _log.info("Ray: %d nodes, %d tasks at once", cluster.nodes, cluster.slots)
        if dashboard:
            _log.info("%s", dashboard)
        directory = start_budget_actors(context, cluster, rows_by_server)
        # Only for the shared actors: for the dedicated ones, only the tasks that need them wait.
        started = [actor.waiting.remote() for actor in directory.shared]
        warm_ups = _warm_ups(min(cluster.slots, len(status.work)), settings)
        _await_start([*started, *warm_ups], settings.cluster, cluster.require_running)
        with LiveView(console, f"{cluster.nodes} nodes, {cluster.slots} tasks at once") as view:
            ports = DriverPorts(
                pool=RaySlicePool(context, directory, cluster),
                actors=ServerActors(context, directory, RayActorCalls()),
                rescan=lambda batches: scan(layout, batches, context.retry).work,
                publish=lambda batches: publish(
                    [layout.batch_folder(one.server_name, one.partition_id) for one in batches]
                ),
                watchers=(
                    RayWatcher(cluster.require_running),
                    FiguresWatcher(report, figures, view),
                    WaitingWatcher(rows_left),
                    _metrics(context, rows_by_server),
                ),
            )
            driver = Driver(context, cluster.slots, ports)
            # Entered after `ray.init`, which claims SIGTERM.
            with draining_on_signals(driver.stop):
                result = _result_of(driver, status.work)
        end_budget_actors(directory)
        return result


def _result_of(driver: Driver, work: Sequence[WorkItem]) -> DownloadResult:
    """The result of the driver.

    Raises:
        _LostWhileDrainingError: The request to stop has reached Ray's own processes as well.
        RayLostError: Ray has ended, and nobody asked for it.
    """
    try:
        return driver.run(work)
    except RayLostError as loss:
        raise _LostWhileDrainingError(str(loss)) if driver.is_stopping else loss from None


def _metrics(context: RunContext, rows_by_server: Mapping[str, int]) -> RunMetrics:
    rows_by_budget: Counter[str] = Counter()
    for server, rows in rows_by_server.items():
        rows_by_budget[context.policies.budget_key(server)] += rows
    run = str(context.layout.root)
    return RunMetrics(run, rows_by_budget, context.policies.budget_key, time.monotonic(), time.time)


def _await_start(calls: list[ray.ObjectRef], options: ClusterSettings, require_running: Callable[[], None]) -> None:
    """Wait for all; a node that is lost in the meantime is treated like one that is lost later.

    Raises:
        RayLostError: Ray itself has ended.
        StartError: Our own Ray has nothing else to do, and still does not start them.
    """
    until_s = time.monotonic() + options.start_timeout_s
    started, late = ray.wait(calls, num_returns=len(calls), timeout=0)
    while late and time.monotonic() < until_s:
        require_running()
        started, late = ray.wait(calls, num_returns=len(calls), timeout=1)
    for call in started:
        try:
            ray.get(call)
        except (ActorUnavailableError, NodeDiedError, WorkerCrashedError) as error:
            _log.warning("a node or process was lost while Ray started: %s", str(error).splitlines()[0])
    if late:
        sentence = f"Ray runs, but {len(late)} of {len(calls)} actors and tasks did not start within "
        sentence += f"{options.start_timeout_s:g} s (cluster.start_timeout_s)"
        if options.name != "existing":
            raise StartError(f"{sentence}: is its memory or process limit too small? Ray's own words are in its logs")
        _log.warning("%s: others use that Ray; this run uses what becomes free", sentence)


def _warm_ups(count: int, settings: Settings) -> list[ray.ObjectRef]:
    """Start as many worker processes as there can be slices at once: each costs a second of a core."""
    task = slice_task(settings.downloader_parameters.cpu_per_worker, "warm-up")
    return [task.remote(None) for _ in range(count)]


def _rows_by_server(layout: RunLayout, status: RunStatus) -> dict[str, int]:
    """Rows left by server."""
    table = read_small_table(layout.servers_table, ["server_name", "rows"])
    rows = zip(table["server_name"].to_pylist(), table["rows"].to_pylist(), strict=True)
    left = {
        server: count - status.settled[server].total() if server in status.settled else count for server, count in rows
    }
    return {server: count for server, count in left.items() if count > 0}
