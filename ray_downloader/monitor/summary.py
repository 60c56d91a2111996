"""The result of a run: `summary.json`, and the tables shown at its end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from ray_downloader.errors import TRANSIENT_KINDS
from ray_downloader.monitor.renditions import sentence
from ray_downloader.monitor.reused import base_sentence
from ray_downloader.output.batch_folder import SUCCESS
from ray_downloader.partition import PartitionSummary, load_partition_summary
from ray_downloader.partition.batches import load_batches
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import load_retry_order
from ray_downloader.run_folder.shapes import read_summary
from ray_downloader.schedule.run_status import RunStatus, scan

_TRANSIENT = frozenset(str(kind) for kind in TRANSIENT_KINDS)
#: Servers in `summary.json`; the rest, smaller ones, are summed under "(others)".
MOST_SERVERS = 10_000
#: Number of servers in the table on the screen.
SHOWN_SERVERS = 20


@dataclass(frozen=True, slots=True)
class StageFigures:
    """What the download stage of this run did.

    Args:
        seconds: Duration without start-up.
        images: Number of images stored.
        size_bytes: Bytes received.
        disallowed: Rows that robots.txt would exclude, by server.
        renditions: What smaller versions saved (`renditions.Renditions.figures`).
    """

    seconds: float
    images: int
    size_bytes: int
    disallowed: Mapping[str, int]
    renditions: Mapping[str, int] | None = None


def summarise(
    partition: PartitionSummary, status: RunStatus, stage: StageFigures, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The document of `summary.json`.

    Args:
        before: The previous one, if nothing was left to do this time: the figures of its download are kept.
    """
    kinds = status.by_kind
    successes = kinds.pop(SUCCESS, 0)
    kept = (
        {key: before[key] for key in ("robots_disallowed", "download", "renditions") if key in before} if before else {}
    )
    return {
        "rows": {
            "input": partition.input_rows,
            "rejected": partition.input_rows - partition.accepted_rows,
            "successes": successes,
            "errors": kinds.total(),
        },
        "errors_that_may_pass": {kind: rows for kind, rows in sorted(kinds.items()) if kind in _TRANSIENT},
        "unsettled_rows": partition.accepted_rows - successes - kinds.total(),
        "rejected_by_reason": dict(sorted(partition.rejected_by_reason.items())),
        "errors_by_kind": dict(sorted(kinds.items())),
        "checksums": {"ok": status.checksums["ok"], "wrong": status.checksums["wrong"]},
        "robots_disallowed": dict(sorted(stage.disallowed.items())),
        "download": {
            "seconds": round(stage.seconds, 3),
            "images_per_s": round(stage.images / stage.seconds, 2) if stage.seconds else 0.0,
            "bytes": stage.size_bytes,
        },
        **({"renditions": dict(stage.renditions)} if stage.renditions else {}),
        "servers": _by_server(status.settled),
        **kept,
    }


def figures_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What `status` shows about a run that has ended."""
    rows = {**summary["rows"], "left": summary["unsettled_rows"]}
    base = {"base": summary["base"]} if summary.get("base") else {}
    return {"rows": rows, "errors_by_kind": summary["errors_by_kind"], **base}


def counted(layout: RunLayout) -> dict[str, Any]:
    """The same of any run, counted from its results.

    Raises:
        DamagedFileError: A table of the list is damaged.
    """
    status = scan(layout, load_batches(layout), load_retry_order(layout))
    return figures_of(summarise(load_partition_summary(layout), status, StageFigures(0.0, 0, 0, {})))


def _by_server(settled: Mapping[str, Counter[str]]) -> dict[str, dict[str, Any]]:
    ordered = sorted(settled.items(), key=lambda item: (-item[1].total(), item[0]))
    rows = dict(ordered[:MOST_SERVERS])
    others: Counter[str] = Counter()
    for _, kinds in ordered[MOST_SERVERS:]:
        others.update(kinds)
    if others:
        rows["(others)"] = others
    return {server: _counts(kinds) for server, kinds in rows.items()}


def _counts(kinds: Mapping[str, int]) -> dict[str, Any]:
    errors = {kind: rows for kind, rows in sorted(kinds.items()) if kind != SUCCESS}
    return {"successes": kinds.get(SUCCESS, 0), "errors": sum(errors.values()), "errors_by_kind": errors}


def load_summary(layout: RunLayout) -> dict[str, Any] | None:
    """What `save_summary` wrote; None if there is no usable file."""
    try:
        return read_summary(layout.summary_file)
    except (OSError, ValueError):
        return None


def save_summary(layout: RunLayout, summary: Mapping[str, Any]) -> None:
    """Write `summary.json`."""
    write_text(layout.summary_file, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")


def show_summary(summary: Mapping[str, Any], console: Console, command: str) -> None:
    """Print the tables by server and by error kind, what may be retried, and one closing line.

    Args:
        command: The command that retries the errors that may pass.
    """
    console.print(_server_table(summary["servers"]))
    if summary["errors_by_kind"] or summary["rejected_by_reason"]:
        console.print(_reason_table(summary))
    if summary["robots_disallowed"]:
        count = sum(summary["robots_disallowed"].values())
        console.print(
            f"robots.txt would exclude {count} rows (politeness.robots=obey leaves them out); see summary.json"
        )
    checksums = summary["checksums"]
    if any(checksums.values()):
        console.print(
            f"checksums of the list: {checksums['ok']} images agree, {checksums['wrong']} do not (column checksum_ok)"
        )
    if summary.get("base"):
        console.print(f"base: {base_sentence(summary['base'])}")
    if "renditions" in summary:
        console.print(f"renditions: {sentence(summary['renditions'])}")
    passing = summary["errors_that_may_pass"]
    if passing:
        kinds = ", ".join(f"{kind} {rows}" for kind, rows in sorted(passing.items(), key=lambda item: -item[1]))
        _print_line(console, f"{sum(passing.values())} of the errors may pass ({kinds}); this retries them:")
        _print_line(console, f"  {command}")
    rows, download = summary["rows"], summary["download"]
    console.print(
        f"{rows['input']} rows: {rows['successes']} images, {rows['errors']} errors, {rows['rejected']} rejected"
        + (f", {summary['unsettled_rows']} not settled yet" if summary["unsettled_rows"] else "")
        + f"; {download['images_per_s']:.1f} images/s for {download['seconds']:.1f} s"
    )


def _print_line(console: Console, text: str) -> None:
    """Print a line that can be copied: not wrapped, and with brackets as they are."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _server_table(servers: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table("server", title="by server")
    for column in ("images", "errors"):
        table.add_column(column, justify="right")
    table.add_column("kinds of error", overflow="fold")
    for server, counts in list(servers.items())[:SHOWN_SERVERS]:
        kinds = ", ".join(f"{kind} {rows}" for kind, rows in counts["errors_by_kind"].items())
        table.add_row(server, str(counts["successes"]), str(counts["errors"]), kinds)
    if len(servers) > SHOWN_SERVERS:
        table.add_row(f"... {len(servers) - SHOWN_SERVERS} more in summary.json", "", "", "")
    return table


def _reason_table(summary: Mapping[str, Any]) -> Table:
    table = Table("rows without an image", "why", title="by error kind")
    table.add_column("rows", justify="right")
    for label, key in (("errors", "errors_by_kind"), ("rejected", "rejected_by_reason")):
        for kind, rows in sorted(summary[key].items(), key=lambda item: -item[1]):
            table.add_row(label, kind, str(rows))
    return table
