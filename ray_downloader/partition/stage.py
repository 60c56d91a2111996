"""Reads the input into the table `staged`: each row of the input, with the reason if it is rejected.

Cells are read only here; everything after works on `staged`. Its column `origin` is the part of a URL that decides
which server it belongs to, so that the server is determined once per origin and not once per row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from ray_downloader.errors import UserError
from ray_downloader.partition.companion import (
    create_companion,
    fill_companion_sql,
    joined_sql,
    keep_one_row_per_key,
    kept_roles,
)
from ray_downloader.partition.database import is_about_files
from ray_downloader.partition.line_numbers import LineNumbers
from ray_downloader.partition.listed import listed_sql
from ray_downloader.partition.parts import ORIGIN_SQL, divide_rows
from ray_downloader.partition.refused import MAX_LINE_LENGTH, note_lines
from ray_downloader.partition.scan import BYTES_MACROS, SqlColumn, SqlType, parquet_rows, scan_sql, scanned_columns
from ray_downloader.partition.url_cells import URL_MACROS
from ray_downloader.sources.base import LISTED_COLUMNS, VALUE_COLUMNS, Column, Companion, Source
from ray_downloader.sources.tables import MediaInput, Table, defaults_of, find_columns, how_read
from ray_downloader.sql import literal

#: How many URLs are looked at before the list is read.
FIRST_URLS = 1_000

Overrides = Mapping[str, tuple[str, ...]] | None


@dataclass(frozen=True, slots=True)
class Staged:
    """What was learned while reading rows.

    Args:
        read_as: How each kind of list was read, in words.
        lines: Where the rows of texts are.
    """

    read_as: list[str]
    lines: LineNumbers


@dataclass(frozen=True, slots=True)
class Reading:
    """Lists that are read as one dataset."""

    source: Source
    inputs: Sequence[MediaInput]


def stage_rows(
    connection: duckdb.DuckDBPyConnection,
    readings: Sequence[Reading],
    overrides: Overrides,
    kept: Sequence[str] = (),
) -> Staged:
    """Fill `staged` with every row of the inputs.

    Args:
        overrides: Names of columns by role; they replace those of the sources.
        kept: Columns to carry along unchanged.

    Raises:
        UserError: A column is missing, or a file cannot be read.
    """
    _create_tables(connection, kept)
    inputs = [one for reading in readings for one in reading.inputs]
    _note_files(connection, [table for one in inputs for table in (one.media, *one.companions)])
    staged = Staged([], LineNumbers())
    for reading in readings:
        stage = _Stage(connection, reading.source, overrides, kept, staged)
        companions = [table for one in reading.inputs for table in one.companions]
        if reading.source.companion and companions:
            stage.companions(companions, reading.source.companion)
        companion = reading.source.companion if companions else None
        stage.media([one.media for one in reading.inputs if one.core_lists is None], companion)
        for listed in ("all", "the rest"):
            core = [one.media for one in reading.inputs if one.core_lists == listed]
            stage.core(core, is_rest=listed == "the rest")
    divide_rows(connection)
    scopes = Counter(one.media.scope for one in inputs if one.media.scope and one.core_lists is None)
    if any(tables > 1 for tables in scopes.values()):
        connection.execute(_REPEATED_SQL)
    if connection.sql("SELECT 1 FROM staged WHERE medium IS NOT NULL LIMIT 1").fetchall():
        connection.execute(_OTHER_VARIANTS_SQL)
    return staged


def stage_pictures(
    connection: duckdb.DuckDBPyConnection, reading: Reading, kept: Sequence[str], staged: Staged
) -> None:
    """Add the rows of a table that was made from what the list names."""
    tables = [one.media for one in reading.inputs]
    _note_files(connection, tables)
    _Stage(connection, reading.source, None, kept, Staged([], staged.lines)).media(tables, None)
    divide_rows(connection)


def _create_tables(connection: duckdb.DuckDBPyConnection, kept: Sequence[str]) -> None:
    names = [*VALUE_COLUMNS, "license_from", "checksum", "file", "reason", "origin", "medium", "listed", "detail"]
    names += kept_roles(kept)
    columns = ", ".join(f"{name} {'VARCHAR[]' if name == 'mirrors' else 'VARCHAR'}" for name in names)
    # `row_number` is the number of a row, if that is not its number in the table.
    connection.execute(
        f"CREATE OR REPLACE TABLE staged ({columns}, variant_rank INTEGER, size_bytes BIGINT, line BIGINT,"
        " is_completed BOOLEAN, is_part BOOLEAN, row_number BIGINT)"
    )
    connection.execute(URL_MACROS + BYTES_MACROS)
    connection.execute("CREATE OR REPLACE TABLE files (path VARCHAR, name VARCHAR, scope VARCHAR, place INTEGER)")


def _note_files(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Fill `files`: the name by which the user knows each, and the archive to which it belongs."""
    noted = pa.table(
        {
            "path": [str(table.path) for table in tables],
            "name": [one.shown for one in tables],
            "scope": [one.scope for one in tables],
            "place": range(len(tables)),
        }
    )
    connection.register("noted", noted)
    connection.execute(
        "INSERT INTO files SELECT path, any_value(name), any_value(scope), min(place) FROM noted GROUP BY path"
    )
    connection.unregister("noted")


def first_urls(connection: duckdb.DuckDBPyConnection, reading: Reading, overrides: Overrides) -> list[str]:
    """Some URLs from the beginning of the list, before the whole of it is read; none if a core lists the media.

    Raises:
        UserError: A column is missing, or a file cannot be read.
    """
    _create_tables(connection, ())
    stage = _Stage(connection, reading.source, overrides, (), Staged([], LineNumbers()))
    return stage.first_urls([one.media for one in reading.inputs if one.core_lists is None][:1])


class _Stage:
    """Reads the tables of one source into the database."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: Source,
        overrides: Overrides,
        kept: Sequence[str],
        staged: Staged,
    ) -> None:
        self._connection = connection
        self._source = source
        self._overrides = overrides
        self._kept = kept
        self._staged = staged

    def first_urls(self, tables: Sequence[Table]) -> list[str]:
        """URLs of the first accepted rows of tables."""
        urls: list[str] = []
        for alike, roles in self._group(tables, self._wanted(), self._overrides):
            rows = self._rows_sql(self._source, alike, roles, None, None)
            sql = f"SELECT identifier FROM ({rows}) WHERE reason IS NULL AND identifier IS NOT NULL LIMIT {FIRST_URLS}"
            urls += [url for (url,) in self._query(alike, sql)]
        return urls

    def companions(self, tables: Sequence[Table], companion: Companion) -> None:
        """Fill `companion`."""
        create_companion(self._connection, self._kept)
        for alike, roles in self._group(tables, {**companion.columns, **self._kept_columns()}, None):
            rows = scan_sql(alike, roles, self._columns(alike))
            self._read(alike, fill_companion_sql(rows, alike, roles, companion, self._kept))
        keep_one_row_per_key(self._connection, self._kept)

    def media(self, tables: Sequence[Table], companion: Companion | None) -> None:
        """Fill `staged` with the rows of tables of media."""
        wanted = self._wanted()
        for alike, roles in self._group(tables, wanted, self._overrides):
            self._read_all(self._source, alike, roles, companion)
            self._staged.read_as.append(how_read(alike, roles, wanted, self._source.url_roles))

    def _read_all(
        self, source: Source, tables: Sequence[Table], roles: Mapping[str, int | None], companion: Companion | None
    ) -> None:
        """Stage every row of tables with the same columns and format."""
        is_text = tables[0].text is not None
        self._connection.execute(f"SET preserve_insertion_order = {is_text}")  # a text's rows are found by their order
        first_row = int(self._connection.sql("SELECT count(*) FROM staged").fetchall()[0][0])
        rows = self._rows_sql(source, tables, roles, companion, first_row if companion and is_text else None)
        self._read(tables, f"INSERT INTO staged BY NAME {rows}")
        self._connection.execute("SET preserve_insertion_order = false")
        if is_text:
            note_lines(self._connection, tables, first_row, self._staged.lines)

    def _columns(self, tables: Sequence[Table]) -> list[SqlColumn]:
        """The columns as DuckDB knows them: it renames one of two that differ in letter case only."""
        if tables[0].text:
            return scanned_columns(tables[0])
        with _naming(tables):
            relation = self._connection.sql(parquet_rows(tables[:1]))
        return [SqlColumn(name, _sql_type(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)]

    def core(self, tables: Sequence[Table], *, is_rest: bool) -> None:
        """Fill `staged` with the rows of cores that list media themselves.

        Args:
            is_rest: Use only rows that list media and for which no table of media of their archive has any.
        """
        if self._source.core is None:
            return
        wanted = {**self._source.core.columns, **self._kept_columns()}
        for alike, roles in self._group(tables, wanted, None):
            self._staged.read_as.append(how_read(alike, roles, wanted))
            if is_rest:
                rows = self._rows_sql(self._source.core, alike, roles, None, None)
                self._read(alike, f"INSERT INTO staged BY NAME SELECT * EXCLUDE scope FROM ({_REST_SQL.format(rows)})")
            else:
                self._read_all(self._source.core, alike, roles, None)

    def _wanted(self) -> dict[str, Column]:
        """The columns that are read, by role."""
        listed = {name: Column((name,)) for name in LISTED_COLUMNS if name in (self._overrides or {})}
        return {**listed, **self._source.columns, **self._kept_columns()}

    def _kept_columns(self) -> dict[str, Column]:
        return {role: Column((name,)) for role, name in zip(kept_roles(self._kept), self._kept, strict=True)}

    def _rows_sql(
        self,
        source: Source,
        tables: Sequence[Table],
        roles: Mapping[str, int | None],
        companion: Companion | None,
        first_row: int | None,
    ) -> str:
        """Rows of `staged`; numbered from `first_row`, if that is given, as joins do not preserve the order of rows."""
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
        values |= {name: name for name in ("listed", "detail") if name in source.columns}
        if tables[0].text and tables[0].text.has_mirrors:
            values["mirrors"] = "mirrors"
        values["identifier"] = f"coalesce(left(refused, {MAX_LINE_LENGTH}), {values['identifier']})"
        if source.variants and roles.get(source.variants.role) is not None:
            values |= {"medium": source.variants.medium, "variant_rank": source.variants.rank}
        columns = ", ".join(f"{sql} AS {name}" for name, sql in values.items())
        rows = scan_sql(tables, roles, self._columns(tables), first_row)
        wanted = {**source.columns, **self._kept_columns()}
        stated_values = defaults_of(wanted, {role: roles[role] for role in wanted}, tables[0])
        if stated_values:
            filled = ", ".join(f"coalesce({role}, {literal(text)}) AS {role}" for role, text in stated_values.items())
            rows = f"SELECT * REPLACE ({filled}) FROM ({rows})"
        rows = joined_sql(rows, tables, companion, self._kept)
        missing = ", ".join(literal(role) for role, index in roles.items() if index is None)
        rows = f"SELECT *, [{missing}]::VARCHAR[] AS missing_columns FROM ({rows})"
        for role, sql in source.derived.items():
            rows = f"SELECT *, {sql} AS {role} FROM ({rows})"
        staged = (
            f"SELECT {columns}, file, line, is_completed, row_number,"
            f" CASE WHEN refused IS NOT NULL THEN 'unparsable_line' {whens} END AS reason FROM ({rows})"
        )
        return f"SELECT *, {ORIGIN_SQL} AS origin FROM ({staged})"

    def _group(
        self, tables: Iterable[Table], wanted: Mapping[str, Column], overrides: Overrides
    ) -> list[tuple[list[Table], dict[str, int | None]]]:
        """Tables with the same columns and format, grouped, so that 10,000 part files are one scan."""
        hint = self._source.missing_hint
        groups: dict[object, tuple[list[Table], dict[str, int | None]]] = {}
        for table in tables:
            roles = find_columns(wanted, overrides, table, hint)  # a column may have URLs in some files only
            looks = (table.columns, table.text, table.types, table.core_id, table.defaults, *roles.values())
            groups.setdefault(looks, ([], roles))[0].append(table)
        return list(groups.values())

    def _read(self, tables: Sequence[Table], sql: str) -> None:
        self._query(tables, sql)

    def _query(self, tables: Sequence[Table], sql: str) -> list[tuple[Any, ...]]:
        self._connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        with _naming(tables):
            rows: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
        return rows


@contextmanager
def _naming(tables: Sequence[Table]) -> Iterator[None]:
    """Name the tables that are read in an error about them."""
    try:
        yield
    except duckdb.Error as error:
        if not is_about_files(error):
            raise
        several = f" (or one of {len(tables) - 1} files like it)" if tables[1:] else ""
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{tables[0].shown}{several} cannot be read: {reason}") from error


def _value_sql(name: str, source: Source) -> str:
    return source.values.get(name, name if name in source.columns else "NULL::VARCHAR")


#: From the rows of cores, those that list media that no table of media of the same archive has.
_REST_SQL = """
SELECT core.*, scope FROM ({}) AS core JOIN files ON file = path
WHERE identifier IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM staged JOIN files AS theirs ON staged.file = theirs.path
    WHERE staged.source_id = core.source_id AND theirs.scope = files.scope)
"""


#: Publishers list a medium in several tables of one archive, in Simple Multimedia and in Audubon Core: it counts once.
_REPEATED_SQL = """
UPDATE staged SET reason = 'repeated' FROM (
    SELECT number FROM (
        SELECT staged.rowid AS number, place, min(place) OVER (PARTITION BY scope, source_id, identifier) AS first_place
        FROM staged JOIN files ON file = path WHERE reason IS NULL AND scope <> '')
    WHERE place > first_place) AS later
WHERE staged.rowid = later.number
"""


#: Of the rows that are variants of one medium, those that are not of the best that it has.
_OTHER_VARIANTS_SQL = """
UPDATE staged SET reason = 'other_variant' FROM (
    SELECT number FROM (
        SELECT staged.rowid AS number, variant_rank,
            min(variant_rank) OVER (PARTITION BY coalesce(nullif(scope, ''), path), source_id, medium) AS best_rank
        FROM staged JOIN files ON file = path WHERE reason IS NULL AND medium IS NOT NULL)
    WHERE variant_rank > best_rank) AS worse
WHERE staged.rowid = worse.number
"""


def _sql_type(kind: Any) -> SqlType:
    members = kind.children if kind.id in {"list", "struct"} else ()
    return SqlType(kind.id, tuple((name, _sql_type(member)) for name, member in members))
