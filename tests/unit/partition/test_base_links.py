"""The rows of a batch that earlier runs have."""

from __future__ import annotations

import errno
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import DamagedFileError, RunFolderError
from ray_downloader.partition.base_links import first_rows, links_of
from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.layout import RunLayout


def test_rows_of_batches_are_numbered_in_their_order() -> None:
    batches = [Batch(number, "a", number, "f", 0, rows, 1) for number, rows in enumerate((3, 5, 2))]
    assert first_rows(batches) == [0, 3, 8]
    assert first_rows([]) == []


def test_a_batch_has_the_links_within_its_rows_numbered_from_0(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    layout.urls.mkdir()
    table = pa.table({"number": [2, 3, 4, 7, 8], "file": [0, 1, 2, 3, 4], "row": [9, 8, 7, 6, 5]})
    pq.write_table(table, layout.base_table)
    assert links_of(layout, 3, 5).to_pylist() == [
        {"number": 0, "file": 1, "row": 8}, {"number": 1, "file": 2, "row": 7}, {"number": 4, "file": 3, "row": 6},
    ]  # fmt: skip


def test_a_table_of_links_that_is_damaged_or_missing_is_named(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    layout.urls.mkdir()
    for content in (None, b"damaged"):
        if content is not None:
            layout.base_table.write_bytes(content)
        with pytest.raises(DamagedFileError, match=r"base\.parquet is damaged") as raised:
            links_of(layout, 0, 1)
        assert str(raised.value).startswith(str(layout.base_table))


def test_a_table_of_links_that_is_out_of_reach_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = RunLayout(tmp_path, OutputStructure())

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(pq, "read_table", refused)
    with pytest.raises(RunFolderError) as raised:
        links_of(layout, 0, 1)
    assert not isinstance(raised.value, DamagedFileError)
    assert str(layout.base_table) in str(raised.value)
