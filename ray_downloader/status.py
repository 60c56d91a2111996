"""`python -m ray_downloader.status OUT [--watch] [--json] [--server NAME]`: how a run is doing, from its files alone.

No Ray and no port: it works on any machine that sees the folder, during the run and after it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from ray_downloader.config.options import OneSentenceParser
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.monitor.reused import base_sentence
from ray_downloader.monitor.run_report import NOTHING, read_report
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.shapes import read_summary
from ray_downloader.run_folder.stored_structure import stored_structure
from ray_downloader.stores.reading import find_run, small_files

WATCH_INTERVAL_S = 2.0
#: How many waiting servers are printed; `--json` has more.
SHOWN_WAITING = 10
SHOWN_SLOWEST = 5
#: What `--json` prints; `logs/progress.json` has more.
_CONTRACT = ("state", "rows", "images_per_s", "eta_s", "waiting", "errors_by_kind")
_OVER = frozenset({"stopped", "finished", "killed"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how the run is doing; returns the exit code."""
    parser = OneSentenceParser(
        prog="python -m ray_downloader.status", description="How a run is doing, from its files alone."
    )
    parser.add_argument("out", help="run folder or URL (path_to_output)")
    parser.add_argument("--watch", action="store_true", help="print it again every 2 s until the run ends")
    parser.add_argument("--json", action="store_true", help="one JSON object (with --watch: one per line)")
    parser.add_argument("--server", metavar="NAME", help="show one server of the run instead")
    given = parser.parse_args(arguments)
    try:
        _print_until_over(given)
    except UserError as error:
        print(f"ray_downloader.status: {error}", file=sys.stderr)  # noqa: T201
        return ExitCode.USAGE
    except KeyboardInterrupt:
        pass
    return ExitCode.SETTLED


def _print_until_over(given: argparse.Namespace) -> None:
    run = find_run(given.out)
    if run.is_copy and given.server is not None:
        raise UserError(f"--server reads batches, which are in {run.place}: use it where the run works")
    while True:
        run.refresh(small_files)
        layout = layout_of(run.folder)
        status = status_of(layout)
        if given.server is not None:
            from ray_downloader.monitor.server_status import server_status, server_text  # noqa: PLC0415 (reads batches)

            found = server_status(layout, given.server, status["waiting"])
            _print(json.dumps(found) if given.json else server_text(found))
        else:
            _print(json.dumps({key: status[key] for key in _CONTRACT}) if given.json else text_of(status))
        if not given.watch or status["state"] in _OVER:
            return
        time.sleep(WATCH_INTERVAL_S)


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def layout_of(out: Path) -> RunLayout:
    """The layout of a run folder, in which names of files may have been configured.

    Raises:
        UserError: It is not a run folder.
    """
    path = out / "settings.json"
    try:
        return RunLayout(out, stored_structure(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; a run writes it into its folder, so name that folder") from None
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is not a settings file: {error}") from None


def status_of(layout: RunLayout) -> dict[str, Any]:
    """How the run is doing; a folder in which no list was partitioned only has its state."""
    found = read_report(layout.progress_file) or _from_summary(layout) or _from_results(layout)
    return {**NOTHING, "state": "stopped", "stage": "", **found}


def _from_summary(layout: RunLayout) -> dict[str, Any]:
    """The status of a run of an earlier version, from the files that it left."""
    try:
        summary = read_summary(layout.summary_file)
        rows = {**summary["rows"], "left": summary["unsettled_rows"]}
        state = "stopped" if rows["left"] else "finished"
        return {"state": state, "rows": rows, "errors_by_kind": summary.get("errors_by_kind", {})}
    except (OSError, ValueError):
        return {}


def _from_results(layout: RunLayout) -> dict[str, Any]:
    """The status counted from the results themselves, of a run whose files that sum them up are lost."""
    if not layout.batches_table.exists():
        return {}
    from ray_downloader.monitor.summary import counted  # noqa: PLC0415 (reads batches)

    figures = counted(layout)
    return {"state": "stopped" if figures["rows"]["left"] else "finished", **figures}


def text_of(status: dict[str, Any]) -> str:
    """The status in words."""
    rows = status["rows"]
    stage = f" ({status['stage']})" if status["state"] in {"running", "draining"} and status["stage"] else ""
    lines = [
        f"state    {status['state']}{stage}, {status.get('updated_at', 'no progress was recorded here')}",
        f"rows     {rows['input']}: {rows['successes']} images, {rows['errors']} errors, {rows['rejected']} rejected, "
        f"{rows['left']} left",
    ]
    if status["state"] not in _OVER:
        eta = f", about {timedelta(seconds=status['eta_s'])} to go" if status["eta_s"] is not None else ""
        lines.append(f"speed    {status['images_per_s']:.1f} images/s in the last minute{eta}")
        lines.append(
            f"traffic  {status['received_mb_per_s']:.2f} MB/s received, {status['stored_mb_per_s']:.2f} MB/s stored"
        )
    if status.get("base"):
        lines.append(f"base     {base_sentence(status['base'])}")
    if status["errors_by_kind"]:
        kinds = sorted(status["errors_by_kind"].items(), key=lambda item: -item[1])
        lines.append("errors   " + ", ".join(f"{kind} {count}" for kind, count in kinds))
    waits = {wait["server"] for wait in status["waiting"][:SHOWN_WAITING]}
    slowest = [entry for entry in status["slowest"] if entry["server"] not in waits]
    lines += [
        f"slow     {entry['server']}: {entry['rows']} rows, about {timedelta(seconds=entry['eta_s'])}"
        for entry in slowest[:SHOWN_SLOWEST]
    ]
    waiting = status["waiting"]
    lines += [f"waits    {_wait_text(wait)}" for wait in waiting[:SHOWN_WAITING]]
    if len(waiting) > SHOWN_WAITING:
        lines.append(f"waits    {len(waiting) - SHOWN_WAITING} more servers (--json lists them)")
    return "\n".join(lines)


def _wait_text(wait: dict[str, Any]) -> str:
    until = f" until {wait['until']}" if wait["until"] else ""
    said = f' (it said: "{wait["said"]}")' if wait.get("said") else ""
    return f"{wait['server']}: {wait['reason']}{until}, {wait['rows']} rows{said}"


if __name__ == "__main__":
    sys.exit(main())
