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


def test_the_list_says_of_each_copy_where_it_is_and_where_the_one_that_stays_is(run: StoredRun) -> None:
    summary = run_here(run.tool("duplication_based"))
    assert summary == {"images": 5, "groups": 1, "duplicates": 2}
    first, second = rows_of(run.layout.tools / "duplication_based" / "filter_table" / "rows.csv")
    assert first == {
        "uuid": "a", "source_id": "id-a", "server_name": "a.example", "partition_id": "0", "row": "0",
        "uuid_main": "d", "source_id_main": "id-d", "server_name_main": "b.example:8080", "partition_id_main": "3",
        "row_main": "0", "hashsum_original": run.images()["a"]["hashsum_original"],
    }  # fmt: skip
    assert (second["uuid"], second["row"]) == ("c", "2")


def test_an_image_without_a_hash_is_no_copy_of_another_one(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row(name, received(1), hashsum_original=None) for name in "ab"])
    assert run_here(run.tool("duplication_based")) == {"images": 2, "groups": 0, "duplicates": 0}
