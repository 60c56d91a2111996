"""Tools that name rows to drop: the list of them in `filter_table/`, and batches without them for `apply=true`.

A row is known by file, row number and uuid: uuids alone are not enough, as equal rows of the input share theirs.
"""

from __future__ import annotations

import csv
import shutil
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import UserError
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.layout import SUCCESSES
from ray_downloader.tools.base import Step, Tool, Unit
from ray_downloader.tools.context import StoredBatch, fingerprint

FILTER_TABLE = "filter_table"
ROWS_FILE = "rows.csv"
#: Where the batches lie that `apply` puts in the place of the run's.
IMAGES = "images"
CHUNK_ROWS = 256

#: The columns that every filter table begins with; what a tool adds (why, instead of which) follows.
ROW_COLUMNS = ("uuid", "source_id", "server_name", "partition_id", "row")


class DroppingTool(Tool):
    """Names rows in `filter_table/rows.csv`; `apply` publishes the batches without them."""

    @property
    def rows_file(self) -> Path:
        """The list of rows."""
        return self.context.folder / FILTER_TABLE / ROWS_FILE

    @abstractmethod
    def name_rows(self) -> Mapping[str, Any]:
        """Write `rows_file`, a CSV that begins with `ROW_COLUMNS`, and return the summary."""

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Name the rows."""
        return {**counts, **self.name_rows()}

    def staged(self) -> Step:
        """Write each batch that has such rows, without them."""
        rows = _rows_by_batch(self.rows_file)
        by_place = {(batch.server_name, batch.partition_id): batch for batch in self.context.batches}
        units = [_unit(self.context.folder, by_place[place], dropped) for place, dropped in sorted(rows.items())]
        _remove_others(self.context.folder / IMAGES, {unit.folder for unit in units})
        return Step(_write_without, units)


@dataclass(frozen=True, slots=True)
class DroppedRows:
    """Rows of one batch: numbers, and the uuid that each must have."""

    numbers: tuple[int, ...]
    uuids: tuple[str, ...]


def _rows_by_batch(path: Path) -> dict[tuple[str, int], DroppedRows]:
    found: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["server_name"], int(row["partition_id"])].append((int(row["row"]), row["uuid"]))
    return {place: DroppedRows(*zip(*sorted(rows), strict=True)) for place, rows in found.items()}


def _unit(folder: Path, batch: StoredBatch, dropped: DroppedRows) -> Unit:
    stamp = f"{batch.stamp}-{fingerprint({'rows': dropped.numbers})}"
    return Unit(folder / IMAGES / batch.place, (batch,), stamp, dropped)


def _remove_others(images: Path, wanted: set[Path]) -> None:
    """Remove batches that an earlier list asked for."""
    for folder in images.glob("server_name=*/partition_id=*"):
        if folder not in wanted:
            shutil.rmtree(folder)


def _write_without(unit: Unit) -> Counter[str]:
    dropped: DroppedRows = unit.payload
    batch = unit.batches[0]
    uuids = pq.read_table(batch.path, columns=["uuid"], partitioning=None).column("uuid")
    if uuids.take(pa.array(dropped.numbers)).to_pylist() != list(dropped.uuids):
        raise UserError(f"{batch.path} changed after its rows were listed; run the tool again")
    keep = np.ones(len(uuids), dtype=bool)
    keep[list(dropped.numbers)] = False
    with pq.ParquetFile(batch.path) as source, replacing(unit.folder / SUCCESSES) as temp:
        write_images(temp, source.schema_arrow, _kept(source, keep))
    return Counter(rows_left_out=len(dropped.numbers))


def _kept(source: pq.ParquetFile, keep: np.ndarray[Any, np.dtype[np.bool_]]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in source.iter_batches(CHUNK_ROWS):
        kept = batch.filter(pa.array(keep[start : start + batch.num_rows]))
        start += batch.num_rows
        if kept.num_rows:
            yield kept


def write_images(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """Write a `successes.parquet`, one row group a record batch, so that one image is read without all others."""
    text = [column.name for column in schema if column.type == pa.string()]
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, use_dictionary=text) as writer:
        for batch in batches:
            writer.write_batch(batch)
