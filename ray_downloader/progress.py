"""Progress of a download or a tool: drawn if somebody watches, a line every 30 s if only a log is kept."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ray_downloader.logs import FACTS
from ray_downloader.monitor.live import live_view, plain_line

LOG_INTERVAL_S = 30.0
NOTEBOOK_WIDTH = 100
_CELL = '<pre style="white-space:pre;line-height:normal">{code}</pre>'

_log = logging.getLogger(__name__)
R = TypeVar("R")


class LiveView:
    """Shows a download: drawn anew in a terminal or notebook, as a line every 30 s anywhere else.

    Args:
        console: Where it is shown.
        cluster: Nodes and tasks, in words.
    """

    def __init__(self, console: Console, cluster: str) -> None:
        self._console = console
        self._cluster = cluster
        self._log_at_s = time.monotonic() + LOG_INTERVAL_S
        is_terminal = console.is_terminal and not console.is_jupyter
        self._live = Live(console=console, refresh_per_second=2, transient=True) if is_terminal else None
        self._notebook = NotebookView() if console.is_jupyter else None

    def __enter__(self) -> LiveView:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, figures: Mapping[str, Any], note: str = "") -> None:
        """Show the present state.

        Args:
            figures: As `RunFigures` gives them.
            note: Anything else the user should know now.
        """
        if self._live:
            self._live.update(live_view(figures, self._cluster, note, self._console.width, time.time()))
        elif self._notebook:
            self._notebook.show(live_view(figures, self._cluster, note, NOTEBOOK_WIDTH, time.time()))
        elif time.monotonic() >= self._log_at_s:
            self._log_at_s = time.monotonic() + LOG_INTERVAL_S
            _log.info("%s", plain_line(figures, note), extra={FACTS: {"figures": figures}})


class NotebookView:
    """A cell's output that is replaced by each update; needs no widgets."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, view: RenderableType) -> None:
        """Replace what is shown."""
        from IPython.display import HTML, display  # noqa: PLC0415 (exists wherever a notebook does)

        console = Console(record=True, width=NOTEBOOK_WIDTH, file=io.StringIO(), force_jupyter=False)
        console.print(view)
        shown = HTML(console.export_html(inline_styles=True, code_format=_CELL))
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


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
    with Progress(*columns, console=console, disable=not console.is_terminal or console.is_jupyter) as bar:
        task = bar.add_task(name, total=units, completed=done)
        for finished, result in enumerate(results, start=done + 1):
            bar.update(task, completed=finished)
            if not console.is_terminal and time.monotonic() >= log_at_s:
                log_at_s = time.monotonic() + LOG_INTERVAL_S
                _log.info("%s: %d of %d parts", name, finished, units)
            yield result
