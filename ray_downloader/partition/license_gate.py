"""Rejects staged rows whose licence is not wanted. Each distinct text is checked once, in Python, not once per row."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pyarrow as pa

from ray_downloader.errors import UserError

_CHUNK_ROWS = 100_000


def reject_unwanted_licenses(connection: duckdb.DuckDBPyConnection, is_wanted: Callable[[str | None], bool]) -> None:
    """Set the reason `license` on rows with another licence or none; earlier reasons take precedence.

    Raises:
        UserError: No row states a licence.
    """
    rows, stated = connection.sql("SELECT count(*), count(license) FROM staged WHERE reason IS NULL").fetchall()[0]
    if rows and not stated:
        raise UserError(
            "dataset.licenses: no row of the list states a licence; name the column that does with "
            "dataset.columns={license: ...}, or state the licence of all with dataset.license=..."
        )
    connection.execute("CREATE OR REPLACE TABLE wanted_licenses (license VARCHAR)")
    distinct = connection.sql("SELECT DISTINCT license FROM staged WHERE reason IS NULL AND license IS NOT NULL")
    with connection.cursor() as writer:
        for chunk in distinct.to_arrow_reader(_CHUNK_ROWS):
            found = pa.table({"license": [text for text in chunk.column(0).to_pylist() if is_wanted(text)]})
            writer.register("found", found)
            writer.execute("INSERT INTO wanted_licenses SELECT license::VARCHAR FROM found")
            writer.unregister("found")
    connection.execute(
        "UPDATE staged SET reason = 'license' WHERE reason IS NULL"
        " AND (license IS NULL OR license NOT IN (SELECT license FROM wanted_licenses))"
    )
