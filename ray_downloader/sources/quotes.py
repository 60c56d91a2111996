"""Makes a quoted CSV safe to read: a quote that never closes must not swallow the rows after it.

CSV readers take everything up to the next quote as one cell, be it a million rows, and differ in what they make of
it. Here a row may span lines if it is well formed; if it is not, only its first line is spoiled so that a reader is
sure to reject it (too many cells), and the next line begins a new row. Lines keep their order and their number.
"""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.sources.tables import TextFormat

#: How many lines one row may span: longer ones (descriptions, abstracts) do not occur in lists of images.
MAX_LINES_OF_ROW = 64


@dataclass(frozen=True, slots=True)
class QuotedText:
    """A text that is safe to read.

    Args:
        path: The file itself, or a copy in which broken rows are spoiled.
        continued: Lines (0-based, ascending) that continue the row of the line before.
    """

    path: Path
    continued: array[int]


def with_sound_quotes(path: Path, text: TextFormat, columns: int, copy: Path) -> QuotedText:
    """`path` itself if no row of it has a broken quote, else `copy`, in which such rows are spoiled."""
    continued = array("q")
    any_broken = False
    line = 0
    with path.open("rb") as lines:
        for row in quoted_rows(lines, text):
            any_broken |= row.is_broken
            if row.lines > 1:
                continued.extend(range(line + 1, line + row.lines))
            line += row.lines
    if not any_broken:
        return QuotedText(path, continued)
    spoil = spoil_of(text, columns).encode()
    quote = text.quote.encode()
    with path.open("rb") as lines, copy.open("wb") as target:
        for row in quoted_rows(lines, text):
            target.write(row.text.rstrip(b"\r\n").replace(quote, b"") + spoil + b"\n" if row.is_broken else row.text)
    return QuotedText(copy, continued)


def spoil_of(text: TextFormat, columns: int) -> str:
    """What is appended to a row with broken quotes: more cells than there are columns, so that a reader rejects it."""
    return (text.delimiter + "?") * columns


@dataclass(slots=True)
class QuotedRow:
    """The text of one row, its line end included, and how many lines it takes."""

    text: bytes
    lines: int
    is_broken: bool


def quoted_rows(lines: Iterable[bytes], text: TextFormat) -> Iterator[QuotedRow]:
    """The rows of quoted text; a row whose quotes are broken consists of its first line only."""
    return iter(_Rows(lines, text))


class _Rows:
    def __init__(self, lines: Iterable[bytes], text: TextFormat) -> None:
        self._quote = text.quote.encode()
        names = {b"q": re.escape(self._quote), b"d": re.escape(text.delimiter.encode())}
        # Spaces around a quoted cell are not part of it, as in DuckDB.
        if text.escape in {"", text.quote}:
            names[b"opened"] = rb"%(q)b[^%(q)b]*(?:%(q)b%(q)b[^%(q)b]*)*" % names
        else:
            names[b"e"] = re.escape(text.escape.encode())
            names[b"opened"] = rb"%(q)b[^%(q)b%(e)b]*(?:%(e)b[\s\S][^%(q)b%(e)b]*)*" % names
        names[b"cell"] = rb"(?: *%(opened)b%(q)b *| *[^%(q)b \r\n%(d)b][^\r\n%(d)b]*| *)" % names
        self._whole = re.compile(rb"%(cell)b(?:%(d)b%(cell)b)*[\r\n]*" % names)
        self._open = re.compile(rb"(?:%(cell)b%(d)b)* *%(opened)b" % names)
        self._lines = iter(lines)
        self._returned: deque[bytes] = deque()

    def __iter__(self) -> Iterator[QuotedRow]:
        while (line := self._next()) is not None:
            if self._quote not in line or self._whole.fullmatch(line):
                yield QuotedRow(line, 1, is_broken=False)
            else:
                yield self._joined(line) or QuotedRow(line, 1, is_broken=True)

    def _next(self) -> bytes | None:
        return self._returned.popleft() if self._returned else next(self._lines, None)

    def _joined(self, row: bytes) -> QuotedRow | None:
        """The row that begins with this line, if following lines close its quote; otherwise they are put back."""
        taken: list[bytes] = []
        while self._open.fullmatch(row) and len(taken) < MAX_LINES_OF_ROW:
            line = self._next()
            if line is None:
                break
            taken.append(line)
            row += line
            while self._quote not in line and len(taken) < MAX_LINES_OF_ROW and (line := self._next() or b""):
                taken.append(line)
                row += line
            if self._whole.fullmatch(row):
                return QuotedRow(row, 1 + len(taken), is_broken=False)
        self._returned.extendleft(reversed(taken))
        return None
