"""DuckDB works out of core, within its memory and below one folder."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from ray_downloader.errors import MachineError, RunFolderError
from ray_downloader.partition import database
from ray_downloader.partition.database import is_about_files, naming_lacks, open_database
from ray_downloader.partition.row_uuid import row_uuid


@pytest.mark.parametrize(("total_gib", "limit"), [(64, "2048MiB"), (3, "1536MiB")])
def test_memory_is_two_gigabytes_or_half_of_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total_gib: int, limit: str
) -> None:
    opened = []
    connect = duckdb.connect
    monkeypatch.setattr(
        database.duckdb, "connect", lambda path, config: opened.append((path, config)) or connect(path, config=config)
    )
    monkeypatch.setattr(database, "usable_memory_bytes", lambda: total_gib << 30)
    monkeypatch.setattr(database, "usable_cpus", lambda: 3)
    with open_database(tmp_path):
        pass
    ((path, config),) = opened
    assert path == tmp_path / "partition.duckdb"
    assert config == {
        "memory_limit": limit,
        "temp_directory": str(tmp_path / "spill"),
        "threads": 3,
        "preserve_insertion_order": False,
    }


def test_it_knows_the_identity_of_rows_draws_no_bar_and_is_closed(tmp_path: Path) -> None:
    with open_database(tmp_path) as connection:
        assert connection.sql("SELECT row_uuid('a', 'http://b')").fetchall() == [(row_uuid("a", "http://b"),)]
        assert connection.sql("SELECT current_setting('enable_progress_bar')").fetchall() == [(False,)]
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("SELECT 1")


def test_what_nobody_opens_again_is_not_written_once_more_when_it_is_closed(tmp_path: Path) -> None:
    with open_database(tmp_path) as connection:
        connection.execute("CREATE TABLE few AS SELECT 1")
    assert (tmp_path / "partition.duckdb.wal").stat().st_size


FULL = duckdb.IOException('Could not write file "x": No space left on device')
FAILED = duckdb.TransactionException(f"TransactionContext Error: Failed to commit: {FULL}")
SMALL = duckdb.OutOfMemoryException("Allocation failure")


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (FULL, RunFolderError, "no space is left for a query; make room"),
        (FAILED, RunFolderError, "no space is left for a query; make room"),
        (SMALL, MachineError, "a query needs more memory than this process may use"),
    ],
    ids=["disk", "transaction", "memory"],
)
def test_what_a_query_lacks_is_one_sentence(
    tmp_path: Path, error: Exception, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=f"^{tmp_path}: {sentence}"), naming_lacks(tmp_path, "a query"):
        raise error


def test_another_error_of_a_file_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(duckdb.IOException, match="no such file"), naming_lacks(tmp_path, "a query"):
        raise duckdb.IOException("no such file")


@pytest.mark.parametrize(
    ("error", "is_about_file"),
    [
        (FULL, False), (SMALL, False), (duckdb.BinderException("no column"), False),
        (duckdb.IOException("no magic bytes"), True), (duckdb.InvalidInputException("odd"), True),
    ],
    ids=["disk", "memory", "query", "damaged", "odd"],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_from_what_this_process_lacks(
    error: duckdb.Error, is_about_file: bool
) -> None:
    assert is_about_files(error) is is_about_file
