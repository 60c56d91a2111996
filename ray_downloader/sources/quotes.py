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

#: Lines that one row may span: longer ones (descriptions, abstracts) are not met in lists of images.
MAX_LINES_OF_ROW = 64


def with_sound_quotes(path: Path, delimiter: str, columns: int, copy: Path) -> Path:
    """`path` itself if no row of it has a broken quote, else `copy`, in which such rows are spoiled."""
    with path.open("rb") as lines:
        rows = _Rows(lines, delimiter.encode(), columns)
        if not any(is_broken for _, is_broken in rows):
            return path
    with path.open("rb") as lines, copy.open("wb") as target:
        target.writelines(text for text, _ in _Rows(lines, delimiter.encode(), columns))
    return copy


class _Rows:
    """Iterates over (text of a row, whether it is broken); the text of a broken row is spoiled already."""

    def __init__(self, lines: Iterable[bytes], delimiter: bytes, columns: int) -> None:
        one = re.escape(delimiter)
        # Spaces around a quoted cell are no part of it, as DuckDB has it too.
        cell = rb'(?: *"[^"]*(?:""[^"]*)*" *| *[^" \r\n%b][^\r\n%b]*| *)' % (one, one)
        self._whole = re.compile(rb"%b(?:%b%b)*[\r\n]*" % (cell, one, cell))
        self._open = re.compile(rb'(?:%b%b)* *"[^"]*(?:""[^"]*)*' % (cell, one))
        self._lines = iter(lines)
        self._returned: deque[bytes] = deque()
        self._spoil = (delimiter + b"?") * columns

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        while (line := self._next()) is not None:
            if b'"' not in line or self._whole.fullmatch(line):
                yield line, False
            elif (row := self._joined(line)) is not None:
                yield row, False
            else:
                yield line.rstrip(b"\r\n").replace(b'"', b"'") + self._spoil + b"\n", True

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
            while b'"' not in line and len(taken) < MAX_LINES_OF_ROW and (line := self._next() or b""):
                taken.append(line)
                row += line
            if self._whole.fullmatch(row):
                return row
        self._returned.extendleft(reversed(taken))
        return None
