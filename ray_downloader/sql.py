"""Values, names and files as DuckDB's SQL spells them.

The only place that quotes, so that no path, licence or column name can end the literal that contains it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ray_downloader.csv_cells import FORMULA_STARTS


def literal(value: object) -> str:
    """The text of `value` as a string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def literals(values: Iterable[object]) -> str:
    """String literals separated by commas, for use after `IN`."""
    return ", ".join(map(literal, values))


def identifier(name: str) -> str:
    """The name of a column or table."""
    return '"' + name.replace('"', '""') + '"'


def file_list(paths: Iterable[Path]) -> str:
    """Exactly these files, in a form that `read_csv`, `read_parquet` and `parquet_metadata` accept."""
    return "[" + literals(_matching_only(str(path)) for path in paths) + "]"


def _matching_only(path: str) -> str:
    """The glob pattern that matches this path alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def safe_columns(columns: Iterable[tuple[str, str]]) -> str:
    """What to select so that no spreadsheet takes a cell for a formula (`csv_cells.py`).

    Args:
        columns: Names and types.
    """
    return ", ".join(_safe_text(identifier(name)) if kind == "VARCHAR" else identifier(name) for name, kind in columns)


def _safe_text(column: str) -> str:
    starts = "".join(f"\\x{{{ord(one):x}}}" for one in FORMULA_STARTS)
    pattern = literal(f"^'*[{starts}]")
    return f"CASE WHEN regexp_matches({column}, {pattern}) THEN chr(39) || {column} ELSE {column} END AS {column}"
