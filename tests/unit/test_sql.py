from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.sql import file_list, identifier, literal, literals

AWKWARD = ["plain", "O'Brien", "''", 'a "b"', "'; DROP TABLE x; --", "back\\slash", "line\nbreak", "ünï", ""]


@pytest.mark.parametrize("text", AWKWARD)
def test_a_literal_is_read_back_as_it_was(text: str) -> None:
    assert duckdb.connect().sql(f"SELECT {literal(text)}").fetchall() == [(text,)]


def test_a_list_of_literals_selects_each_of_them() -> None:
    query = f"SELECT x FROM unnest($1) AS t(x) WHERE x IN ({literals(AWKWARD[:4])})"
    found = duckdb.connect().execute(query, [AWKWARD])
    assert [text for (text,) in found.fetchall()] == AWKWARD[:4]


@pytest.mark.parametrize("name", [name for name in AWKWARD if name])
def test_an_identifier_names_a_column_whatever_is_in_it(name: str) -> None:
    assert duckdb.connect().sql(f"SELECT 1 AS {identifier(name)}").columns == [name]


@pytest.mark.parametrize("name", ["a*b.parquet", "a?b.parquet", "a[1].parquet", "it's.parquet"])
def test_only_the_files_that_are_listed_are_read(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / name)
    pq.write_table(pa.table({"x": [2]}), tmp_path / "aXb.parquet")  # what `a*b` and `a?b` would match as patterns
    pq.write_table(pa.table({"x": [3]}), tmp_path / "a1.parquet")
    assert duckdb.connect().sql(f"SELECT x FROM read_parquet({file_list([tmp_path / name])})").fetchall() == [(1,)]
