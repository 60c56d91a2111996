"""The index of batches, read by planner and workers without DuckDB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import UserError
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
