"""Writes and reads the small tables of a run folder, so that no damaged one is taken for another table.

Pages have checksums. The footer, which says what the columns are called and where they are, has none; but it has the
names and types of the columns twice, in Parquet's words and in Arrow's.

`pyarrow.parquet.read_table` imports pyarrow's datasets, and they import pandas: 0.4 s of CPU, which is half of what
`status` takes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import DamagedFileError
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.file_errors import require_damage

COMPRESSION = "zstd"
#: Where a footer has its columns in Arrow's words.
_ARROW = b"ARROW:schema"


def write_small_table(path: Path, table: pa.Table) -> None:
    """Write a table with checksums."""
    with replacing(path) as temp:
        pq.write_table(table, temp, compression=COMPRESSION, write_page_checksum=True)


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A parquet file whose pages are compared with their checksums as they are read.

    Raises:
        ValueError: Its footer contradicts itself: with a flipped bit in a name, a column would be taken for missing.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        described = (file.metadata.metadata or {}).get(_ARROW)  # absent if another program wrote it
        if described is not None:
            columns: pa.Schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(described)))
            # Durations are not in Parquet's words, so Arrow's would be believed about them; no table of ours has any.
            if not columns.equals(file.schema_arrow) or any(map(pa.types.is_duration, columns.types)):
                raise ValueError("its end contradicts itself about the columns")
        yield file


def require_all_rows(file: pq.ParquetFile) -> None:
    """Check that its parts have as many rows as the whole says: Arrow reads what the parts say.

    Raises:
        ValueError: Its footer contradicts itself.
    """
    whole = file.metadata
    rows = sum(whole.row_group(group).num_rows for group in range(whole.num_row_groups))
    if rows != whole.num_rows:
        raise ValueError(f"its end contradicts itself about the rows: {rows} or {whole.num_rows}")


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
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
        require_damage(error, path)
        raise DamagedFileError.of(path, error) from None


def read_small_table(path: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of a parquet file, in this order.

    Raises:
        As `reading`.
    """
    with reading(path), opened(path) as file:
        require_all_rows(file)
        return file.read(columns=list(columns)).select(list(columns))


def read_as(path: Path, schema: pa.Schema) -> pa.Table:
    """A parquet file with the columns of `schema`; those that an earlier version did not write are null.

    Raises:
        As `reading`, also if it lacks all of them, or one has values of another type.
    """
    with reading(path), opened(path) as file:
        require_all_rows(file)
        table = file.read()
        there = set(table.schema.names)
        if there.isdisjoint(schema.names):
            raise DamagedFileError.of(path, ValueError(f"it has no column {schema.names[0]!r}"))
        columns = [
            table.column(field.name).cast(field.type) if field.name in there else pa.nulls(table.num_rows, field.type)
            for field in schema
        ]
    return pa.table(columns, schema=schema)
