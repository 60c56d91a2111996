"""The table beside the media: read once, then joined to each media row by its key.

`companion(key, label, license, kept_0, ...)` has one row per key. Core ids of publishers ("1", "2", ...) are unique
within their own archive only, so they are prefixed with it; GBIF's ids mean the same everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import duckdb

from ray_downloader.sources.base import Companion
from ray_downloader.sources.tables import Table


def create_companion(connection: duckdb.DuckDBPyConnection, kept: Sequence[str]) -> None:
    """Create the empty table; `kept` are the columns to carry along."""
    columns = ", ".join(f"{name} VARCHAR" for name in ("key", "label", "license", *kept_roles(kept)))
    connection.execute(f"CREATE OR REPLACE TABLE companion ({columns})")


def fill_companion_sql(
    rows: str, tables: Sequence[Table], roles: Collection[str], companion: Companion, kept: Sequence[str]
) -> str:
    """SQL that adds the rows of tables that look alike.

    Args:
        rows: SQL that scans the tables.
        tables: The tables.
        roles: Columns of `rows`.
        companion: What to read from them.
        kept: Columns to carry along.
    """
    license_sql = "license" if "license" in roles else "NULL"
    values = [scoped("core_id", tables, companion), companion.label, license_sql, *kept_roles(kept)]
    return (
        f"INSERT INTO companion SELECT {', '.join(values)} FROM ({rows})"
        " LEFT JOIN files ON file = path WHERE core_id IS NOT NULL"
    )


def keep_one_row_per_key(connection: duckdb.DuckDBPyConnection, kept: Sequence[str]) -> None:
    """Remove rows that repeat a key: they would duplicate the media rows that are joined to them."""
    repeated = connection.sql("SELECT count(*) > count(DISTINCT key) FROM companion").fetchall()[0][0]
    if repeated:
        names = ("label", "license", *kept_roles(kept))
        connection.execute(
            f"CREATE OR REPLACE TABLE companion AS SELECT key, {', '.join(f'taken.{name}' for name in names)} FROM"
            f" (SELECT key, min(struct_pack({', '.join(names)})) AS taken FROM companion GROUP BY key)"
        )


def joined_sql(rows: str, tables: Sequence[Table], companion: Companion | None, kept: Sequence[str]) -> str:
    """The rows of media tables, with the companion's columns for each: `companion_label`, `companion_kept_0`, ...

    Args:
        rows: SQL that scans the tables.
        companion: None if there is no such table.
        kept: Columns to carry along.
    """
    names = ("label", "license", *kept_roles(kept))
    if companion is None:
        return f"SELECT *, {', '.join(f'NULL::VARCHAR AS companion_{name}' for name in names)} FROM ({rows})"
    values = ", ".join(f"companion.{name} AS companion_{name}" for name in names)
    match = scoped(companion.match, tables, companion)
    scopes = " LEFT JOIN files ON file = path" if "scope" in match else ""
    keyed = f"SELECT scanned.*, {match} AS companion_key FROM ({rows}) AS scanned{scopes}"
    return f"SELECT keyed.*, {values} FROM ({keyed}) AS keyed LEFT JOIN companion ON companion.key = companion_key"


def kept_roles(kept: Sequence[str]) -> list[str]:
    """Names of the columns to carry along in `staged` and `companion`."""
    return [f"kept_{index}" for index in range(len(kept))]


def scoped(key: str, tables: Sequence[Table], companion: Companion) -> str:
    """SQL for a key, prefixed with its archive if it is unique only there."""
    if companion.global_column in tables[0].columns:
        return key
    return f"scope || chr(31) || {key}"
