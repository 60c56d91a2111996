"""Rows of finished images, as tools read and list them: parquet in, a chunk at a time, and CSV out.

A unit of work writes its part of a list beside its marker, and the end of the tool gathers the parts.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.csv_cells import plain_cell, safe_cell
from ray_downloader.image.stored import StoredImage
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.schemas import RAW

CHUNK_ROWS = 256
#: A unit's part of a list that the whole tool writes.
PART = "part.csv"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of a file, from row number `start`."""

    start: int
    rows: pa.RecordBatch

    def images(self) -> Iterator[StoredImage]:
        """The picture of each row."""
        formats = self.texts("image_format", RAW)
        sizes = self.rows.column("resized_size").to_pylist()
        for image, image_format, size in zip(self.rows.column("image"), formats, sizes, strict=True):
            yield StoredImage(image.as_py() or b"", image_format, (int(size[0]), int(size[1])))

    def texts(self, name: str, default: str) -> list[str]:
        """A text column; `default` if the file lacks it, as those of the legacy project may."""
        if name not in self.rows.schema.names:
            return [default] * self.rows.num_rows
        return [value if value is not None else default for value in self.rows.column(name).to_pylist()]


def chunks_of(path: Path, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
    """All rows of a file, `CHUNK_ROWS` at a time, with those of `columns` that the file has (all by default)."""
    start = 0
    with pq.ParquetFile(path) as file:
        present = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(CHUNK_ROWS, columns=present):
            yield Chunk(start, batch)
            start += batch.num_rows


def can_be_read(path: Path) -> bool:
    """Whether Arrow can read all of a file, and its pages have the checksums that were written."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for _ in file.iter_batches(CHUNK_ROWS):
                pass
    except (pa.ArrowException, OSError):
        return False
    return True


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV with a header, as they were before `safe_cell`."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: plain_cell(cell) for name, cell in row.items()}


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Write a CSV with a header, even if there are no rows.

    Returns:
        The number of rows.
    """
    count = 0
    with replacing(path) as temp, temp.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([safe_cell(cell) for cell in row])
            count += 1
    return count


def gather_parts(folders: Iterable[Path], path: Path, columns: Sequence[str]) -> int:
    """Write the rows of all parts to `path`.

    Returns:
        The number of rows.
    """
    return write_rows(path, columns, (list(row.values()) for folder in folders for row in read_rows(folder / PART)))
