"""Tools that drop rows: they list the rows in `filter_table/`, and for `apply=true` write the batches without them.

A row is identified by file, row number and uuid: a uuid alone is not enough, as equal rows of the input share theirs.
"""

from __future__ import annotations

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
from ray_downloader.output.parquet import picture_notes, write_parquet
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.layout import SUCCESSES
from ray_downloader.tools.base import Step, Tool, Unit
from ray_downloader.tools.context import StoredBatch, fingerprint
from ray_downloader.tools.rows import CHUNK_ROWS, read_rows

FILTER_TABLE = "filter_table"
ROWS_FILE = "rows.csv"
#: Folder of the batches that `apply` publishes in place of the run's.
IMAGES = "images"

#: The first columns of every filter table; those that a tool adds (the reason, the image that is kept) follow.
ROW_COLUMNS = ("uuid", "source_id", "server_name", "partition_id", "row")


class DroppingTool(Tool):
    """Lists rows in `filter_table/rows.csv`; `apply` publishes the batches without them."""

    @property
    def rows_file(self) -> Path:
        """The list of rows."""
        return self.context.folder / FILTER_TABLE / ROWS_FILE

    @abstractmethod
    def name_rows(self) -> Mapping[str, Any]:
        """Write `rows_file`, a CSV that begins with `ROW_COLUMNS`, and return the summary."""

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """List the rows."""
        return {**counts, **self.name_rows()}

    def staged(self) -> Step:
        """Write each batch that has such rows without them."""
        rows = _rows_by_batch(self.rows_file)
        by_place = {(batch.server_name, batch.partition_id): batch for batch in self.context.batches}
        units = [_unit(self.context.folder, by_place[place], dropped) for place, dropped in sorted(rows.items())]
        _remove_others(self.context.folder / IMAGES, {unit.folder for unit in units})
        return Step(_write_without, units)


@dataclass(frozen=True, slots=True)
class DroppedRows:
    """Rows of one batch: their numbers, and the uuid that each must have."""

    numbers: tuple[int, ...]
    uuids: tuple[str, ...]


def _rows_by_batch(path: Path) -> dict[tuple[str, int], DroppedRows]:
    found: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
    for row in read_rows(path):
        found[row["server_name"], int(row["partition_id"])].append((int(row["row"]), row["uuid"]))
    return {place: DroppedRows(*zip(*sorted(rows), strict=True)) for place, rows in found.items()}


def _unit(folder: Path, batch: StoredBatch, dropped: DroppedRows) -> Unit:
    stamp = f"{batch.stamp}-{fingerprint({'rows': dropped.numbers})}"
    return Unit(folder / IMAGES / batch.place, (batch,), stamp, dropped)


def _remove_others(images: Path, wanted: set[Path]) -> None:
    """Remove the batches that were written for an earlier list."""
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
        write_parquet(temp, source.schema_arrow, _kept(source, keep), picture_notes(source.metadata.metadata))
    return Counter(rows_left_out=len(dropped.numbers))


def _kept(source: pq.ParquetFile, keep: np.ndarray[Any, np.dtype[np.bool_]]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in source.iter_batches(CHUNK_ROWS):
        yield batch.filter(pa.array(keep[start : start + batch.num_rows]))
        start += batch.num_rows
