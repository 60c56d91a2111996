"""Watchers that show or record the state of a run (`ports.Watcher`)."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from ray_downloader.cluster.ports import RunMode, RunView
from ray_downloader.monitor.figures import Moment, RowsLeft, RunFigures
from ray_downloader.monitor.run_report import RunReport
from ray_downloader.monitor.waiting import WaitingLog
from ray_downloader.progress import DownloadProgress

REPORT_INTERVAL_S = 2.0

_log = logging.getLogger(__name__)


class BarWatcher:
    """Moves the progress bar."""

    def __init__(self, bar: DownloadProgress) -> None:
        self._bar = bar

    def update(self, view: RunView, now_s: float) -> None:
        """Show rows by kind, and whether the run drains."""
        by_kind: Counter[str] = Counter()
        for (_, kind), rows in view.progress.settled.items():
            by_kind[kind] += rows
        self._bar.update(by_kind, view.progress.size_bytes, _note(view.mode))


class ReportWatcher:
    """Keeps `logs/progress.json` up to date.

    Args:
        report: Writes the file.
        figures: The file's content.
        wall_clock: Unix time.
    """

    def __init__(self, report: RunReport, figures: RunFigures, wall_clock: Callable[[], float] = time.time) -> None:
        self._report = report
        self._figures = figures
        self._wall_clock = wall_clock
        self._report_at_s = 0.0

    def update(self, view: RunView, now_s: float) -> None:
        """Write the figures, every few seconds and at the end."""
        if now_s >= self._report_at_s or view.is_final:
            self._report_at_s = now_s + REPORT_INTERVAL_S
            figures = self._figures.of(view.progress, moment_of(view, now_s, self._wall_clock()))
            self._report.write("draining" if view.mode.is_draining else "running", figures)


class WaitingWatcher:
    """Logs which servers wait, why and until when, once for each wait.

    Args:
        rows_left: Rows left by budget.
        wall_clock: Unix time.
    """

    def __init__(self, rows_left: RowsLeft, wall_clock: Callable[[], float] = time.time) -> None:
        self._rows_left = rows_left
        self._wall_clock = wall_clock
        self._waiting = WaitingLog(_log.info, rows_left.of)

    def update(self, view: RunView, now_s: float) -> None:
        """Log what is new."""
        if not view.is_final:
            if view.waiting:
                self._rows_left.take(view.progress)
            self._waiting.update(view.waiting, self._wall_clock())


def moment_of(view: RunView, now_s: float, now_unix_s: float) -> Moment:
    """What a view says about the servers."""
    return Moment(now_s, now_unix_s, view.waiting, view.learned, view.mode.is_idle)


def _note(mode: RunMode) -> str:
    if mode.is_draining:
        return "draining"
    return "waiting for the network" if mode.is_outage else ""
