"""Lines that the reader refused become rejected rows: too many or too few cells, bytes that are not UTF-8, no end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa

from ray_downloader.partition.line_numbers import LineNumbers, StagedText
from ray_downloader.sources.lines import lines_at
from ray_downloader.sources.quotes import spoil_of
from ray_downloader.sources.tables import Table
from ray_downloader.sql import literal

#: How much of a line that could not be split into cells is kept in `rejected.parquet`.
MAX_LINE_LENGTH = 2000

#: A line may be refused for several reasons at once, but is still one row.
_REFUSED_SQL = f"""
SELECT file_path, line_byte_position, left(any_value(csv_line), {MAX_LINE_LENGTH})
FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY scan_id, file_id, file_path, line_byte_position
"""


def note_lines(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], first_row: int, lines: LineNumbers
) -> None:
    """Record where the rows of the texts are that were just staged, and stage the lines that were refused.

    Args:
        connection: With the table `staged`.
        tables: Texts that were read together.
        first_row: Number of their first row in `staged`.
        lines: Receives the places.
    """
    rows = _rows_of_files(connection, tables, first_row)
    refused = _refused(connection)
    for table in tables:
        path = str(table.path)
        bad = sorted(refused.get(path, ()))
        numbers = np.array(lines_at(table.path, [place for place, _ in bad]), np.int64)
        if table.places:
            lines.add(path, StagedText(*rows.get(path, (first_row, 0)), table.places, numbers))
        if bad and table.text:
            texts = [text.removesuffix(spoil_of(table.text, len(table.columns))) for _, text in bad]
            _stage(connection, path, texts, (numbers + 1).tolist())


def _rows_of_files(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], first_row: int
) -> Mapping[str, tuple[int, int]]:
    """First row and number of rows by path."""
    if len(tables) == 1:
        count = connection.sql("SELECT count(*) FROM staged").fetchall()[0][0]
        return {str(tables[0].path): (first_row, int(count) - first_row)}
    found = connection.sql(
        f"SELECT file, min(coalesce(row_number, rowid)), count(*) FROM staged WHERE rowid >= {first_row} GROUP BY file"
    )
    return {file: (first, count) for file, first, count in found.fetchall()}


def _refused(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[int, str]]]:
    """Place of the first byte, and text, of each refused line by path."""
    refused: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for file, place, line in connection.sql(_REFUSED_SQL).fetchall():
        # After a carriage return, DuckDB lets the line begin at its line feed.
        refused[file].append((place + line.startswith("\n"), line.strip("\r\n")))
    return refused


def _stage(connection: duckdb.DuckDBPyConnection, path: str, texts: Sequence[str], lines: Sequence[int]) -> None:
    refused = pa.table({"identifier": pa.array(texts, pa.string()), "line": pa.array(lines, pa.int64())})
    connection.register("refused", refused)
    connection.execute(
        f"INSERT INTO staged BY NAME SELECT *, {literal(path)} AS file, 'unparsable_line' AS reason FROM refused"
    )
    connection.unregister("refused")
