"""The table beside the media: one row per key, whose columns each media row of that key gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from ray_downloader.partition.companion import (
    create_companion,
    fill_companion_sql,
    joined_sql,
    keep_one_row_per_key,
    kept_roles,
    scoped,
)
from ray_downloader.sources.base import Companion
from ray_downloader.sources.tables import Table

OF_ARCHIVE = Companion(("occurrence",), {}, match="core_id", label="upper(basis)", global_column="gbifID")
SCOPED = [Table(Path("a/occurrence.txt"), "a", ("id", "basis"), None)]
GLOBAL = [Table(Path("a/occurrence.txt"), "a", ("gbifID", "basis"), None)]


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE files (path VARCHAR, scope VARCHAR)")
        connection.execute("INSERT INTO files VALUES ('fa', 'A'), ('fb', 'B')")
        yield connection


def fill(database: duckdb.DuckDBPyConnection, tables: Sequence[Table], *rows: str, with_license: bool = True) -> None:
    columns = "core_id, basis, license, kept_0, file" if with_license else "core_id, basis, kept_0, file"
    create_companion(database, ["datasetKey"])
    for row in rows:
        scan = f"SELECT * FROM (VALUES {row}) AS scanned({columns})"
        roles = {"core_id", "basis", "kept_0"} | ({"license"} if with_license else set())
        database.execute(fill_companion_sql(scan, tables, roles, OF_ARCHIVE, ["datasetKey"]))
    keep_one_row_per_key(database, ["datasetKey"])


def joined(database: duckdb.DuckDBPyConnection, tables: Sequence[Table], media: str) -> list[tuple[object, ...]]:
    scan = f"SELECT * FROM (VALUES {media}) AS scanned(core_id, file)"
    sql = joined_sql(scan, tables, OF_ARCHIVE, ["datasetKey"])
    return database.execute(
        f"SELECT core_id, file, companion_label, companion_license, companion_kept_0 FROM ({sql}) ORDER BY ALL"
    ).fetchall()


def test_ids_of_publishers_mean_something_in_their_own_archive_only(database: duckdb.DuckDBPyConnection) -> None:
    fill(database, SCOPED, "('1', 'seen', 'CC0', 'key a', 'fa')", "('1', 'cited', 'BY', 'key b', 'fb')")
    assert joined(database, SCOPED, "('1', 'fa'), ('1', 'fb'), ('2', 'fa')") == [
        ("1", "fa", "SEEN", "CC0", "key a"),
        ("1", "fb", "CITED", "BY", "key b"),
        ("2", "fa", None, None, None),
    ]


def test_ids_of_gbif_mean_the_same_everywhere(database: duckdb.DuckDBPyConnection) -> None:
    fill(database, GLOBAL, "('1', 'seen', 'CC0', 'key a', 'fa')")
    assert joined(database, GLOBAL, "('1', 'fb')") == [("1", "fb", "SEEN", "CC0", "key a")]


def test_a_key_that_is_repeated_does_not_repeat_the_media(database: duckdb.DuckDBPyConnection) -> None:
    fill(
        database, GLOBAL, "('1', 'seen', 'CC0', 'b', 'fa'), ('1', 'seen', 'CC0', 'a', 'fa'), ('2', 'x', 'y', 'z', 'fa')"
    )
    assert joined(database, GLOBAL, "('1', 'fa'), ('1', 'fa'), ('2', 'fa')") == [
        ("1", "fa", "SEEN", "CC0", "a"),
        ("1", "fa", "SEEN", "CC0", "a"),
        ("2", "fa", "X", "y", "z"),
    ]


def test_rows_without_a_key_are_left_out_and_a_licence_need_not_be_stated(database: duckdb.DuckDBPyConnection) -> None:
    fill(database, GLOBAL, "(NULL, 'seen', 'key', 'fa'), ('1', NULL, 'key', 'fa')", with_license=False)
    assert database.execute("SELECT * FROM companion").fetchall() == [("1", None, None, "key")]


def test_without_a_companion_its_columns_are_empty(database: duckdb.DuckDBPyConnection) -> None:
    sql = joined_sql("SELECT 1 AS core_id", GLOBAL, None, ["x", "y"])
    found = database.execute(sql)
    assert [column[0] for column in found.description or ()] == [
        "core_id", "companion_label", "companion_license", "companion_kept_0", "companion_kept_1",
    ]  # fmt: skip
    assert found.fetchall() == [(1, None, None, None, None)]


def test_names() -> None:
    assert kept_roles(["a", "b"]) == ["kept_0", "kept_1"]
    assert scoped("core_id", GLOBAL, OF_ARCHIVE) == "core_id"
    assert scoped("core_id", SCOPED, OF_ARCHIVE) == "scope || chr(31) || core_id"
