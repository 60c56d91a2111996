"""A filter lists what is to be done."""

from __future__ import annotations

from ray_downloader.tools import FilterRegister, PythonFilterToolBase, SqlFilterToolBase
from tests.support.stored import StoredRun, rows_of
from tests.unit.tools.legacy.steps import config


def test_a_filter_can_be_one_query(run: StoredRun) -> None:
    @FilterRegister("licensed")
    class Licensed(SqlFilterToolBase):
        query = "SELECT uuid, server_name, partition_id FROM images WHERE is_license_full"

    Licensed(config(run)).run()
    assert [one["uuid"] for one in rows_of(run.layout.tools / "licensed" / "filter_table" / "table.csv")] == ["d"]


def test_without_a_query_of_its_own_every_row_is_listed(run: StoredRun) -> None:
    @FilterRegister("all")
    class All(SqlFilterToolBase): ...

    step = All(config(run))
    step.run()
    assert step.filter_table_folder == run.layout.tools / "all" / "filter_table"
    rows = rows_of(step.filter_table_folder / "table.csv")
    assert sorted(one["uuid"] for one in rows) == list("abcde")
    assert list(rows[0]) == ["uuid", "source_id", "server_name", "partition_id"]


def test_only_finished_batches_are_listed(run: StoredRun) -> None:
    @FilterRegister("batches")
    class Batches(PythonFilterToolBase): ...

    (run.layout.batch_folder("a.example", 0) / "_completed").unlink()
    step = Batches(config(run))
    step.run()
    (batch,) = step.finished_batches()
    assert (batch.server_name, batch.partition_id) == ("b.example:8080", 3)
    assert rows_of(step.filter_table_folder / "table.csv") == [{"server_name": "b.example:8080", "partition_id": "3"}]
