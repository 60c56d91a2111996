"""Files that other processes and versions wrote have what their readers rely on, or are damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.monitor.run_report import read_report
from ray_downloader.monitor.summary import load_summary
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.shapes import read_progress, read_summary

ROWS = {"input": 3, "rejected": 0, "successes": 1, "errors": 1}
WAIT = {"server": "a.example", "rows": 7, "reason": "outage", "until": None}
PROGRESS = {
    "state": "running", "stage": "download", "host": "h", "pid": 7, "process_started_s": 1.5,
    "rows": {**ROWS, "left": 1}, "images_per_s": 1, "eta_s": None, "waiting": [WAIT], "errors_by_kind": {"dns": 1},
}  # fmt: skip
SERVER = {"successes": 1, "errors": 1, "errors_by_kind": {"dns": 1}}
SUMMARY = {
    "rows": ROWS, "unsettled_rows": 1, "errors_by_kind": {"dns": 1}, "servers": {"a.example": SERVER},
    "download": {"seconds": 1, "images_per_s": 0.5, "bytes": 7},
}  # fmt: skip


def with_value(document: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """The document with another value at a dotted place."""
    first, _, rest = place.partition(".")
    if not rest:
        return {**document, first: value}
    below = document[first]
    if isinstance(below, list):
        return {**document, first: [with_value(below[0], rest, value)]}
    return {**document, first: with_value(below, rest, value)}


@pytest.mark.parametrize("read", [read_progress, read_summary])
def test_more_than_is_needed_is_no_damage(read: Callable[[Path], dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "file"
    document = {**(PROGRESS if read is read_progress else SUMMARY), "of a later version": [1]}
    path.write_text(json.dumps(document))
    assert read(path) == document


def test_what_a_run_that_has_just_begun_does_not_know_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for read, least in ((read_progress, {"state": "running"}), (read_summary, {"rows": ROWS, "unsettled_rows": 0})):
        path.write_text(json.dumps(least))
        assert read(path) == least
        path.write_text("{}")
        with pytest.raises(ValueError, match="field required"):
            read(path)


@pytest.mark.parametrize("value", [None, "x", [], {"a": None}, [[1]], 10**30], ids=repr)
@pytest.mark.parametrize(
    "place", ["state", "rows", "rows.left", "rows.errors", "waiting", "waiting.rows", "errors_by_kind", "pid"]
)
def test_progress_of_another_form_is_none(place: str, value: Any, tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    layout.progress_file.parent.mkdir()
    layout.progress_file.write_text(json.dumps(with_value(PROGRESS, place, value)))
    fits = (place, value) in [("rows", None), ("waiting", []), ("state", "x"), *((p, 10**30) for p in NUMBERS)]
    assert (read_report(layout.progress_file) is not None) is fits
    if not fits:
        with pytest.raises(ValueError, match=place.partition(".")[0]):
            read_progress(layout.progress_file)


NUMBERS = ("rows.left", "rows.errors", "waiting.rows", "pid")


@pytest.mark.parametrize("value", ["x", [], {"a": None}, [[1]]], ids=repr)
@pytest.mark.parametrize(
    "place", ["rows", "rows.errors", "unsettled_rows", "errors_by_kind", "servers", "download", "download.seconds"]
)
def test_a_summary_of_another_form_is_none(place: str, value: Any, tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    layout.summary_file.write_text(json.dumps(with_value(SUMMARY, place, value)))
    assert load_summary(layout) is None
