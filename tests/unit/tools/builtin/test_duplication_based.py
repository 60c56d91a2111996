"""Duplicates point to one image of their group, always the same."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.stored import StoredRun, received, row, rows_of, run_here, stage_here


def test_every_copy_points_to_the_one_that_stays(run: StoredRun) -> None:
    summary = run_here(run.tool("duplication_based"))
    rows = rows_of(run.layout.tools / "duplication_based" / "filter_table" / "rows.csv")
    assert [(one["uuid"], one["uuid_main"], one["server_name_main"]) for one in rows] == [
        ("a", "d", "b.example:8080"),
        ("c", "d", "b.example:8080"),
    ], "the image with full licence information stays"
    assert (summary["images"], summary["groups"], summary["duplicates"]) == (5, 1, 2)


def test_without_licences_the_first_uuid_stays_in_whatever_order_they_lie(tmp_path: Path) -> None:
    rows = [row(name, received(1)) for name in "cabd"]
    for attempt in range(3):
        random.Random(attempt).shuffle(rows)
        run = StoredRun(tmp_path / str(attempt))
        run.add(rows)
        run_here(run.tool("duplication_based"))
        found = rows_of(run.layout.tools / "duplication_based" / "filter_table" / "rows.csv")
        assert {(one["uuid"], one["uuid_main"]) for one in found} == {("b", "a"), ("c", "a"), ("d", "a")}


def test_of_equal_rows_with_one_uuid_exactly_one_stays(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    path = run.add([row("a", received(1)), row("a", received(1)), row("b", received(2))])
    tool = run.tool("duplication_based")
    run_here(tool)
    stage_here(tool)
    staged = run.layout.tools / "duplication_based" / "images" / path.parent.relative_to(run.layout.images)
    kept = StoredRun(tmp_path / "kept")
    kept.layout.images.mkdir(parents=True)
    (staged / "successes.parquet").rename(kept.layout.images / "successes.parquet")
    assert sorted(kept.images()) == ["a", "b"]
