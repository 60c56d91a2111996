"""The driver: keeps every slot busy with a time slice, watches, and drains when it is stopped.

It holds a bounded number of slices (one per slot), assigns batches as slices end, and saves every few seconds what the
budget actors learned. A lost slice costs only its unfinished rows: they are assigned again. Everything it does goes
through ports (`ports.py`), and its time is an argument, so a simulation runs this very code.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ray_downloader.cluster.crashes import MAX_CRASHES, Crashes
from ray_downloader.cluster.ports import DriverPorts, RunMode, RunView, SliceLost
from ray_downloader.cluster.progress_sum import ProgressSum
from ray_downloader.errors import UserError
from ray_downloader.monitor.waiting import Waiting
from ray_downloader.politeness.outage import LEAST_SERVERS, NetworkState, OutageDetector
from ray_downloader.run_folder.orders import OrderFile, in_force
from ray_downloader.schedule.planner import Planner, WorkItem, slice_seconds
from ray_downloader.signals import same_command
from ray_downloader.worker.ports import SliceReport
from ray_downloader.worker.progress import Progress
from ray_downloader.worker.run_context import RunContext

WATCH_INTERVAL_S = 0.5
SAVE_INTERVAL_S = 2.0
#: Tasks report once a second whether they are busy; a report more may be late.
IDLE_AFTER_S = 2.0
WAITING_INTERVAL_S = 2.0
#: At most this share of the driver's time is spent on saving: the states of 10^5 servers take seconds.
SAVE_SHARE = 0.05

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class DownloadResult:
    """The result of the download stage in this run.

    Args:
        is_stopped: Whether it drained before everything was settled.
        is_outage: Whether it stopped because our own network was down for too long.
        abandoned: Batches at which tasks died repeatedly, in sentences.
        failure: Why it stopped, if no task can continue: a full disk, a damaged table of URLs, the end of Ray.
        seconds: From the first slice to the end of the last, without start-up.
        progress: What tasks reported, summed over restarts of the actor that counts.
    """

    is_stopped: bool = False
    is_outage: bool = False
    abandoned: list[str] = field(default_factory=list)
    failure: UserError | None = None
    seconds: float = 0.0
    size_bytes: int = 0
    requests: int = 0
    progress: Progress = field(default_factory=Progress)

    @property
    def images(self) -> int:
        """Rows for which an image was stored."""
        return sum(rows for (_, kind), rows in self.progress.settled.items() if not kind)


@dataclass(frozen=True, slots=True)
class _Running:
    """A slice under way, and when it is to end."""

    items: list[WorkItem]
    ends_s: float


class Driver:
    """Runs the slices of one download.

    Args:
        context: The run.
        slots: Number of slices that run at once.
        ports: The ports through which it acts.
    """

    def __init__(self, context: RunContext, slots: int, ports: DriverPorts) -> None:
        self._context = context
        self._slots = slots
        self._pool = ports.pool
        self._actors = ports.actors
        self._watchers = ports.watchers
        self._clock = ports.clock
        self._sleep = ports.sleep
        self._rescan = ports.rescan
        self._publish = ports.publish
        self._running: dict[Hashable, _Running] = {}
        self._crashes = Crashes()
        self._result = DownloadResult()
        self._sum = ProgressSum()
        self._orders = OrderFile(context.layout.orders_file)
        self._started_s = self._watch_at_s = self._save_at_s = self._wait_at_s = 0.0
        self._waits: Mapping[str, Waiting] = {}
        self._stop_reason = ""
        self._mode = RunMode()
        self._busy_mark = self._busy_s = 0.0
        self._outage = self._detector(LEAST_SERVERS)
        self._planner = Planner(ports.actors.expected_rate_rps, slots, context.settings.cluster.task_seconds)

    def run(self, work: Sequence[WorkItem]) -> DownloadResult:
        """Download until everything is settled or `stop` was called."""
        self._started_s = self._busy_s = self._clock()
        self._planner.add(work, self._started_s)
        self._outage = self._detector(_servers_of(work))
        self._watch()
        while self._running or (self._planner.has_work and not self._result.is_stopped):
            self._drain_if_stopped()
            self._submit()
            self._collect()
            self._watch()
        self._result.seconds = self._clock() - self._started_s
        self._watch(is_final=True)
        return self._result

    def _detector(self, servers: int) -> OutageDetector:
        actors = self._actors
        return OutageDetector(actors.has_answered, has_anybody_answered=actors.has_answered(), servers=servers)

    def stop(self, reason: str) -> None:
        """Request the end: running slices are finished or returned. May be called by a signal handler."""
        self._stop_reason = self._stop_reason or reason

    @property
    def is_stopping(self) -> bool:
        """Whether the end was requested."""
        return bool(self._stop_reason)

    def _drain_if_stopped(self) -> None:
        if self._stop_reason and not self._result.is_stopped:
            again = same_command(self._context.settings)
            _log.warning("%s: finishing requests in flight; %s continues later", self._stop_reason, again)
            self._result.is_stopped = True
            self._enter(replace(self._mode, is_draining=True))

    def _enter(self, mode: RunMode) -> None:
        if mode != self._mode:
            self._mode = mode
            self._actors.enter(mode)

    def _submit(self) -> None:
        free = self._slots - len(self._running)
        if self._result.is_stopped or not free:
            return
        planned = self._planner.plan(free, self._clock(), self._ends_s)
        for items in planned:
            seconds = self._slice_seconds(free - len(planned))
            self._running[self._pool.submit(items, seconds)] = _Running(items, self._clock() + seconds)
            if not self._mode.is_idle:
                self._busy_s = self._clock()  # until the new task can report whether it is

    def _slice_seconds(self, free: int) -> float:
        """How long the next slice lasts, if so many slots stay free."""
        task_seconds, now_s = self._context.settings.cluster.task_seconds, self._clock()
        if free:
            return task_seconds
        return slice_seconds(
            task_seconds, self._planner.next_wake_s() - now_s, [end_s - now_s for end_s in self._ends_s]
        )

    @property
    def _ends_s(self) -> list[float]:
        """When the slices under way are to end."""
        return [running.ends_s for running in self._running.values()]

    def _collect(self) -> None:
        if not self._running:
            if self._planner.has_work and not self._result.is_stopped:
                self._sleep(min(WATCH_INTERVAL_S, max(0.0, self._planner.next_wake_s() - self._clock())))
            return
        for handle, outcome in self._pool.wait(WATCH_INTERVAL_S):
            items = self._running.pop(handle).items
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
        self._publish([batch for batch, _ in report.finished])

    def _take_back(self, items: Sequence[WorkItem], lost: SliceLost) -> None:
        """The slice died, possibly with its node; what it had settled is in the journals of its batches."""
        if lost.failure is not None:
            self._result.failure = lost.failure
            self.stop("a task could not continue")
            return
        _log.warning("a worker task died, its %d batches are assigned again: %s", len(items), lost.reason)
        if lost.holder:
            self._actors.forget(lost.holder)
        left = self._rescan([item.batch for item in items])
        if lost.is_node_lost:
            self._planner.add(left, self._clock())
            return
        again, abandoned = self._crashes.judge(left)
        self._planner.add(again, self._clock())
        for item in abandoned:
            where = self._context.layout.batch_folder(item.batch.server_name, item.batch.partition_id)
            sentence = f"{where}: its task died {MAX_CRASHES} times without getting any further; last: {lost.reason}"
            _log.error("%s; the other batches continue", sentence)
            self._result.abandoned.append(sentence)

    def _watch(self, *, is_final: bool = False) -> None:
        now_s = self._clock()
        if now_s < self._watch_at_s and not is_final:
            return
        self._watch_at_s = now_s + WATCH_INTERVAL_S
        for order in in_force(self._orders.new()):
            _log.info("order: %s %s %s", order.action, order.server, order.value or "")
            self._actors.order(order)
        news = self._actors.progress(self._sum.received)
        if news is not None:
            self._sum.take(news)
        self._result.progress = self._sum.total
        if not is_final:
            self._note_idle(None if news is None else news.progress.busy_at_s, now_s)
            self._note_outage(self._sum.total, now_s)
        self._show(now_s, is_final)
        if is_final:  # no permit is granted any more, which is saved
            self._enter(replace(self._mode, is_draining=True))
        if now_s >= self._save_at_s or is_final:
            self._actors.save()
            took_s = self._clock() - now_s
            interval_s = min(SAVE_INTERVAL_S, now_s - self._started_s)  # what is granted first is unknown until then
            self._save_at_s = now_s + max(interval_s, took_s / SAVE_SHARE)

    def _note_idle(self, busy_at_s: float | None, now_s: float) -> None:
        """A run is idle if it has nothing to assign and its tasks only wait for servers in trouble.

        Args:
            busy_at_s: When a task last reported that it was busy, on a clock other than ours; None if unknown.
        """
        if busy_at_s is None or busy_at_s != self._busy_mark:
            self._busy_mark, self._busy_s = busy_at_s or 0.0, now_s
        is_idle = not self._planner.is_ready and now_s - self._busy_s >= IDLE_AFTER_S
        self._enter(replace(self._mode, is_idle=is_idle))

    def _note_outage(self, progress: Progress, now_s: float) -> None:
        """If no server can be reached, the whole run waits, charges nothing to rows, and after a while stops."""
        state = self._outage.observe(
            progress.answered, progress.unreached, now_s, progress.unresolved, progress.turned_away
        )
        is_outage, patience_s = state is NetworkState.OUTAGE, self._context.settings.network.outage_patience_s
        if is_outage and not self._mode.is_outage:
            _log.warning(
                "no server can be reached any more (%s): this looks like our own network, DNS or proxy; the run waits "
                "and continues by itself, or stops after network.outage_patience_s=%g", _named(self._outage.failing),
                patience_s,
            )  # fmt: skip
        elif self._mode.is_outage and not is_outage:
            _log.warning("servers can be reached again: the run continues")
        self._enter(replace(self._mode, is_outage=is_outage))
        if is_outage and now_s - self._outage.since_s >= patience_s:
            self._result.is_outage = True
            self.stop(f"no server could be reached for {patience_s:g} s")

    def _show(self, now_s: float, is_final: bool) -> None:
        if self._watchers:
            learned = self._actors.learned()
            view = RunView(self._result.progress, self._mode, self._waiting(now_s), learned, is_final)
            for watcher in self._watchers:
                watcher.update(view, now_s)

    def _waiting(self, now_s: float) -> Mapping[str, Waiting]:
        """The waiting servers, requested only from time to time: there may be 10^5 servers to go through."""
        if now_s >= self._wait_at_s:
            self._waits = self._actors.waiting()
            took_s = self._clock() - now_s
            self._wait_at_s = now_s + max(WAITING_INTERVAL_S, took_s / SAVE_SHARE)
        return self._waits


def _servers_of(work: Sequence[WorkItem]) -> int:
    """How many servers have rows left, at most."""
    named = {item.batch.server_name for item in work if item.batch.servers == 1}
    return len(named) + sum(item.batch.servers for item in work if item.batch.servers > 1)


def _named(servers: Sequence[str], most: int = 3) -> str:
    more = f" and {len(servers) - most} more" if len(servers) > most else ""
    return ", ".join(servers[:most]) + more
