"""Writes the rows below `urls/`: few large parquet files in which each row group is one batch.

Rows arrive in the plan's order of servers, so a batch is simply the next so many of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.partition.batch_plan import PlannedBatch
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.schemas import BATCH_SCHEMA, URL_SCHEMA
from ray_downloader.run_folder.small_tables import COMPRESSION

#: Row groups per file: enough to keep files few, and few enough to keep the footer, which every reader of a batch
#: parses, below half a megabyte.
ROW_GROUPS_PER_FILE = 256
#: Columns whose values hardly repeat: a dictionary of them would be built and thrown away, a quarter of the time.
_DISTINCT = frozenset({"uuid", "source_id", "identifier"})


def write_rows(
    folder: Path, chunks: Iterable[pa.RecordBatch], batches: Sequence[PlannedBatch], schema: pa.Schema = URL_SCHEMA
) -> pa.Table:
    """Write the rows of all batches to `folder`, and return their index in `schemas.BATCH_SCHEMA`.

    Args:
        folder: Where the files go.
        chunks: All rows, in the plan's order, in `schemas.URL_SCHEMA`.
        batches: How many rows each batch has, in the same order.
        schema: The rows' schema: `schemas.URL_SCHEMA` and the kept columns.
    """
    repeated = [field.name for field in schema if field.name not in _DISTINCT]
    tables = cut((pa.Table.from_batches([chunk]) for chunk in chunks), [batch.rows for batch in batches])
    for start in range(0, len(batches), ROW_GROUPS_PER_FILE):
        members = batches[start : start + ROW_GROUPS_PER_FILE]
        with (
            replacing(folder / _file_name(start)) as temp,
            pq.ParquetWriter(
                temp, schema, compression=COMPRESSION, use_dictionary=repeated, write_page_checksum=True
            ) as file,
            ThreadPoolExecutor(1) as writer,  # a batch is written while DuckDB sorts out the next
        ):
            written: Future[None] | None = None
            for member in members:
                batch = next(tables)
                if written is not None:
                    written.result()
                written = writer.submit(file.write_table, batch, row_group_size=member.rows)
            if written is not None:
                written.result()
    return _index(batches)


def cut(tables: Iterable[pa.Table], sizes: Iterable[int]) -> Iterator[pa.Table]:
    """The rows of `tables`, one after the other, as tables of the given sizes."""
    arriving = iter(tables)
    held: list[pa.Table] = []
    held_rows = 0
    for size in sizes:
        while held_rows < size:
            held.append(next(arriving))
            held_rows += held[-1].num_rows
        rows = pa.concat_tables(held)
        yield rows.slice(0, size)
        held, held_rows = [rows.slice(size)], held_rows - size


def _file_name(first_batch: int) -> str:
    return f"rows-{first_batch // ROW_GROUPS_PER_FILE:05d}.parquet"


def _index(batches: Sequence[PlannedBatch]) -> pa.Table:
    ids = range(len(batches))
    columns = (
        ids,
        [batch.server_name for batch in batches],
        [batch.partition_id for batch in batches],
        [_file_name(batch_id) for batch_id in ids],
        [batch_id % ROW_GROUPS_PER_FILE for batch_id in ids],
        [batch.rows for batch in batches],
        [batch.servers for batch in batches],
    )
    arrays = [pa.array(values, field.type) for values, field in zip(columns, BATCH_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=BATCH_SCHEMA)
