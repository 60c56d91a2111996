"""Rows become row groups: one a batch, whatever chunks they arrive in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.partition import rows
from ray_downloader.partition.batch_plan import PlannedBatch
from ray_downloader.partition.rows import cut, write_rows
from ray_downloader.run_folder.schemas import BATCH_SCHEMA, URL_SCHEMA


@given(st.lists(st.integers(0, 7), max_size=8), st.data())
def test_cutting_keeps_rows_and_their_order(arriving: list[int], data: st.DataObject) -> None:
    total = sum(arriving)
    cuts = sorted(data.draw(st.lists(st.integers(0, total), max_size=5)))
    sizes = [end - start for start, end in zip([0, *cuts], [*cuts, total], strict=True)]
    numbers = iter(range(total))
    tables = [pa.table({"n": pa.array([next(numbers) for _ in range(size)], pa.int64())}) for size in arriving]
    pieces = list(cut(tables, [size for size in sizes if size]))
    assert [piece.num_rows for piece in pieces] == [size for size in sizes if size]
    assert [n for piece in pieces for n in piece["n"].to_pylist()] == list(range(total))


def test_each_batch_is_a_row_group_and_files_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ROW_GROUPS_PER_FILE", 2)
    urls = [
        {"uuid": str(n), "identifier": f"http://a/{n}", "server_name": "a", "is_license_full": False} for n in range(10)
    ]
    chunks = pa.Table.from_pylist(urls, schema=URL_SCHEMA).to_batches(max_chunksize=3)
    index = write_rows(tmp_path, chunks, [PlannedBatch("a", n, size, 1) for n, size in enumerate([4, 4, 2])])
    assert index.schema == BATCH_SCHEMA
    assert index.select(["batch_id", "file", "row_group", "rows"]).to_pylist() == [
        {"batch_id": 0, "file": "rows-00000.parquet", "row_group": 0, "rows": 4},
        {"batch_id": 1, "file": "rows-00000.parquet", "row_group": 1, "rows": 4},
        {"batch_id": 2, "file": "rows-00001.parquet", "row_group": 0, "rows": 2},
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows-00000.parquet", "rows-00001.parquet"]


def test_a_batch_that_cannot_be_written_is_no_file_also_if_it_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = pq.ParquetWriter.write_table

    def failing(writer: pq.ParquetWriter, table: pa.Table, **options: Any) -> None:
        if table.num_rows == 2:
            raise OSError("no space is left")
        written(writer, table, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", failing)
    urls = [{"uuid": f"{n}", "identifier": "u", "server_name": "a", "is_license_full": False} for n in range(6)]
    chunks = pa.Table.from_pylist(urls, schema=URL_SCHEMA).to_batches()
    with pytest.raises(OSError, match="no space is left"):
        write_rows(tmp_path, chunks, [PlannedBatch("a", n, size, 1) for n, size in enumerate([4, 2])])
    assert not list(tmp_path.glob("rows-*"))
