"""Rows of `successes.parquet` as tools walk over them: a chunk at a time, whoever wrote the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.image.stored import StoredImage
from ray_downloader.run_folder.schemas import RAW

CHUNK_ROWS = 256


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a file, the first of them being number `start`."""

    start: int
    rows: pa.RecordBatch

    def images(self) -> Iterator[StoredImage]:
        """The picture of each row."""
        formats = self.texts("image_format", RAW)
        sizes = self.rows.column("resized_size").to_pylist()
        for image, image_format, size in zip(self.rows.column("image"), formats, sizes, strict=True):
            yield StoredImage(image.as_py() or b"", image_format, (int(size[0]), int(size[1])))

    def texts(self, name: str, default: str) -> list[str]:
        """A text column; `default` where the file, which an legacy project wrote, does not have it."""
        if name not in self.rows.schema.names:
            return [default] * self.rows.num_rows
        return [value if value is not None else default for value in self.rows.column(name).to_pylist()]


def chunks_of(path: Path, columns: list[str] | None = None) -> Iterator[Chunk]:
    """All rows of a file, `CHUNK_ROWS` at a time; of `columns`, those that the file has."""
    start = 0
    with pq.ParquetFile(path) as file:
        there = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(CHUNK_ROWS, columns=there):
            yield Chunk(start, batch)
            start += batch.num_rows
