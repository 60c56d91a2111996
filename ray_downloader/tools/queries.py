"""SQL over the columns of finished images, with DuckDB and out of core; the image column is never read.

Queries read from the view `images`: the columns of `successes.parquet`, and `file`, `row` (the number of the row in the
file, from 0), `server_name` and `partition_id`. These two name the folder, which may be `pooled`; `own_server` is the
server of the row.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from ray_downloader.errors import RunFolderError
from ray_downloader.machine import usable_cpus, usable_memory_bytes
from ray_downloader.partition.database import is_about_files, naming_lacks
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.schemas import SERVER_NAME
from ray_downloader.sql import file_list, literal, safe_columns
from ray_downloader.tools.context import FETCH_AGAIN, StoredBatch

#: Memory for DuckDB; what does not fit is spilled below the tool's folder.
_MAX_MEMORY_BYTES = 4 << 30

_VIEW = """
CREATE TEMP VIEW images AS
SELECT stored.* EXCLUDE ({excluded}), filename AS file, file_row_number AS row,
    places.server_name, places.partition_id, {own_server} AS own_server
FROM read_parquet({files}, union_by_name = true, filename = true, file_row_number = true, hive_partitioning = false)
    AS stored
JOIN places USING (filename)
"""


@contextmanager
def images_database(folder: Path, batches: Sequence[StoredBatch]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with the view `images`.

    Args:
        folder: The tool's folder; what does not fit in memory is spilled there.
        batches: The batches whose images are in the view.

    Raises:
        RunFolderError: A table is damaged, or the disk is full.
        MachineError: There is not enough memory.
    """
    spill = folder / ".spill"
    memory_bytes = min(_MAX_MEMORY_BYTES, usable_memory_bytes() // 2)
    config = {
        "memory_limit": f"{memory_bytes // (1 << 20)}MiB",
        "temp_directory": str(spill),
        "threads": usable_cpus(),
        "preserve_insertion_order": False,
    }
    try:
        with naming_lacks(folder, "this tool"), duckdb.connect(config=config) as connection:
            connection.execute("SET enable_progress_bar = false")
            _register(connection, batches)
            yield connection
    except duckdb.Error as error:
        if not is_about_files(error):
            raise
        why = str(error).splitlines()[0]
        raise RunFolderError(f"{folder.name}: a table that it reads is damaged ({why}); {FETCH_AGAIN}") from None
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def write_csv(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write the rows of a query as CSV.

    Returns:
        The number of rows.
    """
    names = [(name, kind) for name, kind, *_ in connection.execute(f"DESCRIBE ({query})").fetchall()]
    cells = safe_columns(names)
    with replacing(path) as temp:
        copy = f"COPY (SELECT {cells} FROM ({query})) TO {literal(temp)} (FORMAT csv, HEADER)"
        (rows,) = connection.execute(copy).fetchall()[0]
    return int(rows)


def write_parquet(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write the rows of a query, in its order, as parquet.

    Returns:
        The number of rows.
    """
    connection.execute("SET preserve_insertion_order = true")
    with replacing(path) as temp:
        options = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)"
        (rows,) = connection.execute(f"COPY ({query}) TO {literal(temp)} {options}").fetchall()[0]
    return int(rows)


def columns_of(connection: duckdb.DuckDBPyConnection, table: str = "images") -> frozenset[str]:
    """Names of a table's columns; files of the legacy project have fewer."""
    return frozenset(name for name, *_ in connection.execute(f"DESCRIBE {table}").fetchall())


def _register(connection: duckdb.DuckDBPyConnection, batches: Sequence[StoredBatch]) -> None:
    places = pa.table(
        {
            "filename": pa.array([str(batch.path) for batch in batches], pa.string()),
            "server_name": pa.array([batch.server_name for batch in batches], pa.string()),
            "partition_id": pa.array([batch.partition_id for batch in batches], pa.int32()),
        }
    )
    connection.register("given", places)
    connection.execute("CREATE TEMP TABLE places AS SELECT * FROM given")
    connection.unregister("given")
    files = file_list(batch.path for batch in batches)
    stored = connection.sql(f"SELECT * FROM read_parquet({files}, union_by_name=true, hive_partitioning=false)").columns
    has_names = SERVER_NAME.name in stored  # the rows of `pooled` files
    connection.execute(
        _VIEW.format(
            files=files,
            excluded="filename, file_row_number" + (", server_name" if has_names else ""),
            own_server="coalesce(stored.server_name, places.server_name)" if has_names else "places.server_name",
        )
    )
