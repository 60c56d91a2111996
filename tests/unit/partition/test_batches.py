"""The index of batches, read by planner and workers without DuckDB."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import DamagedFileError, RunFolderError, UserError
from ray_downloader.partition.batches import Batch, load_batches, load_server_names, read_batch
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import URL_SCHEMA
from tests.support.lists import partitioned
from tests.support.out_of_reach import no_more_files


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


def test_a_batch_out_of_reach_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("http://a.example/1.jpg\n")
    layout = partitioned(tmp_path / "urls.txt", tmp_path / "out").layout
    (batch,) = load_batches(layout)
    with no_more_files(), pytest.raises(RunFolderError, match="too many files are open") as failure:
        read_batch(layout, batch)
    assert not isinstance(failure.value, DamagedFileError)


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


def test_an_index_with_values_of_another_kind_is_damaged_too(layout: RunLayout) -> None:
    table = pq.read_table(layout.batches_table)
    rows = pa.array(["six"] * table.num_rows)
    pq.write_table(table.set_column(table.schema.get_field_index("rows"), "rows", rows), layout.batches_table)
    with pytest.raises(DamagedFileError, match=r"batches\.parquet is damaged") as damage:
        load_batches(layout)
    assert damage.value.path == str(layout.batches_table)


def test_rows_are_checked_against_the_checksums_of_their_pages(layout: RunLayout) -> None:
    path = layout.urls / "rows-00000.parquet"
    batch = Batch(0, "a.example", 0, path.name, 0, 2, 1)
    table = pa.table({"identifier": ["http://a.example/1.jpg", "http://a.example/2.jpg"]})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"e/2.jpg", b"e/3.jpg"))
    with pytest.raises(DamagedFileError, match=r"rows-00000\.parquet is damaged") as damage:
        read_batch(layout, batch)
    assert damage.value.path == str(path)
    path.write_bytes(sound[:-20])
    with pytest.raises(DamagedFileError, match="is damaged"):
        read_batch(layout, batch)
    at = sound.index(b"identifier", len(sound) - 8 - int.from_bytes(sound[-8:-4], "little"))
    path.write_bytes(sound[:at] + b"idemtifier" + sound[at + 10 :])
    with pytest.raises(DamagedFileError, match="contradicts itself about the columns"):
        read_batch(layout, batch)
    path.write_bytes(sound)
    with pytest.raises(DamagedFileError, match="is damaged"):
        read_batch(layout, replace(batch, row_group=1))
    with pytest.raises(DamagedFileError, match=r"part 0 has 2 rows, not 3"):
        read_batch(layout, replace(batch, rows=3))
    pq.write_table(table.append_column("server_name", pa.array(["b.example"] * 2)), path)
    with pytest.raises(DamagedFileError, match=r"part 0 has rows of b\.example"):
        read_batch(layout, batch)
    assert read_batch(layout, replace(batch, server_name="pooled")).num_rows == 2


def test_a_table_of_an_earlier_version_gets_the_columns_that_it_lacks(layout: RunLayout) -> None:
    path = layout.urls / "rows-00000.parquet"
    pq.write_table(pa.table({"identifier": ["http://a.example/1.jpg"], "country": ["NL"]}), path)
    rows = read_batch(layout, Batch(0, "a.example", 0, path.name, 0, 1, 1))
    assert rows.to_pylist() == [
        {**dict.fromkeys(URL_SCHEMA.names), "identifier": "http://a.example/1.jpg", "country": "NL"}
    ]
    assert all(rows.schema.field(column.name).type == column.type for column in URL_SCHEMA)


def test_every_server_of_the_run_is_known_by_its_name(tmp_path: Path) -> None:
    source = tmp_path / "urls.txt"
    source.write_text("http://b.example/1.jpg\nhttps://A.example:8443/2.jpg\nhttp://b.example/3.jpg\n")
    layout = partitioned(source, tmp_path / "out").layout
    assert sorted(load_server_names(layout)) == ["a.example:8443", "b.example"]
