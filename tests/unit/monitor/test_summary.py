"""`summary.json` and the tables at the end of a run."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from ray_downloader.monitor import summary as summary_module
from ray_downloader.monitor.summary import StageFigures, show_summary, summarise
from ray_downloader.output.batch_folder import SUCCESS, BatchCounts
from ray_downloader.partition import PartitionSummary
from ray_downloader.schedule.run_status import RunStatus

PARTITION = PartitionSummary(input_rows=20, accepted_rows=17, rejected_by_reason={"bad_url": 3}, servers=2, batches=2)
STAGE = StageFigures(seconds=4.0, images=10, size_bytes=12_345, disallowed=Counter({"a.example": 2}))


def status() -> RunStatus:
    book = RunStatus()
    book.add(BatchCounts({"a.example": {SUCCESS: 10, "http_4xx": 2}}))
    book.add(BatchCounts({"a.example": {SUCCESS: 1}, "b.example": {"dns": 3}}))
    return book


def test_the_sums_of_a_stopped_run_add_up() -> None:
    document = summarise(PARTITION, status(), STAGE)
    assert document["rows"] == {"input": 20, "rejected": 3, "successes": 11, "errors": 5}
    assert document["unsettled_rows"] == 1
    assert document["errors_by_kind"] == {"dns": 3, "http_4xx": 2}
    assert document["download"] == {"seconds": 4.0, "images_per_s": 2.5, "bytes": 12_345}
    assert document["servers"]["a.example"] == {"successes": 11, "errors": 2, "errors_by_kind": {"http_4xx": 2}}


def test_a_run_that_had_nothing_to_do_has_no_speed() -> None:
    document = summarise(PARTITION, status(), StageFigures(0.0, 0, 0, {}))
    assert document["download"]["images_per_s"] == 0.0


def test_a_repeated_command_with_nothing_to_do_keeps_the_figures_of_the_download() -> None:
    before = summarise(PARTITION, status(), STAGE)
    after = summarise(PARTITION, status(), StageFigures(0.0, 0, 0, {}), before)
    assert after == before
    assert summarise(PARTITION, status(), StageFigures(1.0, 1, 1, {}))["download"] != before["download"]


def test_small_servers_of_a_huge_list_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary_module, "MOST_SERVERS", 1)
    servers = summarise(PARTITION, status(), STAGE)["servers"]
    assert list(servers) == ["a.example", "(others)"]
    assert servers["(others)"]["errors"] == 3


def test_the_tables_name_servers_kinds_and_what_robots_would_exclude() -> None:
    text = io.StringIO()
    show_summary(summarise(PARTITION, status(), STAGE), Console(file=text, width=120), "again " + 30 * "'[key=a]' ")
    assert 30 * "'[key=a]' " in text.getvalue(), "a command is neither wrapped nor taken for markup"
    for part in (
        "3 of the errors may pass (dns 3)",
        "a.example",
        "http_4xx 2",
        "bad_url",
        "1 not settled yet",
        "robots.txt would exclude 2 rows",
    ):
        assert part in text.getvalue()


def test_what_renditions_saved_is_in_the_summary_and_kept() -> None:
    figures = {"images": 2, "bytes": 10, "bytes_saved": 90, "images_compared": 2}
    first = summarise(PARTITION, status(), replace(STAGE, renditions=figures))
    assert first["renditions"] == figures
    assert summarise(PARTITION, status(), StageFigures(0.0, 0, 0, {}), first)["renditions"] == figures
    assert "renditions" not in summarise(PARTITION, status(), STAGE)
    console = Console(record=True, width=200, file=io.StringIO())
    show_summary(first, console, "again")
    assert "renditions: 2 images in a smaller version" in console.export_text()
