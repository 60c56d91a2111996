"""Tables as SQL reads them: cleaned cells by role, of any type, from text, JSON and parquet."""

from __future__ import annotations

import json
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
        (pa.array([1e38, 1e37, float("inf")]), sql_type("double"), "source_id", ["1e+38", str(int(1e37)), "inf"]),
        (pa.array([b"\xff" * 16]), sql_type("blob"), "source_id", ["ffffffff-ffff-ffff-ffff-ffffffffffff"]),
        (pa.array([bytes(range(16))]), sql_type("blob"), "uuid", ["00010203-0405-0607-0809-0a0b0c0d0e0f"]),
        (pa.array([b"\xff" * 15]), sql_type("blob"), "uuid", ["ff" * 15]),
        (pa.array([[1.0, 2.5]]), sql_type("list", ("child", sql_type("double"))), "title", ["1; 2.5"]),
        (
            pa.array([{"path": "p", "url": "http://a/1"}]), sql_type("struct", ("path", TEXT), ("url", TEXT)),
            "identifier", ["http://a/1"],
        ),
        (
            pa.array([{"the Image URL": {"path": "http://a/1"}}]),
            sql_type("struct", ("the Image URL", sql_type("struct", ("path", TEXT)))), "identifier", ["http://a/1"],
        ),
        (
            pa.array([[{"n": 1, "path": "http://a/1"}, {"n": 2, "path": "http://a/2"}]]),
            sql_type("list", ("child", sql_type("struct", ("n", sql_type("bigint")), ("path", TEXT)))), "identifier",
            [f"http://a/1{PART_MARK}http://a/2"],
        ),
        (pa.array([{"a": 1}]), sql_type("struct", ("a", sql_type("bigint"))), "title", ["{'a': 1}"]),
        (pa.array(["x", None]).dictionary_encode(), sql_type("enum"), "title", ["x", None]),
        (pa.array([" x ", "\u00a0", "\ufeffy", "z\u3000"]), TEXT, "title", ["x", None, "y", "z\u3000"]),
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


def test_an_escaped_quote_is_part_of_its_cell(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for content, form in (
        ('"a ""b""",c\n', TextFormat(",", '"', 0)),
        ('"a \\"b\\"",c\n', TextFormat(",", '"', 0, escape="\\")),
    ):
        table = text_table(tmp_path / "a.csv", content, ("x", "y"), form)
        sql = scan_sql([table], {"title": 0, "license": 1}, scanned_columns(table))
        assert cells(database, sql, "title, license") == [('a "b"', "c")]


def test_a_row_with_more_cells_than_columns_is_noted_and_left_out(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    table = text_table(tmp_path / "a.csv", "a,b\nc,d,e\nf\n", ("x", "y"), TextFormat(",", '"', 0))
    sql = scan_sql([table], {"title": 0}, scanned_columns(table))
    assert cells(database, sql, "title") == [("a",)]
    assert database.sql("SELECT line FROM reject_errors ORDER BY line").fetchall() == [(2,), (3,)]


def test_keys_of_json_are_found_whatever_is_in_them(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    keys = ('a "b"', "back\\slash", "deep.er.key")
    content = json.dumps({keys[0]: 1, keys[1]: 2, "deep": {"er": {"key": 3}}}) + "\n"
    table = text_table(tmp_path / "a.jsonl", content, keys, TextFormat("\x1f", "", 0, is_json=True))
    roles = {"source_id": 0, "title": 1, "license": 2}
    sql = scan_sql([table], roles, scanned_columns(table))
    assert cells(database, sql, "source_id, title, license, row_number") == [("1", "2", "3", None)]


def test_a_line_of_json_may_have_pictures_in_it(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    content = json.dumps({"url": "http://a/1", "image": "x" * 3_000_000}) + "\n"
    table = text_table(tmp_path / "a.jsonl", content, ("url", "image"), TextFormat("\x1f", "", 0, is_json=True))
    sql = scan_sql([table], {"identifier": 0}, scanned_columns(table))
    assert cells(database, sql, "identifier, is_completed") == [("http://a/1", False)]


def test_several_files_are_one_scan_and_rows_know_theirs(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    texts = [
        text_table(tmp_path / f"{n}.csv", f"h1,h2\nhttp://a/{n},t{n}\n", ("a", "b"), TextFormat(",", '"', 1))
        for n in (1, 2)
    ]
    sql = scan_sql(texts, {"identifier": 0, "title": 1}, scanned_columns(texts[0]))
    assert sorted(cells(database, sql, "title, file")) == [("t1", str(texts[0].path)), ("t2", str(texts[1].path))]
