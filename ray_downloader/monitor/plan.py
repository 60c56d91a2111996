"""`mode=plan`: what a download would be like, before an image is fetched."""

from __future__ import annotations

from datetime import timedelta

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from ray_downloader.config.settings import Settings
from ray_downloader.partition import load_partition_summary
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.profile.table import load_profiled_rates
from ray_downloader.run_folder.layout import RunLayout

SHOWN_SERVERS = 30


def show_plan(settings: Settings, layout: RunLayout, console: Console) -> None:
    """Print servers with rows, rate and expected time, and the rejected rows by reason."""
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, load_profiled_rates(layout))
    servers = pq.read_table(layout.servers_table).sort_by([("rows", "descending")])
    names, rows = servers["server_name"].to_pylist(), servers["rows"].to_pylist()
    rates = [policies.policy(name).start_rate_rps for name in names]
    seconds = [count / rate if rate else 0.0 for count, rate in zip(rows, rates, strict=True)]
    table = Table("server", title="plan")
    for column in ("rows", "requests/s", "time"):
        table.add_column(column, justify="right")
    for name, count, rate, duration in list(zip(names, rows, rates, seconds, strict=True))[:SHOWN_SERVERS]:
        table.add_row(name, str(count), f"{rate:g}" if rate else "no limit", str(timedelta(seconds=round(duration))))
    if len(names) > SHOWN_SERVERS:
        table.add_row(f"... {len(names) - SHOWN_SERVERS} more", "", "", "")
    console.print(table)
    _show_totals(layout, seconds, console)


def _show_totals(layout: RunLayout, seconds: list[float], console: Console) -> None:
    summary = load_partition_summary(layout)
    for sentence in summary.read_as:
        console.print(sentence, markup=False)
    console.print(
        f"{summary.input_rows} rows: {summary.accepted_rows} to download from {summary.servers} servers, "
        f"{summary.input_rows - summary.accepted_rows} rejected"
    )
    for reason, count in sorted(summary.rejected_by_reason.items(), key=lambda item: -item[1]):
        console.print(f"  rejected, {reason}: {count}")
    longest = timedelta(seconds=round(max(seconds, default=0.0)))
    console.print(f"at these rates the largest server decides: about {longest}; a profile stage may raise rates")
