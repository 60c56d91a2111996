"""The driver: keeps every slot busy with a time slice, watches, and drains when it is told to stop.

It holds a bounded number of tasks (one a slot), deals batches as slices come back, and saves every few seconds what
the server actors learned. A lost task costs nothing but its unfinished rows: they are dealt again.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import ray
from ray.exceptions import RayError

from ray_downloader.cluster.connect import Cluster
from ray_downloader.cluster.metrics import RunMetrics
from ray_downloader.cluster.server_actors import ServerActors
from ray_downloader.cluster.slices import Slice, work_slice
from ray_downloader.progress import DownloadProgress
from ray_downloader.run_folder.orders import OrderFile
from ray_downloader.schedule.planner import Planner, WorkItem
from ray_downloader.signals import draining_on_signals
from ray_downloader.worker.ports import SliceReport
from ray_downloader.worker.progress import Progress
from ray_downloader.worker.run_context import RunContext

#: A batch whose task died this often is at fault itself, and the run says so.
MAX_CRASHES = 4
WATCH_INTERVAL_S = 0.5
SAVE_INTERVAL_S = 5.0
#: At most this share of the driver's time goes into saving: the states of 10^5 servers take it seconds.
SAVE_SHARE = 0.05

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class DownloadResult:
    """What the download stage did in this run.

    Args:
        is_stopped: It drained before everything was settled.
        seconds: From the first slice to the end of the last, without start-up.
        settled: Rows by error kind ("" for images).
        disallowed: Rows that robots.txt would exclude, by server.
    """

    is_stopped: bool = False
    seconds: float = 0.0
    size_bytes: int = 0
    requests: int = 0
    settled: Counter[str] = field(default_factory=Counter)
    disallowed: Counter[str] = field(default_factory=Counter)

    def take(self, progress: Progress) -> None:
        """Take over what tasks told; it only grows, but for an actor that died and starts from nothing."""
        settled: Counter[str] = Counter()
        for (_, kind), rows in progress.settled.items():
            settled[kind] += rows
        if settled.total() >= self.settled.total():
            self.settled, self.disallowed = settled, progress.disallowed


class Driver:
    """Runs the slices of one download.

    Args:
        context: The run.
        cluster: Where slices run.
        actors: The server actors.
        progress: Where to show it.
    """

    def __init__(self, context: RunContext, cluster: Cluster, actors: ServerActors, progress: DownloadProgress) -> None:
        self._context = context
        self._cluster = cluster
        self._actors = actors
        self._progress = progress
        self._running: dict[ray.ObjectRef, list[WorkItem]] = {}
        self._crashes: Counter[int] = Counter()
        self._result = DownloadResult()
        self._metrics = RunMetrics(str(context.layout.root), time.monotonic())
        self._orders = OrderFile(context.layout.orders_file)
        self._watch_at_s = self._save_at_s = 0.0
        task_seconds = context.settings.cluster.task_seconds
        self._planner = Planner(actors.expected_rate_rps, cluster.slots, task_seconds)

    def run(self, work: Sequence[WorkItem]) -> DownloadResult:
        """Download until everything is settled or a signal asks for the end.

        Raises:
            RuntimeError: A batch's task died again and again.
        """
        started_at_s = time.monotonic()
        self._planner.add(work, started_at_s)
        with draining_on_signals(self._drain):
            while self._running or (self._planner.has_work and not self._result.is_stopped):
                self._submit()
                self._collect()
                self._watch()
        self._result.seconds = time.monotonic() - started_at_s
        self._watch_at_s = self._save_at_s = 0.0
        self._watch()
        return self._result

    def _drain(self, signal_name: str) -> None:
        if not self._result.is_stopped:
            _log.warning("%s: finishing what is under way; the same command continues later", signal_name)
            self._result.is_stopped = True
            self._actors.drain()

    def _submit(self) -> None:
        free = self._cluster.slots - len(self._running)
        if self._result.is_stopped or not free:
            return
        cpus = self._context.settings.downloader_parameters.cpu_per_worker
        for items in self._planner.plan(free, time.monotonic()):
            work = Slice(self._context.layout.settings_file, self._actors.directory, items)
            task = work_slice.options(num_cpus=cpus, name=_task_name(items), scheduling_strategy="SPREAD")
            self._running[task.remote(work)] = items

    def _collect(self) -> None:
        if not self._running:
            time.sleep(min(WATCH_INTERVAL_S, max(0.0, self._planner.next_wake_s() - time.monotonic())))
            return
        done, _ = ray.wait(list(self._running), timeout=WATCH_INTERVAL_S)
        for ref in done:
            items = self._running.pop(ref)
            self._planner.task_ended(item.batch for item in items)
            try:
                self._count(ray.get(ref))
            except RayError as error:
                self._take_back(items, error)

    def _count(self, report: SliceReport) -> None:
        _log.debug("a slice ended: %d batches finished, left: %s", len(report.finished), [
            (item.batch.server_name, item.batch.partition_id, item.left, round(item.ready_in_s, 1))
            for item in report.unfinished
        ])  # fmt: skip
        self._result.requests += report.requests
        self._result.size_bytes += report.size_bytes
        self._planner.add(report.unfinished, time.monotonic())

    def _take_back(self, items: list[WorkItem], error: RayError) -> None:
        """The task died, maybe with its node; its journals hold what it had settled."""
        self._crashes.update(item.batch.batch_id for item in items)
        worst = max(items, key=lambda item: self._crashes[item.batch.batch_id])
        if self._crashes[worst.batch.batch_id] >= MAX_CRASHES:
            where = self._context.layout.batch_folder(worst.batch.server_name, worst.batch.partition_id)
            raise RuntimeError(f"{where}: its task died {MAX_CRASHES} times; last: {error}") from error
        reason = str(error).splitlines()[0].partition(". ")[0]  # Ray goes on with advice
        _log.warning("a worker task died, its %d batches are dealt again: %s", len(items), reason)
        self._planner.add(items, time.monotonic())

    def _watch(self) -> None:
        now_s = time.monotonic()
        if now_s < self._watch_at_s:
            return
        self._watch_at_s = now_s + WATCH_INTERVAL_S
        for order in self._orders.new():
            _log.info("order: %s %s %s", order.action, order.server, order.value or "")
            self._actors.order(order)
        progress = self._actors.progress()
        self._result.take(progress)
        self._progress.update(self._result.settled, progress.size_bytes, "draining" if self._result.is_stopped else "")
        if now_s >= self._save_at_s:
            self._actors.save()
            self._metrics.update(progress, now_s)
            took_s = time.monotonic() - now_s
            self._save_at_s = now_s + max(SAVE_INTERVAL_S, took_s / SAVE_SHARE)


def _task_name(items: Sequence[WorkItem]) -> str:
    """As the dashboard shows the task: its first server with the range of its batches, and how many other servers."""
    first = items[0].batch.server_name
    numbers = [item.batch.partition_id for item in items if item.batch.server_name == first]
    others = len({item.batch.server_name for item in items}) - 1
    span = f"{min(numbers)}-{max(numbers)}" if len(numbers) > 1 else f"{numbers[0]}"
    return f"{first} {span}" + (f" and {others} more servers" if others else "")
