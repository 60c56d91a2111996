"""Reads the input into the table `staged`: each row of the input, with the reason why it is rejected, if it is.

Only here are cells read; everything after works on `staged`. Its column `origin` is the part of a URL that decides
which server it belongs to, so that servers are worked out once for each of them and not once a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import duckdb
import pyarrow as pa

from ray_downloader.errors import UserError
from ray_downloader.partition.companion import (
    create_companion,
    fill_companion_sql,
    joined_sql,
    keep_one_row_a_key,
    kept_roles,
)
from ray_downloader.partition.listed import listed_sql
from ray_downloader.partition.scan import scan_sql
from ray_downloader.sources.base import LISTED_COLUMNS, VALUE_COLUMNS, Column, Companion, Source
from ray_downloader.sources.tables import MediaInput, Table, find_columns
from ray_downloader.sql import literal

Overrides = Mapping[str, tuple[str, ...]] | None

#: What a line that could not be cut into cells keeps of itself in `rejected.parquet`.
_MAX_LINE_LENGTH = 2000

#: Scheme and authority of a plainly written URL. Whatever looks odd is its own origin: then the parser sees all of it.
ORIGIN_SQL = r"""
coalesce(
    nullif(regexp_extract(identifier, '^((?i:https?)://[^/?#\\[:space:][:cntrl:]]+)(?:[/?#]|$)', 1), ''), identifier)
"""


def stage_rows(
    connection: duckdb.DuckDBPyConnection,
    inputs: Sequence[MediaInput],
    source: Source,
    overrides: Overrides,
    kept: Sequence[str] = (),
) -> None:
    """Fill `staged` with every row of the inputs.

    Args:
        overrides: Names of columns by role, which replace the source's.
        kept: Columns to carry along as they are.

    Raises:
        UserError: A column is missing, or a file cannot be read.
    """
    stage = _Stage(connection, source, overrides, kept)
    stage.note_files([table for one in inputs for table in (one.media, *one.companions)])
    companions = [table for one in inputs for table in one.companions]
    if source.companion and companions:
        stage.companions(companions, source.companion)
    companion = source.companion if companions else None
    stage.media([one.media for one in inputs if one.core_lists is None], companion)
    for listed in ("all", "the rest"):
        stage.core([one.media for one in inputs if one.core_lists == listed], is_rest=listed == "the rest")


class _Stage:
    """Reads tables of one source into the database."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, source: Source, overrides: Overrides, kept: Sequence[str]
    ) -> None:
        self._connection = connection
        self._source = source
        self._overrides = overrides
        self._kept = kept
        names = [*VALUE_COLUMNS, "license_from", "checksum", "file", "reason", "origin", *kept_roles(kept)]
        columns = ", ".join(f"{name} {'VARCHAR[]' if name == 'mirrors' else 'VARCHAR'}" for name in names)
        connection.execute(f"CREATE OR REPLACE TABLE staged ({columns}, size_bytes BIGINT, line BIGINT)")
        connection.execute("CREATE OR REPLACE TABLE files (path VARCHAR, name VARCHAR, scope VARCHAR)")

    def note_files(self, tables: Sequence[Table]) -> None:
        """Fill `files`: what the user knows each by, and the archive that it is of."""
        paths = [str(table.path) for table in tables]
        noted = pa.table({"path": paths, "name": [one.shown for one in tables], "scope": [one.scope for one in tables]})
        self._connection.register("noted", noted)
        self._connection.execute("INSERT INTO files SELECT DISTINCT * FROM noted")
        self._connection.unregister("noted")

    def companions(self, tables: Sequence[Table], companion: Companion) -> None:
        """Fill `companion`."""
        create_companion(self._connection, self._kept)
        for alike, roles in self._group(tables, {**companion.columns, **self._kept_columns()}, None):
            self._read(alike, fill_companion_sql(alike, roles, companion, self._kept))
        keep_one_row_a_key(self._connection, self._kept)

    def media(self, tables: Sequence[Table], companion: Companion | None) -> None:
        """Fill `staged` with the rows of tables of media."""
        for alike, roles in self._group(tables, self._wanted(), self._overrides):
            self._read(alike, f"INSERT INTO staged BY NAME {self._rows_sql(self._source, alike, roles, companion)}")
            if alike[0].text:
                self._connection.execute(_UNPARSABLE_SQL)

    def core(self, tables: Sequence[Table], *, is_rest: bool) -> None:
        """Fill `staged` with the rows of cores that list media themselves.

        Args:
            is_rest: Take only those that list some, and of which no table of media of their archive has any.
        """
        if self._source.core is None:
            return
        for alike, roles in self._group(tables, {**self._source.core.columns, **self._kept_columns()}, None):
            rows = self._rows_sql(self._source.core, alike, roles, None)
            if is_rest:
                self._read(alike, f"INSERT INTO staged BY NAME SELECT * EXCLUDE scope FROM ({_REST_SQL.format(rows)})")
            else:
                self._read(alike, f"INSERT INTO staged BY NAME {rows}")
                self._connection.execute(_UNPARSABLE_SQL)

    def _wanted(self) -> dict[str, Column]:
        """The columns that are read, by role."""
        listed = {name: Column((name,)) for name in LISTED_COLUMNS if name in (self._overrides or {})}
        return {**listed, **self._source.columns, **self._kept_columns()}

    def _kept_columns(self) -> dict[str, Column]:
        return {role: Column((name,)) for role, name in zip(kept_roles(self._kept), self._kept, strict=True)}

    def _rows_sql(
        self, source: Source, tables: Sequence[Table], roles: Mapping[str, int | None], companion: Companion | None
    ) -> str:
        whens = " ".join(f"WHEN {rule.when} THEN {literal(rule.reason)}" for rule in source.rejects)
        values = {name: _value_sql(name, source) for name in VALUE_COLUMNS} | listed_sql(roles)
        stated = literal(source.stated_license) if source.stated_license else "NULL"
        values["license_from"] = (
            f"CASE WHEN {values['license']} IS NOT NULL THEN 'media'"
            f" WHEN companion_license IS NOT NULL THEN 'occurrence' WHEN {stated} IS NOT NULL THEN 'dataset' END"
        )
        values["license"] = f"coalesce({values['license']}, companion_license, {stated})"
        for role in kept_roles(self._kept):
            values[role] = role if roles[role] is not None else f"companion_{role}"
        columns = ", ".join(f"{sql} AS {name}" for name, sql in values.items())
        rows = joined_sql(scan_sql(tables, roles), tables, companion, self._kept)
        staged = f"SELECT {columns}, file, line, CASE {whens} END AS reason FROM ({rows})"
        return f"SELECT *, {ORIGIN_SQL} AS origin FROM ({staged})"

    def _group(
        self, tables: Iterable[Table], wanted: Mapping[str, Column], overrides: Overrides
    ) -> list[tuple[list[Table], dict[str, int | None]]]:
        """Tables with the same columns and format, together, so that 10,000 part files are one scan."""
        groups: dict[object, list[Table]] = defaultdict(list)
        for table in tables:
            groups[(table.columns, table.text, table.core_id)].append(table)
        hint = self._source.missing_hint
        return [(alike, find_columns(wanted, overrides, alike[0], hint)) for alike in groups.values()]

    def _read(self, tables: Sequence[Table], sql: str) -> None:
        self._connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        try:
            self._connection.execute(sql)
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException) as error:
            several = f" (or one of {len(tables) - 1} files like it)" if tables[1:] else ""
            reason = str(error).splitlines()[0]
            raise UserError(f"{tables[0].shown}{several} cannot be read: {reason}") from error


def _value_sql(name: str, source: Source) -> str:
    return source.values.get(name, name if name in source.columns else "NULL::VARCHAR")


#: Of the rows of cores, those that list media which no table of media of the same archive does.
_REST_SQL = """
SELECT core.*, scope FROM ({}) AS core JOIN files ON file = path
WHERE identifier IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM staged JOIN files AS theirs ON staged.file = theirs.path
    WHERE staged.source_id = core.source_id AND theirs.scope = files.scope)
"""

#: Lines that the reader refused: a wrong number of cells, bytes that are no UTF-8, a line beyond all bounds. A line may
#: be refused for several reasons at once and is one row all the same.
_UNPARSABLE_SQL = f"""
INSERT INTO staged BY NAME
SELECT left(any_value(csv_line), {_MAX_LINE_LENGTH}) AS identifier, any_value(file_path) AS file, line::BIGINT AS line,
    'unparsable_line' AS reason
FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY scan_id, file_id, line, line_byte_position
"""
