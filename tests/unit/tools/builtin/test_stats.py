"""`stats` and `attribution`: what they count and whom they name, for our files and older ones."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.stored import OLDER_SCHEMA, StoredRun, received, row, rows_of, run_here


def test_stats_count_by_server_format_size_and_licence(run: StoredRun) -> None:
    run.add([row("p", received(5))], "pooled", schema=OLDER_SCHEMA)
    run_here(run.tool("stats"))
    counted = json.loads((run.layout.tools / "stats" / "stats.json").read_text())
    assert (counted["images"], counted["distinct_images"], counted["with_full_license"]) == (6, 4, 1)
    assert counted["by_server"] == {"a.example": 4, "b.example:8080": 2}, "of `pooled` the URL tells the server"
    assert counted["by_longer_side"] == {"16": 1, "64": 5}
    assert counted["by_license"] == {"(none)": 5, "CC BY 4.0": 1}
    assert counted["by_stored_format"] == {"jpeg": 5, "None": 1}
    assert "| b.example:8080 | 2 |" in (run.layout.tools / "stats" / "stats.md").read_text()


def test_older_files_without_formats_are_counted_too(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1), encode="raw")], schema=OLDER_SCHEMA)
    assert run_here(run.tool("stats"))["images"] == 1


def test_attribution_names_the_creator_from_the_list(run: StoredRun) -> None:
    run.layout.urls.mkdir(parents=True)
    listed = {"uuid": ["d"], "identifier": ["http://a.example/d.jpg"], "creator": ["Muir, John"]}
    pq.write_table(pa.table(listed), run.layout.urls / "rows-00000.parquet")
    summary = run_here(run.tool("attribution"))
    assert (summary["images"], summary["without_license"]) == (5, 4)
    folder = run.layout.tools / "attribution"
    (row_d,) = [one for one in rows_of(folder / "attribution.csv") if one["uuid"] == "d"]
    assert (row_d["creator"], row_d["source"], row_d["license"]) == ("Muir, John", "Museum", "CC BY 4.0")
    assert "| CC BY 4.0 | Muir, John | Museum | 1 |" in (folder / "ATTRIBUTION.md").read_text()


def test_attribution_needs_no_list(run: StoredRun) -> None:
    assert run_here(run.tool("attribution"))["images"] == 5
