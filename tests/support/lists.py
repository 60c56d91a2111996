"""Runs the partition stage on small lists, and finds the collection of real ones where it lies beside the checkout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.partition import PartitionSummary, partition
from ray_downloader.partition.batches import load_batches, read_batch
from ray_downloader.run_folder.layout import RunLayout

_COLLECTION = Path(__file__).parents[2].parent / "shared" / "data"

GBIF: Mapping[str, object] = {"name": "gbif", "drop_basis_of_record": ["MATERIAL_CITATION"]}


@dataclass(frozen=True)
class Partitioned:
    """What a partition stage left."""

    layout: RunLayout
    summary: PartitionSummary

    def rows(self) -> list[dict[str, Any]]:
        """Accepted rows, batch by batch."""
        return [row for batch in load_batches(self.layout) for row in read_batch(self.layout, batch).to_pylist()]

    def identifiers(self) -> list[str]:
        """Identifiers of accepted rows, sorted."""
        return sorted(row["identifier"] for row in self.rows())

    def rejected(self) -> list[dict[str, Any]]:
        """Rejected rows."""
        return list(pq.read_table(self.layout.rejected_table).to_pylist())


def partitioned(
    path: Path | str, out: Path, dataset: Mapping[str, object] | None = None, **parameters: object
) -> Partitioned:
    """Run the stage, and check what holds for every list: each row is accepted or rejected, and counted.

    Servers of ten rows have batches of their own, unless `pool_below` is given.
    """
    settings = Settings.from_config(
        {
            "path_to_input": str(path),
            "path_to_output": str(out),
            "dataset": dataset or {},
            "downloader_parameters": {"pool_below": 10, **parameters},
        }
    )
    layout = RunLayout.of(settings)
    result = Partitioned(layout, partition(settings, layout))
    assert len(result.rows()) == result.summary.accepted_rows
    assert len(result.rejected()) == sum(result.summary.rejected_by_reason.values())
    assert result.summary.input_rows == result.summary.accepted_rows + len(result.rejected())
    return result


def real_data(name: str) -> Path:
    """A file or folder of the collection; the test is skipped where there is none."""
    path = _COLLECTION / name
    if not path.exists():
        pytest.skip("the collection of real lists and images is not beside the checkout")
    return path


def shared_case(name: str) -> Path:
    """A list of the collection of small cases; the test is skipped where there is none."""
    path = _COLLECTION.parent / "cases" / name
    if not path.exists():
        pytest.skip("the collection of small cases is not beside the checkout")
    return path
