"""The live view: how a download is doing, drawn for the width that a terminal has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

#: Servers in the table, those that decide how long the run takes; and the widths from which it has more columns.
SHOWN_SERVERS = 8
NARROW = 40
WIDE = 100
_SHOWN_KINDS = 5
#: What each reason to wait means, in as few words as possible.
WHY = {
    "retry_after": "asked us to wait",
    "backoff": "refuses requests",
    "deferred": "in trouble, is probed",
    "robots": "no robots.txt yet",
    "crawl_delay": "Crawl-delay",
    "quota": "daily quota used",
    "paused_by_operator": "paused by operator",
    "outage": "our network is down",
}


def live_view(figures: Mapping[str, Any], cluster: str, note: str, width: int, now_unix_s: float) -> RenderableType:
    """The whole view.

    Args:
        figures: As `RunFigures` gives them.
        cluster: Nodes and tasks, in words.
        note: Anything else to know now, such as that the run drains.
        width: Columns of the terminal.
        now_unix_s: The time of day.
    """
    rows = figures["rows"]
    done, total = _done(rows)
    head = Text(f"{done:,} of {total:,} rows  {_percent(done, total)}", style="bold")
    bar = Table.grid()  # a bar alone does not end its line
    bar.add_row(ProgressBar(total=max(total, 1), completed=done, width=min(width, WIDE)))
    parts: list[RenderableType] = [head, bar]
    parts += [Text(line) for line in _lines(figures, cluster, note)]
    servers = figures["slowest"][:SHOWN_SERVERS]
    if servers:
        parts.append(_servers(servers, width, now_unix_s))
    for part in parts:
        if isinstance(part, Text):
            part.no_wrap = width >= NARROW
            part.overflow = "ellipsis" if width >= NARROW else "fold"
    return Group(*parts)


def plain_line(figures: Mapping[str, Any], note: str) -> str:
    """The same in one line, for where no terminal is."""
    done, total = _done(figures["rows"])
    parts = [f"download: {done} of {total} rows ({_percent(done, total)})", *_lines(figures, "", note)]
    waiting = figures["waiting"]
    if waiting:
        first = waiting[0]
        until = f" until {first['until']}" if first["until"] else ""
        more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        parts.append(f"waits: {first['server']} ({first['reason']}{until}){more}")
    return ", ".join(parts)


def _done(rows: Mapping[str, int]) -> tuple[int, int]:
    done = rows["successes"] + rows["errors"]
    return done, done + rows["left"]


def _percent(done: int, total: int) -> str:
    return f"{int(100 * done / total) if total else 100} %"


def _lines(figures: Mapping[str, Any], cluster: str, note: str) -> list[str]:
    eta = f"{duration(figures['eta_s'])} left" if figures["eta_s"] is not None else "time left unknown"
    lines = [
        f"{figures['images_per_s']:.1f} images/s, {eta}",
        f"{figures['received_mb_per_s']:.2f} MB/s received, {figures['stored_mb_per_s']:.2f} MB/s stored",
    ]
    kinds = sorted(figures["errors_by_kind"].items(), key=lambda item: -item[1])
    if kinds:
        shown = ", ".join(f"{kind} {count}" for kind, count in kinds[:_SHOWN_KINDS])
        more = f" and {len(kinds) - _SHOWN_KINDS} more kinds" if len(kinds) > _SHOWN_KINDS else ""
        lines.append(f"{figures['rows']['errors']} errors: {shown}{more}")
    lines += [text for text in (cluster, note) if text]
    return lines


def _servers(servers: list[Mapping[str, Any]], width: int, now_unix_s: float) -> Table:
    """The budgets that take longest, and why each of them waits."""
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False, width=width if width < WIDE else None)
    table.add_column("slowest servers" if width >= NARROW else "server", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("left", justify="right", no_wrap=True)
    if width >= NARROW:
        table.add_column("per s", justify="right", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("waits: why, until", no_wrap=True, overflow="ellipsis", ratio=3)
    for entry in servers:
        cells = [entry["server"], f"{entry['rows']:,}"]
        if width >= NARROW:
            rate = f"{entry['rate_rps']:.2f}" if entry["rate_rps"] is not None else ""
            cells += [rate, duration(entry["eta_s"]), _why(entry, now_unix_s)]
        table.add_row(*cells, style="yellow" if entry["reason"] else "")
    return table


def _why(entry: Mapping[str, Any], now_unix_s: float) -> str:
    if not entry["reason"]:
        return "its rate" if entry["rate_rps"] is not None else ""
    words: str = WHY.get(entry["reason"], entry["reason"])
    if not entry["until"]:
        return words
    until = datetime.fromisoformat(entry["until"])
    is_today = until - datetime.fromtimestamp(now_unix_s, timezone.utc) < timedelta(hours=12)
    return f"{words}, until {until.astimezone():{'%H:%M:%S' if is_today else '%d %b %H:%M'}}"


def duration(seconds: float) -> str:
    """A time in words that fit a column."""
    return str(timedelta(seconds=round(seconds)))
