"""The index of batches, read by planner and workers without DuckDB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import DamagedFileError, UserError
from ray_downloader.partition.batches import Batch, load_batches, read_batch
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import URL_SCHEMA
from tests.support.lists import partitioned


def test_a_batch_is_read_back_with_its_rows(tmp_path: Path) -> None:
    source = tmp_path / "urls.txt"
    source.write_text("".join(f"http://a.example/{n}.jpg\n" for n in range(12)))
    layout = partitioned(source, tmp_path / "out", batch_size=6).layout
    first, second = load_batches(layout)
    assert first == Batch(0, "a.example", 0, "rows-00000.parquet", 0, 6, 1)
    assert second == Batch(1, "a.example", 1, "rows-00000.parquet", 1, 6, 1)
    assert read_batch(layout, second).schema == URL_SCHEMA
    assert read_batch(layout, second)["identifier"].to_pylist() == [
        f"http://a.example/{n}.jpg" for n in (4, 5, 6, 7, 8, 9)
    ]


def test_a_folder_without_partition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run the partition stage first"):
        load_batches(RunLayout(tmp_path, OutputStructure()))


def test_a_worker_that_reads_batches_does_not_load_duckdb() -> None:
    code = "import ray_downloader.partition.batches, sys; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    source = tmp_path / "urls.txt"
    source.write_text("".join(f"http://a.example/{n}.jpg\n" for n in range(12)))
    return partitioned(source, tmp_path / "out", batch_size=6).layout


def test_an_index_that_is_damaged_is_named(layout: RunLayout) -> None:
    layout.batches_table.write_bytes(layout.batches_table.read_bytes()[:-9])
    with pytest.raises(DamagedFileError, match=r"batches\.parquet is damaged") as damage:
        load_batches(layout)
    assert damage.value.path == str(layout.batches_table)


def test_rows_are_checked_against_the_checksums_of_their_pages(layout: RunLayout) -> None:
    first, second = load_batches(layout)
    path = layout.urls / first.file
    sound = path.read_bytes()
    with pq.ParquetFile(path) as file:
        column = file.metadata.row_group(0).column(file.schema_arrow.names.index("identifier"))
    for place in range(column.dictionary_page_offset or column.data_page_offset, column.data_page_offset + 40):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        try:
            assert read_batch(layout, first)["identifier"].to_pylist() != []
        except DamagedFileError:
            break
    else:
        pytest.fail("no damage was noticed")
    with pytest.raises(DamagedFileError, match="is damaged"):
        path.write_bytes(sound[:-20])
        read_batch(layout, second)
