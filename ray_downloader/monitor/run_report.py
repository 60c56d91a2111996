"""`logs/progress.json`: what a run is doing, maintained by the run itself and read by `status` from any machine.

The file is replaced as a whole, and a thread touches it while the process lives, so that a reader on another machine
can tell a run that was killed from one that is busy.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import psutil

from ray_downloader.monitor.waiting import iso_time
from ray_downloader.processes import may_be_alive, started_s
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.shapes import read_progress

State = Literal["running", "draining", "stopped", "finished", "killed"]

HEARTBEAT_S = 10.0
#: If a file was not touched for this long, its process is gone; clocks of machines differ by seconds.
SILENT_S = 60.0
NOTHING: Mapping[str, Any] = {
    "rows": {"input": 0, "rejected": 0, "successes": 0, "errors": 0, "left": 0},
    "images_per_s": 0.0,
    "received_mb_per_s": 0.0,
    "stored_mb_per_s": 0.0,
    "eta_s": None,
    "waiting": [],
    "slowest": [],
    "errors_by_kind": {},
}
#: What nothing happens any more means for the figures.
_STILL: Mapping[str, Any] = {
    key: NOTHING[key] for key in ("images_per_s", "received_mb_per_s", "stored_mb_per_s", "eta_s", "waiting", "slowest")
}


class RunReport:
    """Writes the file.

    Args:
        path: The file.
        before: Figures of the previous run in this folder.
    """

    def __init__(self, path: Path, before: Mapping[str, Any]) -> None:
        self._path = path
        process = psutil.Process()
        self._figures = {**NOTHING, **{key: before[key] for key in ("rows", "errors_by_kind") if key in before}}
        self._who = {
            "pid": process.pid,
            "process_started_s": started_s(process),
            "host": platform.node(),
            "started_at": iso_time(time.time()),
        }
        self._stage = ""

    def enter(self, stage: str) -> None:
        """Record that a stage of the pipeline begins."""
        self._stage = stage
        self.write("running")

    def keep(self, figures: Mapping[str, Any]) -> None:
        """Keep figures for the next time that the state is written."""
        self._figures |= figures

    def write(self, state: State, figures: Mapping[str, Any] | None = None) -> None:
        """Write the state, with new figures if there are any."""
        if figures is not None:
            self._figures = dict(figures)
        document = {
            "state": state,
            "stage": self._stage,
            **self._figures,
            **self._who,
            "updated_at": iso_time(time.time()),
        }
        write_text(self._path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    def end(self) -> None:
        """Record that nothing follows: finished if no row is left."""
        self._figures |= _STILL
        rows = self._figures["rows"]
        self.write("finished" if rows["input"] and not rows["left"] else "stopped")


@contextmanager
def reporting(path: Path) -> Iterator[RunReport]:
    """The report of a run, for as long as the block lasts, however it ends."""
    report = RunReport(path, read_report(path) or {})
    is_over = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, is_over), name="heartbeat", daemon=True)
    beat.start()
    try:
        yield report
    finally:
        is_over.set()
        beat.join()
        with suppress(OSError):  # on a full disk the reason for the end is worth more than this file
            report.end()


def _beat(path: Path, is_over: threading.Event) -> None:
    while not is_over.wait(HEARTBEAT_S):
        with suppress(OSError):
            os.utime(path)


def read_report(path: Path) -> dict[str, Any] | None:
    """The file's content, with the state that is true now; None if there is no usable file."""
    try:
        document = read_progress(path)
        touched_at_s = path.stat().st_mtime
        is_killed = document["state"] in {"running", "draining"} and not _is_alive(document, touched_at_s)
    except (OSError, ValueError):
        return None
    if is_killed:
        document |= {"state": "killed", **_STILL}
    return document


def _is_alive(document: Mapping[str, Any], touched_at_s: float) -> bool:
    """Whether the process that wrote it is alive: known at once on its own machine, by its heartbeat on any other."""
    if document.get("host") != platform.node():
        return time.time() - touched_at_s < SILENT_S
    return may_be_alive(document.get("pid"), document.get("process_started_s"))
