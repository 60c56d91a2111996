"""Reads a run folder into the document of the report: plain JSON, complete and without secrets.

The run may be under way, stopped, killed or finished; nothing in the folder is changed.
"""

from __future__ import annotations

import random
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ray_downloader import __version__
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.monitor.reused import base_sentence
from ray_downloader.monitor.run_report import read_report
from ray_downloader.monitor.summary import load_summary
from ray_downloader.output.batch_folder import SUCCESS
from ray_downloader.partition.batches import Batch, load_batches
from ray_downloader.partition.summary import PartitionSummary, load_partition_summary
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.profile.table import load_profiled_rates
from ray_downloader.report.advice import may_pass, meaning
from ray_downloader.report.citing import citations
from ray_downloader.report.missing import missing_rows
from ray_downloader.report.pictures import Pictures, contact_sheet
from ray_downloader.report.results import Results, Share, read_results
from ray_downloader.report.servers import Learned, ServerLine, server_lines
from ray_downloader.report.shown import one_line, shown_command
from ray_downloader.run_folder.layout import SUCCESSES, RunLayout
from ray_downloader.run_folder.retry_order import load_retry_order
from ray_downloader.run_folder.server_states import load_server_states
from ray_downloader.run_folder.small_tables import read_small_table
from ray_downloader.run_folder.work_folder import shown_place
from ray_downloader.schedule.run_status import scan
from ray_downloader.sources.licenses import license_name

#: Bars in one list of shares; the rest is one bar.
MOST_BARS = 12
#: Draws the same files for the same folder.
_SEED = 1
_RETRY = "retry_errors=transient"


@dataclass(frozen=True, slots=True)
class _Run:
    settings: Settings
    layout: RunLayout
    partition: PartitionSummary
    batches: Sequence[Batch]


def gather(out: Path, which: Pictures, now_unix_s: float) -> dict[str, Any]:
    """The document.

    Args:
        out: The run folder.
        which: Which images the contact sheet may show.
        now_unix_s: The time of day.

    Raises:
        UserError: It is not a run folder, or its list has not been partitioned.
    """
    run = _load(out)
    rng = random.Random(_SEED)
    settled, folders = _settled(run)
    results = read_results(folders, SUCCESS, rng)
    policies = PolicyBook(run.settings.politeness, run.settings.downloader_parameters, load_profiled_rates(run.layout))
    learned = Learned(load_server_states(run.layout), policies.budget_key, results.words, results.moved)
    lines = server_lines(_rows_by_server(run.layout), settled, SUCCESS, learned)
    kinds: Counter[str] = Counter()
    for of_server in settled.values():
        kinds.update(of_server)
    images = kinds.pop(SUCCESS, 0)
    doi = (load_summary(run.layout) or {}).get("citation", {}).get("download_doi")
    files = [folder / SUCCESSES for folder, counts in folders.items() if counts[SUCCESS]]
    return {
        **_about(run, now_unix_s),
        "totals": _totals(run, images, kinds, files),
        "kinds": _kinds({*kinds, *(kind for line in lines for kind in line.errors)}),
        "errors": _largest_first(kinds),
        "rejected": _largest_first(run.partition.rejected_by_reason),
        "servers": [_server(line) for line in lines],
        "time": {"start_s": results.start_s, "step_s": results.step_s, "rows": results.over_time},
        "images_read": _share(results.images),
        "errors_read": _share(results.errors),
        "shares": _shares(results),
        "missing": [_plain(each) for each in missing_rows(run.layout, lines, run.batches)],
        "cite": citations(run.settings, run.partition.dataset, results.counts.get("datasetKey", []), doi),
        "pictures": [_plain(each) for each in contact_sheet(files, which, rng)],
        "pictures_shown": which.value,
        "commands": _commands(run, kinds, run.partition.accepted_rows - images - kinds.total()),
    }


def _load(out: Path) -> _Run:
    settings = Settings.load(out / "settings.json").model_copy(update={"path_to_output": out})
    layout = RunLayout.of(settings)
    if not layout.batches_table.is_file():
        raise UserError(f"{out} holds no partitioned list yet, so there is nothing to report")
    return _Run(settings, layout, load_partition_summary(layout), load_batches(layout))


def _settled(run: _Run) -> tuple[dict[str, Counter[str]], dict[Path, Counter[str]]]:
    """Settled rows by server and kind; and the folders of finished batches, each with its rows by kind."""
    settled: dict[str, Counter[str]] = {}
    folders: dict[Path, Counter[str]] = {}
    retry = load_retry_order(run.layout)
    for batch in run.batches:
        status = scan(run.layout, [batch], retry)
        for server, kinds in status.settled.items():
            settled.setdefault(server, Counter()).update(kinds)
        if not status.work:
            folders[run.layout.batch_folder(batch.server_name, batch.partition_id)] = status.by_kind
    return settled, folders


def _rows_by_server(layout: RunLayout) -> dict[str, int]:
    table = read_small_table(layout.servers_table, ["server_name", "rows"])
    return dict(zip(table["server_name"].to_pylist(), table["rows"].to_pylist(), strict=True))


def _about(run: _Run, now_unix_s: float) -> dict[str, Any]:
    report = read_report(run.layout.progress_file) or {}
    return {
        "version": __version__,
        "name": run.layout.root.resolve().name,
        "input": run.settings.path_to_input,
        "dataset": run.partition.dataset or run.settings.dataset.name,
        "read_as": list(run.partition.read_as),
        "contact": run.settings.politeness.contact or "",
        "state": report.get("state", "stopped"),
        "waiting": {wait["server"]: wait for wait in report.get("waiting", [])},
        "made_at": datetime.fromtimestamp(now_unix_s, timezone.utc).isoformat(timespec="minutes"),
    }


def _totals(run: _Run, images: int, kinds: Counter[str], files: Sequence[Path]) -> dict[str, Any]:
    partition, summary = run.partition, load_summary(run.layout) or {}
    download = summary.get("download", {})
    return {
        "input": partition.input_rows,
        "rejected": partition.input_rows - partition.accepted_rows,
        "images": images,
        "errors": kinds.total(),
        "left": partition.accepted_rows - images - kinds.total(),
        "servers": partition.servers,
        "stored_bytes": sum(path.stat().st_size for path in files if path.exists()),
        "received_bytes": download.get("bytes", 0),
        "seconds": download.get("seconds", 0.0),
        "images_per_s": download.get("images_per_s", 0.0),
        "checksums": summary.get("checksums", {}),
        "robots_disallowed": sum(summary.get("robots_disallowed", {}).values()),
        "base": base_sentence(summary["base"]) if summary.get("base") else "",
    }


def _kinds(kinds: set[str]) -> dict[str, Any]:
    return {
        kind: {"words": meaning(kind).words, "todo": meaning(kind).todo, "may_pass": may_pass(kind)}
        for kind in sorted(kinds)
    }


def _server(line: ServerLine) -> list[Any]:
    """A line as compact JSON; `page.js` has the names of its fields."""
    words = [[each.kind, each.status, each.rows, one_line(each.text), each.url] for each in line.words]
    rate = None if line.rate_rps is None else round(line.rate_rps, 3)
    return [
        line.server, line.rows, line.images, line.failed, line.left, rate, line.requests, line.refusals,
        line.condition, line.errors, one_line(line.said), words, line.advice,
    ]  # fmt: skip


def _shares(results: Results) -> list[dict[str, Any]]:
    """Lists of bars: formats, sizes, licences and publishers of the images that were read."""
    counts = results.counts
    licenses: Counter[str] = Counter()
    for text, rows in counts.get("license", []):
        licenses[(license_name(text) or one_line(text, 60)) if text else "none in the list"] += rows
    sizes = sorted((int(side or 0), rows) for side, rows in counts.get("longer_side", []))
    return [
        _bars("Formats received", counts.get("original_format", []), "not recorded"),
        _bars("Longer side, pixels", [(f"{side:,} to {2 * side - 1:,}", rows) for side, rows in sizes], ""),
        _bars("Licences", _largest_first(licenses), ""),
        _bars("Publishers and sources", counts.get("source", []), "none in the list"),
    ]


def _bars(title: str, counts: Sequence[tuple[str, int]], unknown: str) -> dict[str, Any]:
    """The largest, and how many others there are, with how many images."""
    bars = [(one_line(text, 60) or unknown, rows) for text, rows in counts[:MOST_BARS]]
    others = [rows for _, rows in counts[MOST_BARS:]]
    return {"title": title, "bars": bars, "more": (len(others), sum(others))}


def _share(share: Share) -> dict[str, Any]:
    return {**_plain(share), "is_whole": share.is_whole}


def _commands(run: _Run, kinds: Mapping[str, int], left: int) -> list[list[str]]:
    """What each command is for, and the command."""
    retry, out = _retry_command(run.layout), shown_place(run.layout.root)
    again = retry.removesuffix(f" {_RETRY}").removesuffix(" with")
    passing = sum(rows for kind, rows in kinds.items() if may_pass(kind))
    commands = [
        [f"Continue: {left:,} rows have no final answer", again] if left else [],
        [f"Retry the {passing:,} errors that may pass", retry] if passing else [],
        ["How the run is doing", f"python -m ray_downloader.status {shlex.quote(out)}"],
        ["Whom to credit, image by image",
         f"python -m ray_downloader.tools tool=attribution {shlex.quote(f'path_to_output={out}')}"],
        ["Write this report again", f"python -m ray_downloader.report {shlex.quote(out)}"],
    ]  # fmt: skip
    return [command for command in commands if command]


def _retry_command(layout: RunLayout) -> str:
    try:
        return shown_command(layout.command_file.read_text("utf-8").strip())
    except FileNotFoundError:
        return f"the same command with {_RETRY}"


def _largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
