"""DuckDB works out of core, within its memory and below one folder."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from ray_downloader.partition import database
from ray_downloader.partition.database import open_database
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
