"""Lines that the reader refuses are staged as rejected rows, with their text, file and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pytest

from ray_downloader.partition.line_numbers import LineNumbers
from ray_downloader.partition.refused import note_lines
from ray_downloader.partition.scan import scan_sql, scanned_columns
from ray_downloader.partition.url_cells import URL_MACROS
from ray_downloader.sources.tables import LinePlaces, Table, TextFormat


@dataclass(frozen=True)
class Database:
    """A database with an empty table `staged`."""

    connection: duckdb.DuckDBPyConnection

    def read(self, *tables: Table) -> LineNumbers:
        """Stage the rows of tables that look alike."""
        first = int(self.connection.sql("SELECT count(*) FROM staged").fetchall()[0][0])
        self.connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        rows = scan_sql(tables, {"identifier": 0}, scanned_columns(tables[0]))
        self.connection.execute(f"INSERT INTO staged BY NAME SELECT identifier, file, row_number FROM ({rows})")
        lines = LineNumbers()
        note_lines(self.connection, tables, first, lines)
        return lines

    def rows(self, reason: str) -> list[tuple[object, ...]]:
        """Rows with a reason, or with NULL."""
        sql = f"SELECT identifier, line, file FROM staged WHERE reason {reason} ORDER BY ALL"
        return self.connection.execute(sql).fetchall()


@pytest.fixture
def database() -> Iterator[Database]:
    with duckdb.connect() as connection:
        connection.execute(URL_MACROS)
        connection.execute(
            "CREATE TABLE staged (identifier VARCHAR, line BIGINT, file VARCHAR, reason VARCHAR, row_number BIGINT)"
        )
        yield Database(connection)


def table(path: Path, text: str, *blank: int) -> Table:
    path.write_bytes(text.encode())
    places = LinePlaces(text.count("\n"), 0, np.array(blank, np.int64))
    return Table(path, path.name, ("url", "id"), TextFormat(",", '"', 0), places=places)


def test_lines_with_other_numbers_of_cells_are_rejected_with_their_text_and_line(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    lines = database.read(table(path, "http://a/1,1\nhttp://a/2\n\nhttp://a/3,3\nhttp://a/4,4,more,still more\n", 2))
    assert database.rows("= 'unparsable_line'") == [
        ("http://a/2", 2, str(path)),
        ("http://a/4,4,more,still more", 5, str(path)),
    ]
    assert database.rows("IS NULL") == [("http://a/1", None, str(path)), ("http://a/3", None, str(path))]
    assert lines.fill([str(path)] * 2, [0, 1], [None, None]) == [1, 4]


def test_a_sound_text_has_no_rejected_row(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    lines = database.read(table(path, "http://a/1,1\nhttp://a/2,2\n"))
    assert database.rows("IS NOT NULL") == []
    assert lines.fill([str(path)] * 2, [1, 0], [None, None]) == [2, 1]


def test_files_that_are_read_together_have_lines_of_their_own(database: Database, tmp_path: Path) -> None:
    first = table(tmp_path / "1.csv", "http://a/1,1\nbroken\nhttp://a/2,2\n")
    second = table(tmp_path / "2.csv", "broken too\nhttp://b/1,1\n")
    database.read(table(tmp_path / "0.csv", "http://z/1,1\n"))
    database.connection.execute("SET preserve_insertion_order = true")
    lines = database.read(first, second)
    assert database.rows("= 'unparsable_line'") == [
        ("broken", 2, str(first.path)),
        ("broken too", 1, str(second.path)),
    ]
    sql = "SELECT rowid, identifier, file FROM staged WHERE reason IS NULL AND file <> ? ORDER BY rowid"
    found = database.connection.execute(sql, [str(tmp_path / "0.csv")]).fetchall()
    numbers = lines.fill([file for _, _, file in found], [row for row, _, _ in found], [None] * 3)
    assert {url: line for (_, url, _), line in zip(found, numbers, strict=True)} == {
        "http://a/1": 1, "http://a/2": 3, "http://b/1": 2,
    }  # fmt: skip


def test_of_a_long_line_the_beginning_is_kept(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    database.read(table(path, f"http://a/1,1\n{'x' * 2000}y\n"))
    assert database.rows("= 'unparsable_line'") == [("x" * 2000, 2, str(path))]


def test_the_ends_of_lines_are_not_text(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    database.read(table(path, "http://a/1,1\r\nshort\r\nhttp://a/2,2\r\nshorter\r\n"))
    assert database.rows("= 'unparsable_line'") == [("short", 2, str(path)), ("shorter", 4, str(path))]


def test_a_line_that_is_refused_for_several_reasons_is_one_row(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    given = table(path, "http://a/1,1\nhttp://a/2,2,3,4,5\n")
    path.write_bytes(b"http://a/1,1\nhttp://a/\xff,2,3,4,\xff\n")
    database.read(given)
    assert [(line, file) for _, line, file in database.rows("= 'unparsable_line'")] == [(2, str(path))]


def test_lines_of_several_texts_are_staged_and_nothing_is_left_registered(database: Database, tmp_path: Path) -> None:
    database.read(table(tmp_path / "a.csv", "http://a/1,1,x\nhttp://a/2,2\n"))
    database.read(table(tmp_path / "b.csv", "http://b/1,1\nhttp://b/2,2,y\n"))
    assert [(text, line) for text, line, _ in database.rows("= 'unparsable_line'")] == [
        ("http://a/1,1,x", 1),
        ("http://b/2,2,y", 2),
    ]
    with pytest.raises(duckdb.CatalogException):
        database.connection.sql("FROM refused")


def test_a_text_that_is_read_after_another_has_lines_of_its_own(database: Database, tmp_path: Path) -> None:
    database.read(table(tmp_path / "a.csv", "u,1\nv,2\n"))
    second = table(tmp_path / "b.csv", "w,3\nx,4,5\ny,6\n")
    lines = database.read(second)
    assert lines.fill([str(second.path)] * 2, [2, 3], [None, None]) == [1, 3]
