"""The live view says how it goes, what is slow, and why each server waits, in terminals of any width."""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ray_downloader import progress
from ray_downloader.logs import log_to_file, start_logging
from ray_downloader.monitor.live import live_view, plain_line
from ray_downloader.progress import LiveView

NOW = 1_800_000_000.0
FIGURES: dict[str, Any] = {
    "rows": {"input": 2000, "rejected": 10, "successes": 900, "errors": 90, "left": 1000},
    "images_per_s": 45.25,
    "received_mb_per_s": 12.345,
    "stored_mb_per_s": 0.812,
    "eta_s": 3725,
    "errors_by_kind": {"http_4xx": 80, "dns": 10},
    "waiting": [{"server": "a.museum.org", "rows": 700, "reason": "retry_after", "until": "2027-01-15T09:00:00+00:00"}],
    "slowest": [
        {
            "server": "a.museum.org", "rows": 700, "rate_rps": 1.5, "eta_s": 3725, "reason": "retry_after",
            "until": "2027-01-15T09:00:00+00:00",
        },
        {"server": "b.museum.org", "rows": 300, "rate_rps": 3.0, "eta_s": 100, "reason": None, "until": None},
        {"server": "own.example", "rows": 3, "rate_rps": None, "eta_s": 0, "reason": None, "until": None},
    ],
}  # fmt: skip


def drawn(width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(live_view(FIGURES, "2 nodes, 8 tasks at once", "draining", width, NOW))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, drawn(width))) <= width


@pytest.mark.parametrize("width", [80, 200])
def test_everything_is_named(width: int) -> None:
    text = "\n".join(drawn(width))
    assert "45.2 images/s, 1:02:05 left" in [line.strip() for line in drawn(width)], "the bar has a line of its own"
    for part in (
        "990 of 1,990 rows  49 %", "45.2 images/s, 1:02:05 left", "12.35 MB/s received, 0.81 MB/s stored",
        "90 errors: http_4xx 80, dns 10", "2 nodes, 8 tasks at once", "draining", "a.museum.org",
        "asked us to wait, until",
    ):  # fmt: skip
        assert part in text


def test_a_narrow_terminal_still_shows_the_rows_the_time_and_the_servers() -> None:
    text = " ".join(line.strip() for line in drawn(20))
    for part in ("990 of 1,990 rows", "1:02:05 left", "errors:", "700"):
        assert part in text


def test_one_plain_line_has_it_all_and_who_waits() -> None:
    assert plain_line(FIGURES, "") == (
        "download: 990 of 1990 rows (49 %), 45.2 images/s, 1:02:05 left, 12.35 MB/s received, 0.81 MB/s stored, "
        "90 errors: http_4xx 80, dns 10, waits: a.museum.org (retry_after until 2027-01-15T09:00:00+00:00)"
    )


def test_where_no_terminal_is_a_line_comes_now_and_then_also_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    start_logging(tmp_path, "INFO", Console(file=log), "json")
    monkeypatch.setattr(progress, "LOG_INTERVAL_S", 0.0)
    with LiveView(Console(file=log), "1 nodes") as view:
        view.show(FIGURES)
    line = json.loads(log.getvalue())
    assert line["message"].startswith("download: 990 of 1990 rows")
    assert line["figures"]["eta_s"] == 3725
    assert json.loads((tmp_path / "driver.log").read_text("utf-8"))["level"] == "INFO"


def test_every_process_has_a_file_that_is_rotated(tmp_path: Path) -> None:
    for _ in range(2):
        log_to_file(tmp_path, "worker", "DEBUG")
    logger = logging.getLogger("ray_downloader.worker.test")
    logger.debug("one image")
    (path,) = tmp_path.glob("worker-*.log")
    assert path.read_text("utf-8").count("one image") == 1
    (handler,) = logging.getLogger("ray_downloader").handlers
    assert isinstance(handler, logging.handlers.RotatingFileHandler)
    assert handler.maxBytes > 0 and handler.backupCount > 0


def test_a_notebook_without_widgets_gets_one_output_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, html: str) -> None:
            shown.append(html)

    class Display:
        HTML = str

        @staticmethod
        def display(html: str, display_id: bool) -> Handle:
            assert display_id
            shown.append(html)
            return Handle()

    monkeypatch.setitem(sys.modules, "IPython", Display)
    monkeypatch.setitem(sys.modules, "IPython.display", Display)
    console = Console(file=io.StringIO(), force_jupyter=True)
    with LiveView(console, "1 nodes") as view:
        view.show(FIGURES)
        view.show(FIGURES)
    assert len(shown) == 2
    assert all("990 of 1,990 rows" in html for html in shown)
