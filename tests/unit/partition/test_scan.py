"""Tables as SQL reads them: cleaned cells by role, of any type, from text, JSON and parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.partition.scan import (
    BYTES_MACROS,
    TEXT,
    SqlColumn,
    SqlType,
    parquet_rows,
    scan_sql,
    scanned_columns,
)
from ray_downloader.partition.url_cells import PART_MARK, URL_MACROS
from ray_downloader.sources.tables import Table, TextFormat


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(URL_MACROS + BYTES_MACROS)
        yield connection


def text_table(path: Path, content: str, columns: tuple[str, ...], form: TextFormat) -> Table:
    path.write_text(content, "utf-8", newline="")
    return Table(path, path.name, columns, form)


def cells(database: duckdb.DuckDBPyConnection, sql: str, columns: str) -> list[tuple[object, ...]]:
    return database.execute(f"SELECT {columns} FROM ({sql})").fetchall()


def test_cells_of_a_text_are_trimmed_and_named_by_role(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    content = "id;url;title\n 1 ;//a.example/1.jpg;\u00a0A title \ufeff\n2;http://a.example/2.jpg;  \n"
    table = text_table(tmp_path / "a.csv", content, ("id", "url", "title"), TextFormat(";", '"', 1))
    roles = {"source_id": 0, "identifier": 1, "title": 2, "license": None}
    sql = scan_sql([table], roles, scanned_columns(table), first_row=10)
    assert cells(database, sql, "source_id, identifier, title, license, is_completed, row_number, line, refused") == [
        ("1", "https://a.example/1.jpg", "A title", None, True, 10, None, None),
        ("2", "http://a.example/2.jpg", None, None, False, 11, None, None),
    ]
    assert cells(database, sql, "DISTINCT file") == [(str(table.path),)]


def test_without_a_first_row_nothing_is_counted(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    table = text_table(tmp_path / "a.csv", "x,y\n", ("a", "b"), TextFormat(",", '"', 0))
    sql = scan_sql([table], {"title": 1}, scanned_columns(table))
    assert cells(database, sql, "title, row_number, is_completed") == [("y", None, False)]


def test_a_blank_line_of_a_table_with_one_column_is_no_row(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    table = text_table(tmp_path / "a.txt", "http://a/1\n\nhttp://a/2\n", ("column1",), TextFormat("\t", "", 0))
    sql = scan_sql([table], {"identifier": 0}, scanned_columns(table))
    assert cells(database, sql, "identifier") == [("http://a/1",), ("http://a/2",)]


def test_a_line_with_mirrors_is_a_url_and_a_list(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    content = "http://a/1\x1ehttp://b/1\x1ehttp://c/1\nhttp://a/2\n"
    table = text_table(tmp_path / "a.txt", content, ("u",), TextFormat("\t", "", 0, has_mirrors=True))
    sql = scan_sql([table], {"identifier": 0}, scanned_columns(table))
    assert cells(database, sql, "identifier, mirrors") == [
        ("http://a/1", ["http://b/1", "http://c/1"]),
        ("http://a/2", None),
    ]


def test_lines_of_json_are_read_by_key_or_path_and_refused_whole(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    content = '{"url": "http://a/1", "meta": {"id": 7}, "a.b": "dotted"}\nno json\n{"meta": {}}\n'
    form = TextFormat("\x1f", "", 0, is_json=True)
    table = text_table(tmp_path / "a.jsonl", content, ("url", "meta.id", "a.b"), form)
    columns = scanned_columns(table)
    assert columns == [SqlColumn("c0", TEXT)]
    sql = scan_sql([table], {"identifier": 0, "source_id": 1, "title": 2}, columns)
    assert cells(database, sql, "identifier, source_id, title, refused") == [
        ("http://a/1", "7", "dotted", None),
        (None, None, None, "no json"),
        (None, None, None, None),
    ]


def test_a_text_has_as_many_columns_as_its_header(tmp_path: Path) -> None:
    table = text_table(tmp_path / "a.csv", "", ("a", "b"), TextFormat(",", '"', 1))
    assert scanned_columns(table) == [SqlColumn("c0", TEXT), SqlColumn("c1", TEXT)]


def sql_type(name: str, *members: tuple[str, SqlType]) -> SqlType:
    return SqlType(name, members)


@pytest.mark.parametrize(
    ("values", "kind", "role", "texts"),
    [
        (pa.array([1, None]), sql_type("bigint"), "source_id", ["1", None]),
        (pa.array([1.0, 1.5, float("nan"), 1e19]), sql_type("double"), "source_id", ["1", "1.5", None, f"1{'0' * 19}"]),
        (pa.array([float("nan"), 1.0]), sql_type("double"), "source_id", [None, "1"]),
        (pa.array([float("-inf"), -2.0], pa.float32()), sql_type("float"), "source_id", ["-inf", "-2"]),
        (pa.array([b"abc", b"\xff\x00"]), sql_type("blob"), "source_id", ["abc", "ff00"]),
        (pa.array([UUID(int=1).bytes, b"abc"]), sql_type("blob"), "uuid", [str(UUID(int=1)), "abc"]),
        (pa.array([b"sixteen letters!"]), sql_type("blob"), "source_id", ["sixteen letters!"]),
        (pa.array([["a", "b"], []]), sql_type("list", ("child", TEXT)), "title", ["a; b", None]),
        (
            pa.array([["http://a/1", "http://b/2"]]), sql_type("list", ("child", TEXT)), "identifier",
            [f"http://a/1{PART_MARK}http://b/2"],
        ),
        (
            pa.array([{"bytes": "x", "path": "http://a/1"}]), sql_type("struct", ("bytes", TEXT), ("path", TEXT)),
            "identifier", ["http://a/1"],
        ),
        (pa.array([True]), sql_type("boolean"), "title", ["true"]),
    ],
)  # fmt: skip
def test_values_of_parquet_become_text(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, values: pa.Array, kind: SqlType, role: str, texts: list[str]
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"The column": values}), path)
    table = Table(path, path.name, ("The column",), None)
    sql = scan_sql([table], {role: 0}, [SqlColumn("The column", kind)])
    assert cells(database, sql, f"{role}, line") == [(text, number + 1) for number, text in enumerate(texts)]
    assert database.sql(parquet_rows([table])).columns == ["The column"]


def test_a_decimal_has_no_point_where_it_is_whole(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": pa.array([1, 2.5]).cast(pa.decimal128(6, 2))}), path)
    sql = scan_sql([Table(path, "", ("n",), None)], {"source_id": 0}, [SqlColumn("n", sql_type("decimal"))])
    assert cells(database, sql, "source_id") == [("1",), ("2.50",)]
