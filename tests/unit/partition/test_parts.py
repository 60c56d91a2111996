"""A row with several URLs becomes several rows; origins are cut from plainly written URLs only."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from ray_downloader.partition.parts import DIVIDED, ORIGIN_SQL, divide_rows
from ray_downloader.partition.row_uuid import ROW_UUID_MACRO, row_uuid
from ray_downloader.partition.url_cells import PART_MARK, URL_MACROS


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(URL_MACROS + ROW_UUID_MACRO)
        connection.execute(
            "CREATE TABLE staged (uuid VARCHAR, source_id VARCHAR, identifier VARCHAR, reason VARCHAR, origin VARCHAR,"
            " is_completed BOOLEAN, is_part BOOLEAN, row_number BIGINT)"
        )
        yield connection


def stage(database: duckdb.DuckDBPyConnection, *rows: tuple[str | None, str, str, str | None, int | None]) -> None:
    database.executemany("INSERT INTO staged VALUES (?, ?, ?, ?, NULL, false, NULL, ?)", rows)


def rows(database: duckdb.DuckDBPyConnection, columns: str, where: str = "reason IS NULL") -> list[tuple[object, ...]]:
    return database.execute(f"SELECT {columns} FROM staged WHERE {where} ORDER BY ALL").fetchall()


def test_each_url_gets_a_row_and_the_original_counts_no_longer(database: duckdb.DuckDBPyConnection) -> None:
    cell = PART_MARK.join(["http://a.example/1", " //b.example/2 ", "", '"http://C.example:80/3"'])
    stage(database, (None, "one", "http://a.example/0", None, None), (None, "many", cell, None, None))
    divide_rows(database)
    assert rows(database, "source_id, identifier, origin, is_completed, is_part, row_number") == [
        ("many", "http://C.example:80/3", "http://C.example:80", False, True, 1),
        ("many", "http://a.example/1", "http://a.example", False, True, 1),
        ("many", "https://b.example/2", "https://b.example", True, True, 1),
        ("one", "http://a.example/0", None, False, None, None),
    ]
    assert rows(database, "source_id, reason, is_part", "reason IS NOT NULL") == [("many", DIVIDED, None)]


def test_a_row_that_is_rejected_already_stays_one_row(database: duckdb.DuckDBPyConnection) -> None:
    stage(database, (None, "x", f"http://a.example/1{PART_MARK}http://b.example/2", "not_an_image", None))
    divide_rows(database)
    assert rows(database, "source_id, reason", "true") == [("x", "not_an_image")]


def test_parts_have_uuids_of_their_own_only_where_the_list_has_one(database: duckdb.DuckDBPyConnection) -> None:
    cell = f"http://a.example/1{PART_MARK}http://b.example/2"
    stage(database, ("of the list", "x", cell, None, 7), (None, "y", cell, None, 9))
    divide_rows(database)
    urls = ["http://a.example/1", "http://b.example/2"]
    assert rows(database, "source_id, identifier, uuid, row_number") == [
        *(("x", url, row_uuid("of the list", url), 7) for url in urls),
        *(("y", url, None, 9) for url in urls),
    ]


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://a.example/x", "http://a.example"),
        ("HTTP://A.example", "HTTP://A.example"),
        ("https://u@a.example:81?q", "https://u@a.example:81"),
        ("https://a.example#f", "https://a.example"),
        ("http:\\\\a.example\\x", "http:\\\\a.example\\x"),
        ("http://a.example\\x", "http://a.example\\x"),
        ("http://a b.example/x", "http://a b.example/x"),
        ("http:///x", "http:///x"),
        ("ftp://a.example/x", "ftp://a.example/x"),
        (" http://a.example/x", " http://a.example/x"),
    ],
)
def test_the_origin_of_what_is_not_written_plainly_is_all_of_it(
    database: duckdb.DuckDBPyConnection, url: str, part: str
) -> None:
    found = database.execute(f"SELECT {ORIGIN_SQL} FROM (SELECT ? AS identifier)", [url]).fetchall()
    assert found == [(part,)]
