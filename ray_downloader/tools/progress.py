"""Progress of a tool: a bar where somebody watches, a line every 30 s where only a log is kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ray_downloader.monitor.progress import LOG_EVERY_S

_log = logging.getLogger(__name__)
R = TypeVar("R")


def shown(results: Iterable[R], name: str, units: int, done: int, console: Console) -> Iterator[R]:
    """The results, each of them one unit further.

    Args:
        results: Of the units that are left.
        name: Of the tool.
        units: How many there are in all.
        done: How many of them an earlier run did.
        console: Where the bar is drawn if it is a terminal.
    """
    columns = (TextColumn(f"[bold]{name}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    log_at_s = time.monotonic() + LOG_EVERY_S
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=units, completed=done)
        for finished, result in enumerate(results, start=done + 1):
            bar.update(task, completed=finished)
            if not console.is_terminal and time.monotonic() >= log_at_s:
                log_at_s = time.monotonic() + LOG_EVERY_S
                _log.info("%s: %d of %d parts", name, finished, units)
            yield result
