"""Makes a quoted CSV safe to read: a quote that never closes must not swallow the rows after it.

CSV readers take everything up to the next quote as one cell, be it a million rows, and differ in what they make of it.
Here a row may span lines if it is well formed; where it is not, its first line alone is spoiled so that a reader is
sure to refuse it (too many cells), and the next line begins a new row. Lines keep their order and their number.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from ray_downloader.sources.tables import TextFormat

#: Lines that one row may span: longer ones (descriptions, abstracts) are not met in lists of images.
MAX_LINES_OF_ROW = 64


def with_sound_quotes(path: Path, text: TextFormat, columns: int, copy: Path) -> Path:
    """`path` itself if no row of it has a broken quote, else `copy`, in which such rows are spoiled."""
    with path.open("rb") as lines:
        if not any(is_broken for _, is_broken in _Rows(lines, text, columns)):
            return path
    with path.open("rb") as lines, copy.open("wb") as target:
        target.writelines(row for row, _ in _Rows(lines, text, columns))
    return copy


class _Rows:
    """Iterates over (text of a row, whether it is broken); the text of a broken row is spoiled already."""

    def __init__(self, lines: Iterable[bytes], text: TextFormat, columns: int) -> None:
        delimiter = text.delimiter.encode()
        self._quote = text.quote.encode()
        names = {b"q": re.escape(self._quote), b"d": re.escape(delimiter)}
        # Spaces around a quoted cell are no part of it, as DuckDB has it too.
        names[b"opened"] = rb"%(q)b[^%(q)b]*(?:%(q)b%(q)b[^%(q)b]*)*" % names
        names[b"cell"] = rb"(?: *%(opened)b%(q)b *| *[^%(q)b \r\n%(d)b][^\r\n%(d)b]*| *)" % names
        self._whole = re.compile(rb"%(cell)b(?:%(d)b%(cell)b)*[\r\n]*" % names)
        self._open = re.compile(rb"(?:%(cell)b%(d)b)* *%(opened)b" % names)
        self._lines = iter(lines)
        self._returned: deque[bytes] = deque()
        self._spoil = (delimiter + b"?") * columns

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        while (line := self._next()) is not None:
            if self._quote not in line or self._whole.fullmatch(line):
                yield line, False
            elif (row := self._joined(line)) is not None:
                yield row, False
            else:
                yield line.rstrip(b"\r\n").replace(self._quote, b"") + self._spoil + b"\n", True

    def _next(self) -> bytes | None:
        return self._returned.popleft() if self._returned else next(self._lines, None)

    def _joined(self, row: bytes) -> bytes | None:
        """The row that begins with this line, if following lines close its quote; else they are given back."""
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
                return row
        self._returned.extendleft(reversed(taken))
        return None
