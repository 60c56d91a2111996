"""Reads the beginning of a text list and says how the rest is to be read: delimiter, quoting, header, column names."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.errors import UserError
from ray_downloader.sources.meta import TableDescription
from ray_downloader.sources.tables import Table, TextFormat

#: How much of a file is looked at. A header line is far shorter (GBIF's occurrence.txt: 4 kB).
HEAD_SIZE_BYTES = 1 << 20

_URL = re.compile(r'\s*"?\s*https?:', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_DELIMITERS = "\t,;|"
#: Lines that must agree before a list without a header is believed to have several columns.
_LINES_COMPARED = 50


@dataclass(frozen=True, slots=True)
class TextRules:
    """What is known about a text before it is looked at; None leaves it to what is found.

    Args:
        has_header: Whether the first line names the columns (`downloader_parameters.header`).
        quoted_tabs: Whether tab-separated text obeys CSV quoting (`Source.quoted_tabs`).
    """

    has_header: bool | None = None
    quoted_tabs: bool = True


def read_text_table(path: Path, shown: str, ending: str, rules: TextRules) -> Table | None:
    """The table in a UTF-8 text file, or None if it has no row.

    Args:
        path: The file.
        shown: What the user knows it by.
        ending: `.txt`, `.csv` or `.tsv`: what its name says about quoting.
        rules: What is known about it.

    Raises:
        UserError: Its first line cannot be read.
    """
    head, complete = read_head(path)
    lines = head.splitlines()
    blank = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    if blank == len(lines):
        return None
    delimiter, quote = _dialect(lines[blank:], ending, rules)
    cells, used = split_first_row(lines[blank:], delimiter, quote, shown)
    has_header = not any(map(_URL.match, cells)) if rules.has_header is None else rules.has_header
    skipped = blank + (used if has_header else 0)
    if complete and not any(line.strip() for line in lines[skipped:]):
        return None
    columns = tuple(cells) if has_header else _numbered(cells)
    return Table(path, shown, columns, TextFormat(delimiter, quote, skipped))


def described_text_table(path: Path, shown: str, description: TableDescription) -> Table | None:
    """The table in a UTF-8 text file of an archive, read as its descriptor says; None if it has no row.

    Names come from the descriptor, and from the header row for columns that it does not name.

    Raises:
        UserError: File and descriptor contradict each other.
    """
    head, complete = read_head(path)
    lines = head.splitlines()
    if not any(line.strip() for line in lines):
        return None
    delimiter, quote = description.delimiter, description.quote
    if len(delimiter) != 1 or len(quote) > 1:
        raise UserError(
            f"meta.xml says that cells of {shown} are cut by {delimiter!r} and {quote!r}, not by one character"
        )
    cells, _ = split_first_row(lines, delimiter, quote, shown)
    beyond = [name for index, name in description.names.items() if index >= len(cells)]
    if beyond:
        raise UserError(f"meta.xml names the column {beyond[0]} of {shown}, which has only {len(cells)} columns")
    if complete and not any(line.strip() for line in lines[description.header_lines :]):
        return None
    header = cells if description.header_lines else _numbered(cells)
    columns = tuple(description.names.get(index, name) for index, name in enumerate(header))
    return Table(path, shown, columns, TextFormat(delimiter, quote, description.header_lines))


def read_head(path: Path) -> tuple[str, bool]:
    """The first megabyte of a text, and whether that is all of it."""
    with path.open("rb") as file:
        head = file.read(HEAD_SIZE_BYTES + 1)
    text = head[:HEAD_SIZE_BYTES].decode("utf-8", "replace").removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n"), len(head) <= HEAD_SIZE_BYTES


def split_first_row(lines: list[str], delimiter: str, quote: str, shown: str) -> tuple[list[str], int]:
    """The cells of the first row, and how many lines it takes.

    Raises:
        UserError: The quoting of the row is broken.
    """
    if not quote:
        return lines[0].split(delimiter), 1
    reader = csv.reader(
        (f"{line}\n" for line in lines), delimiter=delimiter, quotechar=quote, skipinitialspace=True, strict=True
    )
    try:
        return next(reader), reader.line_num
    except csv.Error as error:
        raise UserError(f"the first line of {shown} cannot be read as CSV: {error}") from None


def _dialect(lines: list[str], ending: str, rules: TextRules) -> tuple[str, str]:
    """Delimiter and quote character; a list of one column has the tab, which no URL contains."""
    delimiter = _delimiter(lines, ending)
    if delimiter is None:
        return "\t", "" if ending == ".txt" and not lines[0].lstrip().startswith('"') else '"'
    if delimiter == "\t":
        return "\t", '"' if rules.quoted_tabs and ending != ".txt" else ""
    return delimiter, '"'


def _delimiter(lines: list[str], ending: str) -> str | None:
    """The delimiter that occurs most in the first line, or None if the list has one column.

    1. A header: URLs do not disturb it.
    2. A first line with URLs, in which delimiters may be part of them: in `.txt` only the tab counts, elsewhere a
       delimiter counts if it occurs as often in each of the next lines.
    """
    bare = [_QUOTED.sub("", line) for line in lines[:_LINES_COMPARED] if line.strip()]
    candidates = [delimiter for delimiter in _DELIMITERS if delimiter in bare[0]]
    if _holds_url(lines[0]):
        if ending == ".txt":
            candidates = [delimiter for delimiter in candidates if delimiter == "\t"]
        candidates = [one for one in candidates if len({line.count(one) for line in bare}) == 1]
    if ending == ".tsv" and "\t" in candidates:
        return "\t"
    return max(candidates, key=bare[0].count, default=None)


def _holds_url(line: str) -> bool:
    return any(_URL.match(cell) for cell in re.split(r"[\t,;|]", line))


def _numbered(cells: list[str]) -> tuple[str, ...]:
    """`column1`, `column2`, ...; the first that holds a URL is the `identifier`."""
    url_at = next((index for index, cell in enumerate(cells) if _URL.match(cell)), None)
    return tuple("identifier" if index == url_at else f"column{index + 1}" for index in range(len(cells)))
