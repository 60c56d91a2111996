"""The driver: keeps every slot busy with a time slice, watches, and drains when it is told to stop.

It holds a bounded number of slices (one per slot), assigns batches as slices come back, and saves every few seconds
what the budget actors learned. A lost slice costs nothing but its unfinished rows: they are assigned again.
Everything it does goes through ports (`ports.py`), and its time is an argument, so a simulation runs this very code.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from ray_downloader.cluster.ports import DriverPorts, RunView, SliceLost
from ray_downloader.run_folder.orders import OrderFile
from ray_downloader.schedule.planner import Planner, WorkItem
from ray_downloader.worker.ports import SliceReport
from ray_downloader.worker.progress import Progress
from ray_downloader.worker.run_context import RunContext

#: A batch whose slice died this often is at fault itself, and the run says so.
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
        progress: What tasks reported, summed over restarts of the actor that counts.
    """

    is_stopped: bool = False
    seconds: float = 0.0
    size_bytes: int = 0
    requests: int = 0
    progress: Progress = field(default_factory=Progress)

    @property
    def images(self) -> int:
        """Rows that got an image."""
        return sum(rows for (_, kind), rows in self.progress.settled.items() if not kind)


class Driver:
    """Runs the slices of one download.

    Args:
        context: The run.
        slots: Slices that run at once.
        ports: What it acts through.
    """

    def __init__(self, context: RunContext, slots: int, ports: DriverPorts) -> None:
        self._context = context
        self._slots = slots
        self._pool = ports.pool
        self._actors = ports.actors
        self._watchers = ports.watchers
        self._clock = ports.clock
        self._sleep = ports.sleep
        self._running: dict[Hashable, list[WorkItem]] = {}
        self._crashes: Counter[int] = Counter()
        self._result = DownloadResult()
        self._sum = ProgressSum()
        self._orders = OrderFile(context.layout.orders_file)
        self._watch_at_s = self._save_at_s = 0.0
        self._stop_reason = ""
        self._planner = Planner(ports.actors.expected_rate_rps, slots, context.settings.cluster.task_seconds)

    def run(self, work: Sequence[WorkItem]) -> DownloadResult:
        """Download until everything is settled or `stop` was called.

        Raises:
            RuntimeError: A batch's slice died again and again.
        """
        started_at_s = self._clock()
        self._planner.add(work, started_at_s)
        self._watch()
        while self._running or (self._planner.has_work and not self._result.is_stopped):
            self._drain_if_stopped()
            self._submit()
            self._collect()
            self._watch()
        self._result.seconds = self._clock() - started_at_s
        self._watch(is_final=True)
        return self._result

    def stop(self, reason: str) -> None:
        """Ask for the end: what is under way is finished or given back. May be called by a signal handler."""
        self._stop_reason = self._stop_reason or reason

    def _drain_if_stopped(self) -> None:
        if self._stop_reason and not self._result.is_stopped:
            _log.warning("%s: finishing what is under way; the same command continues later", self._stop_reason)
            self._result.is_stopped = True
            self._actors.drain()

    def _submit(self) -> None:
        free = self._slots - len(self._running)
        if self._result.is_stopped or not free:
            return
        for items in self._planner.plan(free, self._clock()):
            self._running[self._pool.submit(items)] = items

    def _collect(self) -> None:
        if not self._running:
            if self._planner.has_work and not self._result.is_stopped:
                self._sleep(min(WATCH_INTERVAL_S, max(0.0, self._planner.next_wake_s() - self._clock())))
            return
        for handle, outcome in self._pool.wait(WATCH_INTERVAL_S):
            items = self._running.pop(handle)
            self._planner.task_ended(item.batch for item in items)
            if isinstance(outcome, SliceLost):
                self._take_back(items, outcome)
            else:
                self._count(outcome)

    def _count(self, report: SliceReport) -> None:
        _log.debug("a slice ended: %d batches finished, left: %s", len(report.finished), [
            (item.batch.server_name, item.batch.partition_id, item.left, round(item.ready_in_s, 1))
            for item in report.unfinished
        ])  # fmt: skip
        self._result.requests += report.requests
        self._result.size_bytes += report.size_bytes
        self._planner.add(report.unfinished, self._clock())

    def _take_back(self, items: list[WorkItem], lost: SliceLost) -> None:
        """The slice died, maybe with its node; its journals hold what it had settled."""
        self._crashes.update(item.batch.batch_id for item in items)
        worst = max(items, key=lambda item: self._crashes[item.batch.batch_id])
        if self._crashes[worst.batch.batch_id] >= MAX_CRASHES:
            where = self._context.layout.batch_folder(worst.batch.server_name, worst.batch.partition_id)
            raise RuntimeError(f"{where}: its task died {MAX_CRASHES} times; last: {lost.reason}")
        _log.warning("a worker task died, its %d batches are assigned again: %s", len(items), lost.reason)
        self._planner.add(items, self._clock())

    def _watch(self, *, is_final: bool = False) -> None:
        now_s = self._clock()
        if now_s < self._watch_at_s and not is_final:
            return
        self._watch_at_s = now_s + WATCH_INTERVAL_S
        for order in self._orders.new():
            _log.info("order: %s %s %s", order.action, order.server, order.value or "")
            self._actors.order(order)
        self._result.progress = self._sum.take(self._actors.progress())
        self._show(now_s, is_final)
        if now_s >= self._save_at_s or is_final:
            self._actors.save()
            took_s = self._clock() - now_s
            self._save_at_s = now_s + max(SAVE_INTERVAL_S, took_s / SAVE_SHARE)

    def _show(self, now_s: float, is_final: bool) -> None:
        view = RunView(self._result.progress, is_draining=self._result.is_stopped, is_final=is_final)
        for watcher in self._watchers:
            watcher.update(view, now_s)


class ProgressSum:
    """Sums of the whole run, though the actor that counts may die and start from nothing."""

    def __init__(self) -> None:
        self._before = Progress()
        self._latest = Progress()

    def take(self, latest: Progress | None) -> Progress:
        """What all tasks reported so far, given what the actor says now (None: it does not answer)."""
        if latest is not None:
            if _events(latest) < _events(self._latest):
                self._before = _added(self._before, self._latest)
            self._latest = latest
        return _added(self._before, self._latest)


def _events(progress: Progress) -> int:
    """A number that only grows while the actor lives."""
    return progress.settled.total() + progress.answered + progress.unreached.total() + progress.size_bytes


def _added(before: Progress, latest: Progress) -> Progress:
    return Progress(
        settled=before.settled + latest.settled,
        size_bytes=before.size_bytes + latest.size_bytes,
        disallowed=before.disallowed + latest.disallowed,
        answered=before.answered + latest.answered,
        unreached=before.unreached + latest.unreached,
        busy_at_s=latest.busy_at_s,
    )
