"""Rows that a tool lists, and no others, are gone from the batches that `apply` publishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import UserError
from ray_downloader.run_folder.schemas import SERVER_NAME, SUCCESS_SCHEMA
from ray_downloader.tools.base import Tool, Unit
from ray_downloader.tools.dropping import ROW_COLUMNS, DroppingTool
from ray_downloader.tools.engine import do_unit
from ray_downloader.tools.publish import apply
from ray_downloader.tools.rows import write_rows
from tests.support.stored import StoredRun, received, row, run_here, stage_here

#: Rows are read by 256.
LONG = 600


class Listing(DroppingTool):
    """Lists the rows that it is told, by server, partition, number and uuid."""

    rows: list[tuple[str, int, int, str]] = []  # noqa: RUF012 (set by each test)

    def name_rows(self) -> Mapping[str, Any]:
        lines = [(uuid, f"id-{uuid}", server, partition, number) for server, partition, number, uuid in self.rows]
        return {"listed": write_rows(self.rows_file, ROW_COLUMNS, lines)}


@pytest.fixture
def long_run(tmp_path: Path) -> StoredRun:
    """A batch of 600 rows with one picture, and two short ones."""
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    run.add([{**one, "uuid": f"u{number}"} for number in range(LONG)])
    run.add([{**one, "uuid": "b"}, {**one, "uuid": "same"}, {**one, "uuid": "same"}], "b.example:8080", 3)
    run.add([{**one, "uuid": "c"}], "c.example")
    return run


def listing(run: StoredRun, *rows: tuple[str, int, int, str]) -> Listing:
    tool = Listing(run.tool("stats").context)
    tool.rows = list(rows)
    return tool


def staged(tool: Listing) -> dict[str, list[str]]:
    """Uuids of the batches that `apply` would publish, by folder."""
    images = tool.context.folder / "images"
    files = sorted(images.rglob("successes.parquet"))
    return {str(file.parent.relative_to(images)): pq.ParquetFile(file).read()["uuid"].to_pylist() for file in files}


def test_the_summary_is_what_was_counted_and_what_was_listed(long_run: StoredRun) -> None:
    tool = listing(long_run, ("c.example", 0, 0, "c"))
    assert tool.finish({"images": 7}) == {"images": 7, "listed": 1}
    assert tool.rows_file == long_run.layout.tools / "stats" / "filter_table" / "rows.csv"
    assert tool.rows_file.read_text("utf-8").split()[0] == "uuid,source_id,server_name,partition_id,row"


def test_rows_past_the_first_chunk_are_dropped_by_their_number(long_run: StoredRun) -> None:
    dropped = [0, 255, 256, 511, 512, 599]
    tool = listing(long_run, *[("a.example", 0, number, f"u{number}") for number in reversed(dropped)])
    run_here(tool)
    stage_here(tool)
    kept = [f"u{number}" for number in range(LONG) if number not in dropped]
    assert staged(tool) == {"server_name=a.example/partition_id=0": kept}


def test_of_rows_with_one_uuid_only_the_listed_one_goes(long_run: StoredRun) -> None:
    tool = listing(long_run, ("b.example:8080", 3, 2, "same"))
    run_here(tool)
    stage_here(tool)
    assert staged(tool) == {"server_name=b.example%3A8080/partition_id=3": ["b", "same"]}


def test_batches_that_were_staged_for_another_list_are_not_published(long_run: StoredRun) -> None:
    first = listing(long_run, ("a.example", 0, 0, "u0"), ("b.example:8080", 3, 0, "b"))
    run_here(first)
    stage_here(first)
    assert len(staged(first)) == 2
    second = listing(long_run, ("b.example:8080", 3, 1, "same"))
    run_here(second)
    stage_here(second)
    assert staged(second) == {"server_name=b.example%3A8080/partition_id=3": ["b", "same"]}
    assert apply(second.context.folder, long_run.layout.images) == 1
    assert "u0" in long_run.images()


def test_a_batch_that_is_staged_for_the_same_rows_is_not_written_again(long_run: StoredRun) -> None:
    tool = listing(long_run, ("b.example:8080", 3, 0, "b"))
    run_here(tool)
    (unit,) = tool.staged().units
    assert unit.counts() is None
    assert do_unit(tool.staged().function, unit) == {"rows_left_out": 1}
    (again,) = tool.staged().units
    assert again.counts() == {"rows_left_out": 1}
    other = listing(long_run, ("b.example:8080", 3, 1, "same"))
    run_here(other)
    (unit,) = other.staged().units
    assert unit.counts() is None, "other rows"


def test_units_are_in_the_order_of_their_batches(long_run: StoredRun) -> None:
    tool = listing(long_run, ("c.example", 0, 0, "c"), ("a.example", 0, 0, "u0"), ("b.example:8080", 3, 0, "b"))
    run_here(tool)
    units: list[Unit] = list(tool.staged().units)
    assert [unit.batches[0].server_name for unit in units] == ["a.example", "b.example:8080", "c.example"]


def test_a_batch_of_which_all_rows_go_is_empty_and_not_absent(long_run: StoredRun) -> None:
    tool = listing(long_run, ("c.example", 0, 0, "c"))
    run_here(tool)
    stage_here(tool)
    assert staged(tool) == {"server_name=c.example/partition_id=0": []}


def test_a_row_that_is_not_the_listed_one_any_more_is_not_dropped(long_run: StoredRun) -> None:
    tool = listing(long_run, ("a.example", 0, 3, "u4"))
    run_here(tool)
    with pytest.raises(UserError, match=r"changed after its rows were listed; run the tool again"):
        stage_here(tool)
    assert staged(tool) == {}


def test_a_list_without_rows_stages_nothing(long_run: StoredRun) -> None:
    tool = listing(long_run)
    run_here(tool)
    stage_here(tool)
    assert staged(tool) == {}


def _small(run: StoredRun) -> Tool:
    return run.tool("size_based", threshold_size=50)


def _repeated(run: StoredRun) -> Tool:
    return run.tool("duplication_based")


def _alike(run: StoredRun) -> Tool:
    return run.tool("near_duplicates", max_distance=0)


def _broken(run: StoredRun) -> Tool:
    return run.tool("image_verification")


@pytest.mark.parametrize("make", [_small, _repeated, _alike, _broken])
def test_rows_of_servers_that_share_a_folder_are_dropped_like_others(
    tmp_path: Path, make: Callable[[StoredRun], Tool]
) -> None:
    run = StoredRun(tmp_path / "out")
    bad = {"height": 40, "width": 40} if make is _small else {}
    dropped = row("dropped", received(1, **bad), identifier="http://a.example/zzz.jpg")
    if make is _broken:
        dropped["image"] = b"no picture"
    run.add([row("a", received(1)), row("b", received(2))], "a.example")
    pooled = pa.schema([*SUCCESS_SCHEMA, SERVER_NAME])
    rows = [row("c", received(3)), dropped]
    run.add([{**one, "server_name": "a.example"} for one in rows], "pooled", schema=pooled)
    tool = make(run)
    run_here(tool)
    stage_here(tool)
    images = tool.context.folder / "images"
    kept = {
        str(path.parent.relative_to(images)): pq.ParquetFile(path).read()["uuid"].to_pylist()
        for path in images.rglob("successes.parquet")
    }
    assert kept == {"server_name=pooled/partition_id=0": ["c"]}
