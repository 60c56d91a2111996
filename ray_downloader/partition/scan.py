"""SQL that reads tables of the input: text with DuckDB's CSV reader, parquet with its own. Data in, SQL out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ray_downloader.partition.url_cells import PART_MARK
from ray_downloader.sources.names import URL_NAMES, bare
from ray_downloader.sources.tables import Table
from ray_downloader.sources.text import MIRROR_MARK
from ray_downloader.sql import file_list, identifier, literal

#: Removed from both ends of a cell: white space, the no-break space, and a byte order mark within a file.
_WHITE_SPACE = " \t\r\n\f\v\u00a0\ufeff"
#: Longest line of JSON: rows may contain whole pictures. (For other text the limit is DuckDB's, 2 MB.)
_MAX_JSON_LINE_BYTES = 1 << 25


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type of DuckDB.

    Args:
        kind: Its family, such as `varchar`, `list`, `struct`.
        members: The types of a struct's fields by name; of a list, its element as `child`.
    """

    kind: str
    members: tuple[tuple[str, SqlType], ...] = ()


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column as DuckDB knows it."""

    name: str
    type: SqlType


TEXT = SqlType("varchar")


def scan_sql(
    tables: Sequence[Table],
    roles: Mapping[str, int | None],
    columns: Sequence[SqlColumn],
    first_row: int | None = None,
) -> str:
    """A SELECT of the cleaned columns of tables that look alike, named by role.

    It has the further columns `file`, `line`, `refused` (the text of a line that cannot be read, else NULL),
    `is_completed` (the identifier lacked a scheme) and `row_number`.

    Args:
        tables: Tables with the same columns and text format.
        roles: Position of the column for each role.
        columns: As DuckDB knows them, in the same order.
        first_row: Number of the first row, from which `row_number` counts; None leaves it NULL. Counting occupies a
            core, and is needed only if a later step does not preserve the order.
    """
    text = tables[0].text
    values = {role: _value(role, index, tables[0], columns) for role, index in roles.items()}
    if text and text.has_mirrors:
        values["mirrors"] = f"nullif(string_split(c0, {literal(MIRROR_MARK)})[2:], [])"
    cells = ", ".join(f"{value} AS {role}" for role, value in values.items())
    line = "NULL::BIGINT" if text else "file_row_number + 1"
    refused = "CASE WHEN NOT coalesce(json_valid(c0), false) THEN c0 END" if text and text.is_json else "NULL::VARCHAR"
    # A blank line in a table with one column is not a row, just as in a table with more columns.
    rows = f" WHERE {columns[0].name} IS NOT NULL" if text and len(columns) == 1 else ""
    scan = _text_scan(tables, columns) if text else _parquet_scan(tables)
    number = "NULL::BIGINT" if first_row is None else f"{first_row} + row_number() OVER () - 1"
    inner = (
        f"SELECT {cells}, filename AS file, {line} AS line, {refused} AS refused, {number} AS row_number"
        f" FROM {scan}{rows}"
    )
    if "identifier" not in roles:
        return f"SELECT *, false AS is_completed FROM ({inner})"
    return (
        "SELECT * REPLACE (url_of_cell(identifier) AS identifier),"
        " CASE WHEN starts_with(identifier, 'http') THEN false ELSE lacks_scheme(without_quotes(identifier)) END"
        " AS is_completed"
        f" FROM ({inner})"
    )


def scanned_columns(table: Table) -> list[SqlColumn]:
    """The columns of a text."""
    assert table.text is not None, "only called for text"
    count = 1 if table.text.is_json else len(table.columns)
    return [SqlColumn(f"c{index}", TEXT) for index in range(count)]


def parquet_rows(tables: Sequence[Table]) -> str:
    """A SELECT of all columns of parquet files, to find out their names and types."""
    return f"SELECT * FROM read_parquet({_files(tables)})"


def _value(role: str, index: int | None, table: Table, columns: Sequence[SqlColumn]) -> str:
    if index is None:
        return "NULL::VARCHAR"
    if table.text and table.text.is_json:
        paths = dict.fromkeys(map(_json_path, ([table.columns[index]], table.columns[index].split("."))))
        values = ", ".join(f"json_extract_string(c0, {literal(path)})" for path in paths)
        return _cleaned(f"CASE WHEN json_valid(c0) THEN coalesce({values}) END")
    if table.text and table.text.has_mirrors:
        return _cleaned(f"string_split(c0, {literal(MIRROR_MARK)})[1]")
    name = columns[index].name if table.text else identifier(columns[index].name)
    return _cleaned(_text(name, columns[index].type, role))


def _json_path(names: Sequence[str]) -> str:
    """JSONPath of a key, or of a key in nested objects."""
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return "$" + "".join(f'."{name}"' for name in quoted)


def _text(value: str, kind: SqlType, role: str) -> str:  # noqa: PLR0911 (one return per kind)
    """A value of any type as text: whole numbers without a point, bytes as the text or uuid that they are."""
    if kind.kind in {"varchar", "enum"}:
        return value
    if kind.kind in {"double", "float"}:
        written = f"{value}::VARCHAR"
        whole = f"isfinite({value}) AND {value} = trunc({value}) AND abs({value}) < 1e38"
        # Not `isnan`: DuckDB takes it for false if the minimum and maximum of a parquet file are numbers, as they leave
        # NaN out.
        missing = f"contains({written}, 'nan')"
        return f"CASE WHEN {missing} THEN NULL WHEN {whole} THEN {value}::HUGEINT::VARCHAR ELSE {written} END"
    if kind.kind == "decimal":
        return rf"regexp_replace({value}::VARCHAR, '\.0+$', '')"
    if kind.kind == "blob":
        return f"text_of_bytes({value}, {'true' if role == 'uuid' else 'false'})"
    if kind.kind == "list":
        element = _text("element", kind.members[0][1], role)
        mark = literal(PART_MARK if role == "identifier" else "; ")
        return f"array_to_string(list_transform({value}, lambda element: {element}), {mark})"
    if kind.kind == "struct" and (field := _url_field(kind)):
        return _text(f"{value}.{identifier(field[0])}", field[1], role)
    return f"{value}::VARCHAR"


def _url_field(kind: SqlType) -> tuple[str, SqlType] | None:
    """The field of a struct that contains a URL: Hugging Face's pictures have `bytes` and `path`."""
    by_name = {bare(name): (name, member) for name, member in kind.members}
    return next((by_name[name] for name in map(bare, (*URL_NAMES, "path")) if name in by_name), None)


def _cleaned(text: str) -> str:
    """The trimmed cell, NULL if nothing is left.

    Most cells begin and end with a visible ASCII character and are used as they are: trimming a set of characters costs
    several times as much as all other reading (2 M GBIF rows, 10 columns: 4.8 s of CPU time; this way 0.6 s).
    """
    visible = f"ascii({text}) BETWEEN 33 AND 126 AND ascii(({text})[-1]) BETWEEN 33 AND 126"
    return f"CASE WHEN {visible} THEN {text} ELSE nullif(trim({text}, {literal(_WHITE_SPACE)}), '') END"


def _files(tables: Iterable[Table]) -> str:
    return file_list(table.path for table in tables)


def _text_scan(tables: Sequence[Table], columns: Sequence[SqlColumn]) -> str:
    text = tables[0].text
    assert text is not None, "only called for text"
    names = ", ".join(f"{literal(column.name)}: 'VARCHAR'" for column in columns)
    longest = f", max_line_size={_MAX_JSON_LINE_BYTES}" if text.is_json else ""
    # strict_mode=true: otherwise cells beyond the last column are dropped. The drawbacks, that it refuses a file with
    # mixed line ends and misreads broken quotes, are handled beforehand (sources/lines.py, sources/quotes.py).
    return (
        f"read_csv({_files(tables)}, auto_detect=false, header=false, skip={text.skip_lines},"
        f" delim={literal(text.delimiter)}, quote={literal(text.quote)}, escape={literal(text.escape or text.quote)},"
        f" columns={{{names}}}, strict_mode=true, store_rejects=true, rejects_limit=0, filename=true,"
        f" compression='none'{longest})"
    )


def _parquet_scan(tables: Sequence[Table]) -> str:
    return f"read_parquet({_files(tables)}, filename=true, file_row_number=true)"


#: `text_of_bytes(value, is_uuid)`: bytes that are text, or 16 bytes that are a uuid; others as hexadecimal digits.
BYTES_MACROS = """
CREATE OR REPLACE TEMP MACRO uuid_of_digits(digits) AS
    digits[1:8] || '-' || digits[9:12] || '-' || digits[13:16] || '-' || digits[17:20] || '-' || digits[21:32];
CREATE OR REPLACE TEMP MACRO digits_of_bytes(value) AS
    CASE WHEN octet_length(value) = 16 THEN uuid_of_digits(lower(hex(value))) ELSE lower(hex(value)) END;
CREATE OR REPLACE TEMP MACRO text_of_bytes(value, is_uuid) AS
    CASE WHEN is_uuid AND octet_length(value) = 16 THEN digits_of_bytes(value)
         ELSE coalesce(TRY(decode(value)), digits_of_bytes(value)) END;
"""
