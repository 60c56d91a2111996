"""Reads the small tables of a run folder.

`pyarrow.parquet.read_table` imports pyarrow's datasets, and they import pandas: 0.4 s of CPU, which is half of what
`status` takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_small_table(path: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of a parquet file, in this order."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=list(columns)).select(list(columns))


def read_as(path: Path, schema: pa.Schema) -> pa.Table:
    """A parquet file with the columns of `schema`; those that an earlier version did not write are null."""
    with pq.ParquetFile(path) as file:
        table = file.read()
    there = set(table.schema.names)
    columns = [
        table.column(field.name).cast(field.type) if field.name in there else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
