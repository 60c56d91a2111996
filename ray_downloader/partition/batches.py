"""The batches of a run, as workers and planner read them: an index of all, and the rows of one.

Workers import this module, so it needs pyarrow only.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import DamagedFileError, UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import BATCH_SCHEMA, URL_SCHEMA
from ray_downloader.run_folder.small_tables import read_as, read_small_table


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: where its rows are below `urls/` and where its results go (see `schemas.BATCH_SCHEMA`)."""

    batch_id: int
    server_name: str
    partition_id: int
    file: str
    row_group: int
    rows: int
    servers: int


def load_batches(layout: RunLayout) -> list[Batch]:
    """Every batch of the run, in the order of `batch_id`.

    Raises:
        UserError: The partition stage has not ended in this folder.
    """
    if not layout.batches_table.is_file():
        raise UserError(f"{layout.batches_table} does not exist; run the partition stage first")
    try:
        table = read_as(layout.batches_table, BATCH_SCHEMA)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFileError.of(layout.batches_table, error) from None
    return [Batch(*row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]


def read_batch(layout: RunLayout, batch: Batch) -> pa.Table:
    """The rows of one batch, sorted by (server_name, identifier): `schemas.URL_SCHEMA` and the kept columns."""
    path = layout.urls / batch.file
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            rows = file.read_row_group(batch.row_group)
    except (pa.ArrowException, OSError, IndexError) as error:
        raise DamagedFileError.of(path, error) from None
    for column in URL_SCHEMA:
        if column.name not in rows.schema.names:  # a run that an earlier version partitioned
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    return rows


def load_server_names(layout: RunLayout) -> list[str]:
    """Every server of the run."""
    names: list[str] = read_small_table(layout.servers_table, ["server_name"])["server_name"].to_pylist()
    return names
