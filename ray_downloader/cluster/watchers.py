"""Watchers that show or record the state of a run (`ports.Watcher`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ray_downloader.cluster.ports import RunMode, RunView
from ray_downloader.monitor.figures import Moment, RowsLeft, RunFigures
from ray_downloader.monitor.run_report import RunReport
from ray_downloader.monitor.waiting import WaitingLog
from ray_downloader.progress import LiveView
from ray_downloader.worker.progress import Progress

REPORT_INTERVAL_S = 2.0
FIGURES_INTERVAL_S = 0.5
#: At most this share of the driver's time is spent on figures.
FIGURES_SHARE = 0.05

_log = logging.getLogger(__name__)


class RayWatcher:
    """Ends the run if its Ray has ended: Ray's own calls would only fail a minute later, and end this process.

    Args:
        require_running: Raises an error if Ray has ended.
    """

    def __init__(self, require_running: Callable[[], None]) -> None:
        self._require_running = require_running

    def update(self, view: RunView, now_s: float) -> None:
        """Check."""
        self._require_running()


class FiguresWatcher:
    """Shows the figures of the run, and keeps `logs/progress.json` up to date.

    Args:
        report: Writes the file.
        figures: What is shown, and the file's content.
        view: Shows it; None if nobody watches.
        wall_clock: Unix time.
        cpu_clock: Measures what computing the figures costs: they are computed more rarely for 10^5 servers.
    """

    def __init__(
        self,
        report: RunReport,
        figures: RunFigures,
        view: LiveView | None = None,
        wall_clock: Callable[[], float] = time.time,
        cpu_clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._report = report
        self._figures = figures
        self._view = view
        self._wall_clock = wall_clock
        self._cpu_clock = cpu_clock
        self._due_s = self._report_at_s = 0.0

    def update(self, view: RunView, now_s: float) -> None:
        """Show the figures, write them every few seconds and at the end."""
        if now_s < self._due_s and not view.is_final:
            return
        started_s = self._cpu_clock()
        figures = self._figures.of(view.progress, moment_of(view, now_s, self._wall_clock()))
        if self._view:
            self._view.show(figures, _note(view.mode))
        if now_s >= self._report_at_s or view.is_final:
            self._report_at_s = now_s + REPORT_INTERVAL_S
            self._report.write("draining" if view.mode.is_draining else "running", figures)
        self._due_s = now_s + max(FIGURES_INTERVAL_S, (self._cpu_clock() - started_s) / FIGURES_SHARE)


class WaitingWatcher:
    """Logs which servers wait, why and until when, once for each wait.

    Args:
        rows_left: Rows left by budget.
        wall_clock: Unix time.
    """

    def __init__(self, rows_left: RowsLeft, wall_clock: Callable[[], float] = time.time) -> None:
        self._rows_left = rows_left
        self._wall_clock = wall_clock
        self._waiting = WaitingLog(_log.info, self._rows_left_of)
        #: What was not taken into account yet.
        self._progress: Progress | None = None

    def update(self, view: RunView, now_s: float) -> None:
        """Log what is new."""
        if not view.is_final:
            self._progress = view.progress
            self._waiting.update(view.waiting, self._wall_clock())
            self._progress = None

    def _rows_left_of(self, budget: str) -> int:
        """Rows left now; adding up those of 10^6 servers takes a second, and is only done if there is news of one."""
        if self._progress is not None:
            self._rows_left.take(self._progress)
            self._progress = None
        return self._rows_left.of(budget)


def moment_of(view: RunView, now_s: float, now_unix_s: float) -> Moment:
    """What a view says about the servers."""
    return Moment(now_s, now_unix_s, view.waiting, view.learned, view.mode.is_idle)


def _note(mode: RunMode) -> str:
    if mode.is_draining:
        return "draining"
    return "waiting for the network" if mode.is_outage else ""
