"""Writes `report.html`, and beside it `*_mqc.json`."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_downloader.errors import UserError
from ray_downloader.report.gather import gather
from ray_downloader.report.multiqc import error_bars, general_statistics, server_table
from ray_downloader.report.page import page
from ray_downloader.report.pictures import Pictures
from ray_downloader.run_folder.atomic import write_text

REPORT = "report.html"

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


def report_at_the_end(out: Path) -> None:
    """Write the report at the end of a run: its failure must not turn a finished run into a failed one."""
    started_s = time.monotonic()
    try:
        path = write_report(out)
    except UserError as error:
        _log.debug("no report: %s", error)  # the run ended before there was anything to report
    except Exception:  # whatever it is, the images are stored, and the command below writes it again
        _log.exception("no report was written; python -m ray_downloader.report %s writes it", out)
    else:
        _log.info("report: %s (%.1f s)", path, time.monotonic() - started_s)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
