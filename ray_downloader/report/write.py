"""Writes `report.html`, and beside it `*_mqc.json`."""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ray_downloader.errors import UserError
from ray_downloader.output.time_left import may_read_all
from ray_downloader.report.gather import gather
from ray_downloader.report.multiqc import error_bars, general_statistics, server_table
from ray_downloader.report.page import page
from ray_downloader.report.pictures import Pictures
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.work_folder import shown_place
from ray_downloader.signals import ignoring_signals

REPORT = "report.html"
#: What DuckDB makes of the exception that a signal's handler raises while a query runs.
_INTERRUPTED = "Query interrupted"

_log = logging.getLogger(__name__)


def write_report(out: Path, which: Pictures = Pictures.OPEN) -> Path:
    """Write the report of a run folder.

    Args:
        out: The run folder.
        which: Which images the contact sheet may show.

    Returns:
        The path of the page.

    Raises:
        UserError: It is not a run folder, or its list has not been partitioned.
    """
    document = gather(out, which, time.time())
    path = out / REPORT
    write_text(path, page(document))
    for name, content in (
        ("report_mqc.json", general_statistics(document)),
        ("report_servers_mqc.json", server_table(document)),
        ("report_outcomes_mqc.json", error_bars(document)),
    ):
        _write_json(out / name, content)
    return path


def report_at_the_end(layout: RunLayout, *, is_stopped: bool) -> None:
    """Write the report at the end of a run: its failure must not turn a finished run into a failed one.

    Args:
        layout: The run folder.
        is_stopped: The run was stopped, perhaps by a time limit that leaves it a minute; reading a very long run takes
            longer, so it is left to the command.

    Raises:
        KeyboardInterrupt: A signal came meanwhile, and the run had not been stopped by one before.
    """
    command = f"python -m ray_downloader.report {shlex.quote(shown_place(layout.root))}"
    started_s = time.monotonic()
    try:
        if not may_read_all(layout, is_stopped=is_stopped):
            _log.info("%s writes the report", command)
            return
        with ignoring_signals() if is_stopped else nullcontext():  # a Slurm job repeats the signal that stopped it
            path = write_report(layout.root)
    except UserError as error:
        _log.debug("no report: %s", error)  # the run ended before there was anything to report
    except OSError as error:
        _log.warning("no report was written (%s); %s writes it", error, command)
    except Exception as error:  # whatever it is, the images are stored
        if str(error) == _INTERRUPTED:
            raise KeyboardInterrupt from None
        _log.exception("no report was written; %s writes it", command)
    else:
        place = f"{shown_place(layout.root)}/{path.name}"
        _log.info("report: %s (%.1f s)", place, time.monotonic() - started_s)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
