"""Opens DuckDB for out-of-core work: on disk, with bounded memory, everything below one scratch folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ray_downloader.errors import MachineError, RunFolderError
from ray_downloader.machine import usable_cpus, usable_memory_bytes
from ray_downloader.partition.row_uuid import ROW_UUID_MACRO

#: How DuckDB, which has no error number, says that a disk is full.
_NO_ROOM = re.compile("No space left|failed to offload|disk quota", re.IGNORECASE)
#: DuckDB's own share of memory. With it, 10 M GBIF rows stay below 4 GB in total (benchmarks/partition/README.md).
_MAX_MEMORY_BYTES = 2 << 30
#: Errors that are no file's fault: SQL of ours, and the limits of this process.
_OURS = (
    duckdb.ParserException, duckdb.SyntaxException, duckdb.BinderException, duckdb.CatalogException,
    duckdb.ConnectionException, duckdb.InterruptException, duckdb.OutOfMemoryException,
)  # fmt: skip


@contextmanager
def open_database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in `folder`, with the macro `row_uuid`; what does not fit in memory is spilled there too."""
    memory_bytes = min(_MAX_MEMORY_BYTES, usable_memory_bytes() // 2)
    config = {
        "memory_limit": f"{memory_bytes // (1 << 20)}MiB",
        "temp_directory": str(folder / "spill"),
        "threads": usable_cpus(),
        # Order is stated where it matters; without this the reader would buffer rows to preserve theirs.
        "preserve_insertion_order": False,
    }
    path, lacks = folder / "partition.duckdb", naming_lacks(folder, "the partition of the list")
    with lacks, duckdb.connect(path, config=config) as connection:
        connection.execute("SET enable_progress_bar = false")  # it would draw over the caller's output
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")  # nobody opens it again
        connection.execute(ROW_UUID_MACRO)
        yield connection


@contextmanager
def naming_lacks(folder: Path, purpose: str) -> Iterator[None]:
    """A query that finds no room or no memory is one sentence.

    Args:
        folder: Where it writes.
        purpose: What the query is for.

    Raises:
        RunFolderError: The disk is full.
        MachineError: This process may not use as much memory as the query needs.
    """
    try:
        yield
    except duckdb.Error as error:  # a full disk may also fail a transaction, and all that comes after it
        if _says_disk_is_full(error):
            raise RunFolderError(
                f"{folder}: no space is left for {purpose}; make room, and the same command continues"
            ) from None
        if isinstance(error, duckdb.OutOfMemoryException):
            raise MachineError(
                f"{folder}: {purpose} needs more memory than this process may use; allow it more (ulimit -v), or use a "
                "machine with more, and the same command continues"
            ) from None
        raise


def is_about_files(error: duckdb.Error) -> bool:
    """Whether an error that came while files were read is about them; damaged parquet raises almost any kind."""
    return not isinstance(error, _OURS) and not _says_disk_is_full(error)


def _says_disk_is_full(error: duckdb.Error) -> bool:
    return bool(_NO_ROOM.search(str(error)))
