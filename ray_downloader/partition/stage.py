"""Reads the input into the table `staged`: each row of the input, with the reason why it is rejected, if it is.

Only here are cells read; everything after works on `staged`. Its column `origin` is the part of a URL that decides
which server it belongs to, so that servers are worked out once for each of them and not once a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import duckdb

from ray_downloader.errors import UserError
from ray_downloader.partition.scan import literal, scan_sql
from ray_downloader.sources.base import VALUE_COLUMNS, Column, Companion, Source
from ray_downloader.sources.tables import MediaInput, Table, find_columns

Overrides = Mapping[str, tuple[str, ...]] | None

#: What a line that could not be cut into cells keeps of itself in `rejected.parquet`.
_MAX_LINE_LENGTH = 2000

#: Scheme and authority of a plainly written URL. Whatever looks odd is its own origin: then the parser sees all of it.
ORIGIN_SQL = r"""
coalesce(
    nullif(regexp_extract(identifier, '^((?i:https?)://[^/?#\\[:space:][:cntrl:]]+)(?:[/?#]|$)', 1), ''), identifier)
"""

_STAGED_SQL = """
CREATE OR REPLACE TABLE staged (uuid VARCHAR, source_id VARCHAR, identifier VARCHAR, license VARCHAR, source VARCHAR,
    title VARCHAR, creator VARCHAR, mirrors VARCHAR[], file VARCHAR, line BIGINT, reason VARCHAR, origin VARCHAR);
CREATE OR REPLACE TABLE companion (key VARCHAR, label VARCHAR);
CREATE OR REPLACE TABLE shown (path VARCHAR, name VARCHAR);
"""


def stage_rows(
    connection: duckdb.DuckDBPyConnection, inputs: Sequence[MediaInput], source: Source, overrides: Overrides
) -> None:
    """Fill `staged` with every row of the inputs.

    Raises:
        UserError: A column is missing, or a file cannot be read.
    """
    groups = _alike((one.media for one in inputs), source.columns, overrides, source.missing_hint)
    connection.execute(_STAGED_SQL)
    if source.companion:
        _stage_companions(connection, [one.companion for one in inputs if one.companion], source.companion)
    for tables, roles in groups:
        _read(connection, tables, f"INSERT INTO staged BY NAME {_staged_rows_sql(tables, roles, source)}")
        if tables[0].text:
            connection.execute(_UNPARSABLE_SQL)
    _note_names(connection, (one.media for one in inputs))


def _stage_companions(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], companion: Companion) -> None:
    for alike, roles in _alike(tables, companion.columns, None, ""):
        _read(
            connection,
            alike,
            f"INSERT INTO companion SELECT DISTINCT {companion.key}, {companion.label}"
            f" FROM ({scan_sql(alike, roles)}) WHERE {companion.where}",
        )


def _staged_rows_sql(tables: Sequence[Table], roles: Mapping[str, int | None], source: Source) -> str:
    whens = " ".join(f"WHEN {rule.when} THEN {literal(rule.reason)}" for rule in source.rejects)
    values = ", ".join(f"{_value_sql(name, source)} AS {name}" for name in VALUE_COLUMNS)
    return (
        f"SELECT *, {ORIGIN_SQL} AS origin FROM ("
        f"SELECT {values}, file, line, CASE {whens} END AS reason FROM ({scan_sql(tables, roles)}))"
    )


def _value_sql(name: str, source: Source) -> str:
    return source.values.get(name, name if name in source.columns else "NULL")


#: Lines that the reader refused: a wrong number of cells, bytes that are no UTF-8, a line beyond all bounds. A line may
#: be refused for several reasons at once and is one row all the same.
_UNPARSABLE_SQL = f"""
INSERT INTO staged BY NAME
SELECT left(any_value(csv_line), {_MAX_LINE_LENGTH}) AS identifier, any_value(file_path) AS file, line::BIGINT AS line,
    'unparsable_line' AS reason
FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY scan_id, file_id, line, line_byte_position
"""


def _alike(
    tables: Iterable[Table], wanted: Mapping[str, Column], overrides: Overrides, hint: str
) -> list[tuple[list[Table], dict[str, int | None]]]:
    """Tables with the same columns and format, together, so that 10,000 part files are one scan."""
    groups: dict[object, list[Table]] = defaultdict(list)
    for table in tables:
        groups[(table.columns, table.text)].append(table)
    return [(alike, find_columns(wanted, overrides, alike[0], hint)) for alike in groups.values()]


def _read(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], sql: str) -> None:
    connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    try:
        connection.execute(sql)
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException) as error:
        several = f" (or one of {len(tables) - 1} files like it)" if tables[1:] else ""
        reason = str(error).splitlines()[0]
        raise UserError(f"{tables[0].shown}{several} cannot be read: {reason}") from error


def _note_names(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Fill `shown(path, name)`: what the user knows unpacked copies by."""
    names = [(str(table.path), table.shown) for table in tables if str(table.path) != table.shown]
    if names:
        connection.executemany("INSERT INTO shown VALUES (?, ?)", names)
