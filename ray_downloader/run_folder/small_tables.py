"""Reads the small tables of a run folder.

`pyarrow.parquet.read_table` imports pyarrow's datasets, and they import pandas: 0.4 s of CPU, which is half of what
`status` takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import DamagedFileError
from ray_downloader.run_folder.file_errors import require_damage


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong while a table is read is about its file.

    Raises:
        DamagedFileError: It is damaged, or is another table.
        RunFolderError: It is out of reach.
        FileNotFoundError: It is not there.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError, IndexError) as error:
        require_damage(error, path)
        raise DamagedFileError.of(path, error) from None


def read_small_table(path: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of a parquet file, in this order.

    Raises:
        As `reading`.
    """
    with reading(path), pq.ParquetFile(path) as file:
        return file.read(columns=list(columns)).select(list(columns))


def read_as(path: Path, schema: pa.Schema) -> pa.Table:
    """A parquet file with the columns of `schema`; those that an earlier version did not write are null.

    Raises:
        As `reading`, also if it lacks all of them, or one has values of another type.
    """
    with reading(path), pq.ParquetFile(path) as file:
        table = file.read()
        there = set(table.schema.names)
        if there.isdisjoint(schema.names):
            raise DamagedFileError.of(path, ValueError(f"it has no column {schema.names[0]!r}"))
        columns = [
            table.column(field.name).cast(field.type) if field.name in there else pa.nulls(table.num_rows, field.type)
            for field in schema
        ]
    return pa.table(columns, schema=schema)
