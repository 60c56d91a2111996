"""Rows of the input with several URLs become several rows of `staged`."""

from __future__ import annotations

import duckdb

from ray_downloader.partition.url_cells import PART_MARK

#: The reason of a row whose URLs have become rows of their own: it no longer counts as a row.
DIVIDED = "divided"

#: Scheme and authority of a plainly written URL. Anything unusual is its own origin, so that the parser sees all of it.
ORIGIN_SQL = r"""
coalesce(
    nullif(regexp_extract(identifier, '^((?i:https?)://[^/?#\\[:space:][:cntrl:]]+)(?:[/?#]|$)', 1), ''), identifier)
"""

_HAS_PARTS = f"reason IS NULL AND contains(identifier, '{PART_MARK}')"

#: A uuid from the list would be the same for all parts, so each gets one derived from it and its URL.
_DIVIDE_SQL = f"""
INSERT INTO staged BY NAME
SELECT *, {ORIGIN_SQL} AS origin FROM (
    SELECT * EXCLUDE (identifier, uuid, part), one_url(part) AS identifier,
        CASE WHEN uuid IS NOT NULL THEN row_uuid(uuid, part) END AS uuid,
        lacks_scheme(without_quotes(part)) AS is_completed
    FROM (
        SELECT * EXCLUDE (is_completed, is_part, origin, row_number),
            coalesce(row_number, rowid) AS row_number, true AS is_part,
            trim(unnest(string_split(identifier, '{PART_MARK}'))) AS part
        FROM staged WHERE {_HAS_PARTS})
    WHERE part <> '');
UPDATE staged SET reason = '{DIVIDED}' WHERE {_HAS_PARTS};
"""


def divide_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """Give every URL of a row with several a row of its own, and set the original row's reason to `DIVIDED`."""
    if connection.sql(f"SELECT 1 FROM staged WHERE {_HAS_PARTS} LIMIT 1").fetchall():
        connection.execute(_DIVIDE_SQL)
