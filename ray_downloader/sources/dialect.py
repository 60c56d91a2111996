"""Decides from a sample of lines how a text is split into cells: delimiter, quoting, number of columns, header. Pure.

Every delimiter that occurs is tried on all lines of the sample, and the reading that fits most rows wins, so one odd
line decides nothing. A reading that would split URLs is rejected, as URLs may contain every delimiter except the tab.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ray_downloader.sources.quotes import quoted_rows
from ray_downloader.sources.tables import TextFormat
from ray_downloader.sources.url_text import continues_url, ends_as_image, is_known_name, is_number, is_url, may_be_name

#: Delimiters in the order in which they are preferred if two readings are equally good.
_DELIMITERS = {".csv": ",;\t|", ".tsv": "\t,;|"}
_TAB_FIRST = "\t,;|"
#: Delimiters that are tried if none of those fits. URLs contain them, so a header with known names must confirm them.
_RARE_DELIMITERS = "\x1f\x01~^!"
_LEAST_FIT_OF_RARE = 0.9
#: The delimiter for lists of one column: no URL contains it.
ONE_COLUMN = "\t"
#: Share of the rows that must have as many cells as the header, or as each other.
_LEAST_FIT_OF_HEADER = 0.5
_LEAST_FIT = 0.6

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextRules:
    """What is known about a text before it is sampled; None means that it is to be detected.

    Args:
        has_header: Whether the first row names the columns.
        quoted_tabs: Whether tab-separated text may obey CSV quoting (`Source.quoted_tabs`).
        delimiter: Between cells.
        quote: Around cells; empty for none.
        encoding: Of the text.
        headerless: Names of the columns of a list without a header row, by how many there are (`Source.headerless`).
    """

    has_header: bool | None = None
    quoted_tabs: bool = True
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    headerless: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the sample.

    Args:
        delimiter: Between cells.
        quote: Around cells; empty for none.
        escape: What precedes a quote within a cell.
        rows: Cells of each row; None where the quotes of a row are broken.
        has_header: Whether the first row names the columns.
        columns: How many there are.
        fit: Share of the rows that have as many cells.
        broken_header: The header line, if its quotes are broken and its names are simply what is between delimiters.
    """

    delimiter: str
    quote: str
    escape: str
    rows: tuple[Row | None, ...]
    has_header: bool
    columns: int
    fit: float
    broken_header: str = ""

    @property
    def data(self) -> list[Row]:
        """The rows that can be read, without the header."""
        return [row for row in self.rows[int(self.has_header) :] if row is not None]


def read_sample(lines: Sequence[str], ending: str, rules: TextRules) -> Reading:
    """How to read the text to which these lines belong; the first one is its first line that is not blank.

    Args:
        lines: Lines without their ends.
        ending: `.txt`, `.csv` or `.tsv`: what the name of the file promises.
        rules: What is known.
    """
    if rules.delimiter is not None:
        return _reading(lines, rules.delimiter, ending, rules)
    found = [mark for mark in _DELIMITERS.get(ending, _TAB_FIRST) if any(mark in line for line in lines)]
    readings = [_reading(lines, mark, ending, rules) for mark in found]
    alone = one_column(lines, rules)
    good = [reading for reading in readings if _is_good(reading, ending)]
    if not good:
        rare = [
            _reading(lines, mark, ending, rules) for mark in _RARE_DELIMITERS if any(mark in line for line in lines)
        ]
        good = list(filter(is_confirmed, rare))
    return max(good, key=_worth, default=alone)


def is_confirmed(reading: Reading) -> bool:
    """Whether a header with a known name has as many cells as nearly all rows, most of which have a URL."""
    header = reading.rows[0] if reading.has_header else None
    return (
        header is not None
        and len(header) == reading.columns > 1
        and any(map(is_known_name, header))
        and reading.fit >= _LEAST_FIT_OF_RARE
        and url_share(reading.data) > _LEAST_FIT_OF_HEADER
    )


def one_column(lines: Sequence[str], rules: TextRules) -> Reading:
    """Each line as one cell; quotes around URLs are removed later, so they need not be understood here."""
    rows = tuple((line.strip(),) for line in lines)
    return Reading(ONE_COLUMN, rules.quote or "", rules.quote or "", rows, _has_header(rows, rules), 1, 1.0)


def url_share(rows: Sequence[Row]) -> float:
    """Share of rows with a URL among their cells."""
    return sum(any(map(is_url, row)) for row in rows) / len(rows) if rows else 0.0


def _worth(reading: Reading) -> tuple[float, float, int]:
    return (round(url_share(reading.data), 1), round(reading.fit, 1), reading.columns)


def _is_good(reading: Reading, ending: str) -> bool:
    if reading.columns < 2:
        return False
    if reading.has_header:
        return reading.fit >= _LEAST_FIT_OF_HEADER or len(reading.data) == 0
    return reading.fit >= _LEAST_FIT and not _cuts_urls(reading, ending)


def _cuts_urls(reading: Reading, ending: str) -> bool:
    """Whether the delimiter seems to be part of the URLs, or to separate URLs within one cell.

    If lines begin with URLs, only `.csv` implies cells; otherwise URLs must end as image files before the delimiter.
    """
    if reading.delimiter == "\t":
        return False
    rows = [row for row in reading.data if len(row) == reading.columns and any(map(is_url, row))]
    if not rows:
        return False
    cut = sum(any(map(continues_url, row, row[1:])) or all(map(is_url, row)) for row in rows)
    begins_with_url = sum(is_url(row[0]) for row in rows) > 0.3 * len(rows)
    if ending == ".csv" or not begins_with_url:
        return cut > 0.3 * len(rows)
    whole = sum(any(is_url(cell) and ends_as_image(cell) for cell in row) for row in rows)
    return cut > 0 or whole < 0.9 * len(rows)


def _reading(lines: Sequence[str], delimiter: str, ending: str, rules: TextRules) -> Reading:
    quoting = _quoting(lines, delimiter, ending, rules)
    rows = quoting.rows
    mended = _mended_header(lines[0], rows, delimiter, quoting.quote)
    if mended:
        rows = (mended, *rows[1:])
    has_header = _has_header(rows, rules)
    data = [row for row in rows[int(has_header) :] if row is not None]
    named = len(rows[0]) if has_header and rows[0] is not None else 0
    columns, fit = _width([len(row) for row in data], named)
    broken = lines[0] if mended and has_header else ""
    return Reading(delimiter, quoting.quote, quoting.escape, rows, has_header, columns, fit, broken)


def _mended_header(line: str, rows: Sequence[Row | None], delimiter: str, quote: str) -> Row | None:
    """The names in a header whose quotes are broken or misplaced; None if they are sound, or it is not a header.

    Without its quotes it has as many names as the rows have cells, some of these cells are URLs, and some of the names
    are well known.
    """
    data = [row for row in rows[1:] if row is not None]
    widths = Counter(map(len, data))
    first = rows[0] if rows else None
    if not quote or quote not in line or not url_share(data):
        return None
    width = max(widths, key=lambda cells: widths[cells])
    names = tuple(cell.strip() for cell in line.replace(quote, "").split(delimiter))
    is_sound = first is not None and len(first) == width
    if is_sound or len(names) != width or width < 2 or not all(name and may_be_name(name) for name in names):
        return None
    return names if sum(map(is_known_name, names)) > 1 else None


def _width(widths: list[int], named: int) -> tuple[int, float]:
    """Number of columns, and the share of rows that have it: that of the header, or else of most rows."""
    if not widths:
        return named, 1.0
    counts = Counter(widths)
    fit = counts[named] / len(widths)
    if named and fit >= _LEAST_FIT_OF_HEADER:
        return named, fit
    columns = max(counts, key=lambda width: (counts[width], -width))
    if named == 1 or counts[columns] < _LEAST_FIT_OF_HEADER * len(widths):
        return named or columns, fit if named else counts[columns] / len(widths)
    return columns, counts[columns] / len(widths)


@dataclass(frozen=True, slots=True)
class _Quoting:
    """The rows under one way of quoting; `well` counts rows with a quoted cell, `broken` those that cannot be read."""

    quote: str
    escape: str
    rows: tuple[Row | None, ...]
    well: int = 0
    broken: int = 0


def _quoting(lines: Sequence[str], delimiter: str, ending: str, rules: TextRules) -> _Quoting:
    """How cells are quoted.

    Cells that are quoted well are evidence for quoting, rows with broken quotes are evidence against it. Without
    either, a comma implies CSV, and a tab in `.txt` implies that a quote is a character like any other.
    """
    plain = _Quoting("", "", tuple(tuple(line.split(delimiter)) for line in lines))
    if rules.quote is not None:
        return _quoted(lines, delimiter, rules.quote, rules.quote) if rules.quote else plain
    if delimiter == "\t" and not rules.quoted_tabs:
        return plain
    if not any('"' in line for line in lines):
        single = _quoted(lines, delimiter, "'", "'")
        if single.well * 2 > len(lines):
            return single
        return plain if delimiter == "\t" and ending == ".txt" else _quoted(lines, delimiter, '"', '"')
    found = _quoted(lines, delimiter, '"', '"')
    if found.broken and any('\\"' in line for line in lines):
        found = min(found, _quoted(lines, delimiter, '"', "\\"), key=lambda one: one.broken)
    if delimiter == "\t":  # a writer that quotes would have quoted cells with a quote in them
        return found if found.well > found.broken else plain
    return plain if found.broken > max(found.well, 1) else found


def _quoted(lines: Sequence[str], delimiter: str, quote: str, escape: str) -> _Quoting:
    text = TextFormat(delimiter, quote, 0, escape)
    opening = re.compile(rf"(?:^|{re.escape(delimiter)}) *{re.escape(quote)}".encode())
    found = list(quoted_rows((f"{line}\n".encode("utf-8", "surrogateescape") for line in lines), text))
    rows = tuple(None if row.is_broken else cells_of(row.text, text) for row in found)
    well = sum(not row.is_broken and bool(opening.search(row.text)) for row in found)
    return _Quoting(quote, escape, rows, well, sum(row is None for row in rows))


def cells_of(row: bytes, text: TextFormat) -> Row | None:
    """The cells of one row with sound quotes; None if a cell is longer than any that a list has."""
    line = row.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not text.quote or text.quote not in line:
        return tuple(line.split(text.delimiter))
    doubled = text.escape in {"", text.quote}
    reader = csv.reader(
        io.StringIO(line, newline=""),
        delimiter=text.delimiter,
        quotechar=text.quote,
        doublequote=doubled,
        escapechar=None if doubled else text.escape,
        skipinitialspace=True,
    )
    try:
        return tuple(next(reader))
    except (csv.Error, StopIteration):
        return None


def _has_header(rows: Sequence[Row | None], rules: TextRules) -> bool:
    """Whether the first row names columns.

    1. It is stated.
    2. A cell is a URL, another kind of location or a word for "no value", or empty over a column of URLs: it is a row.
    3. A cell has a well-known name: it is a header.
    4. A cell is a number: it is a row.
    5. Every cell could be a name: it is a header.
    """
    if rules.has_header is not None:
        return rules.has_header
    first = rows[0] if rows else None
    filled = [cell for cell in first or () if cell.strip()]
    if first is None or not filled or not all(may_be_name(cell) or is_number(cell) for cell in filled):
        return False
    over_urls = {column for row in rows[1:] if row is not None for column, cell in enumerate(row) if is_url(cell)}
    if not all(column >= len(first) or may_be_name(first[column]) for column in over_urls):
        return False
    if any(map(is_known_name, filled)):
        return True
    return not any(map(is_number, filled)) and len(filled) == len(first)
