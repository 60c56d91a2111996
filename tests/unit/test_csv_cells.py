"""No cell of a CSV is a formula, whether Python or DuckDB writes it, and each comes back as it was."""

from __future__ import annotations

import duckdb
import pytest

from ray_downloader.csv_cells import plain_cell, safe_cell
from ray_downloader.sql import literal, safe_columns

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff20a", "'=1", "''-1"]
PLAIN = ["", "'", "a", "'quoted'", " =1", "a=1", "http://a.example/1"]


@pytest.mark.parametrize("text", [*FORMULAS, *PLAIN], ids=repr)
def test_a_cell_is_safe_and_comes_back(text: str) -> None:
    expected = f"'{text}" if text in FORMULAS else text
    assert safe_cell(text) == expected
    assert plain_cell(expected) == text
    columns = safe_columns([("the text", "VARCHAR"), ("number", "INTEGER")])
    assert duckdb.sql(f'SELECT {columns} FROM (SELECT {literal(text)} AS "the text", -1 AS number)').fetchall() == [
        (expected, -1)
    ]


def test_numbers_are_left_as_they_are() -> None:
    assert safe_cell(-1) == -1
    assert safe_cell(None) is None
