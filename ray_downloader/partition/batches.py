"""The batches of a run, as workers and planner read them: an index of all, and the rows of one.

Workers import this module, so it needs pyarrow only.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ray_downloader.errors import DamagedFileError, UserError
from ray_downloader.run_folder.file_errors import require_damage
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import BATCH_SCHEMA, POOLED, URL_SCHEMA
from ray_downloader.run_folder.small_tables import opened, read_as, read_small_table


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
        DamagedFileError: The index cannot be read.
    """
    if not layout.batches_table.is_file():
        raise UserError(f"{layout.batches_table} does not exist; run the partition stage first")
    table = read_as(layout.batches_table, BATCH_SCHEMA)
    return [Batch(*row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]


def read_batch(layout: RunLayout, batch: Batch) -> pa.Table:
    """The rows of one batch, sorted by (server_name, identifier): `schemas.URL_SCHEMA` and the kept columns."""
    path = layout.urls / batch.file
    try:
        with opened(path) as file:
            rows = file.read_row_group(batch.row_group)
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        require_damage(error, path)
        raise DamagedFileError.of(path, error) from None
    problem = _foreign(rows, batch)
    if problem:
        raise DamagedFileError.of(path, ValueError(problem))
    for column in URL_SCHEMA:
        if column.name not in rows.schema.names:  # a run that an earlier version partitioned
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    return rows


def _foreign(rows: pa.Table, batch: Batch) -> str:
    """Why these are not the rows of the batch, in words; empty if they are, as far as its index says."""
    if rows.num_rows != batch.rows:
        return f"part {batch.row_group} has {rows.num_rows} rows, not {batch.rows}"
    if batch.server_name == POOLED or not rows.num_rows or "server_name" not in rows.schema.names:
        return ""
    first = rows.column("server_name")[0].as_py()
    return "" if first == batch.server_name else f"part {batch.row_group} has rows of {first}"


def load_server_names(layout: RunLayout) -> list[str]:
    """Every server of the run."""
    names: list[str] = read_small_table(layout.servers_table, ["server_name"])["server_name"].to_pylist()
    return names
