"""Progress of a download or a tool: a bar if somebody watches, a line every 30 s if only a log is kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

LOG_INTERVAL_S = 30.0

_log = logging.getLogger(__name__)
R = TypeVar("R")


class DownloadProgress:
    """Shows how many rows are settled.

    Args:
        total_rows: Rows of the run.
        settled_rows: Rows that earlier runs settled.
    """

    def __init__(self, total_rows: int, settled_rows: int, console: Console) -> None:
        self._total_rows = total_rows
        self._settled_before = settled_rows
        self._started_at_s = time.monotonic()
        self._log_at_s = self._started_at_s + LOG_INTERVAL_S
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]download"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("download", total=total_rows, completed=settled_rows, detail="starting")

    def __enter__(self) -> DownloadProgress:
        self._bar.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, settled: Mapping[str, int], size_bytes: int, note: str = "") -> None:
        """Show the present state.

        Args:
            settled: Rows settled in this run, by error kind ("" for images).
            size_bytes: Bytes received in this run.
            note: Anything else the user should know now.
        """
        images, rows = settled.get("", 0), sum(settled.values())
        seconds = max(time.monotonic() - self._started_at_s, 1e-9)
        detail = f"{images / seconds:.1f} images/s, {rows - images} errors, {size_bytes / 1e6:.0f} MB {note}".rstrip()
        completed = min(self._settled_before + rows, self._total_rows)
        self._bar.update(self._task, completed=completed, detail=detail)
        if not self._console.is_terminal and time.monotonic() >= self._log_at_s:
            self._log_at_s = time.monotonic() + LOG_INTERVAL_S
            _log.info("download: %d of %d rows, %s", completed, self._total_rows, detail)


def shown(results: Iterable[R], name: str, units: int, done: int, console: Console) -> Iterator[R]:
    """Pass the results through; each advances the progress by one unit.

    Args:
        results: Results of the units that are left.
        name: Name of the tool.
        units: How many there are in total.
        done: How many of them an earlier run did.
        console: Where the bar is drawn if it is a terminal.
    """
    columns = (TextColumn(f"[bold]{name}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    log_at_s = time.monotonic() + LOG_INTERVAL_S
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=units, completed=done)
        for finished, result in enumerate(results, start=done + 1):
            bar.update(task, completed=finished)
            if not console.is_terminal and time.monotonic() >= log_at_s:
                log_at_s = time.monotonic() + LOG_INTERVAL_S
                _log.info("%s: %d of %d parts", name, finished, units)
            yield result
