"""The lines of rejected rows of a text.

DuckDB has no line numbers for CSV, but it keeps rows in order: the n-th row of a file begins on the n-th line that is
neither blank nor refused nor a continuation. That is checked against the file's own number of lines; if they disagree,
no line is given, as a number that is sometimes wrong is worse than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ray_downloader.sources.tables import LinePlaces

_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StagedText:
    """A text as it was staged.

    Args:
        first_row: Number of its first row in the table `staged`.
        rows: How many of them there are.
        places: Where rows are.
        refused: Lines (0-based, ascending) that were refused.
    """

    first_row: int
    rows: int
    places: LinePlaces
    refused: _Numbers

    def lines_of(self, rows: _Numbers) -> _Numbers | None:
        """Lines (1-based) of rows of `staged`; None if the file's own count contradicts the number of rows."""
        passed_over = np.union1d(self.places.passed_over, self.refused)
        passed_over = passed_over[passed_over >= self.places.first]
        if self.rows + len(passed_over) != self.places.lines - self.places.first:
            return None
        ordinal = rows - self.first_row
        before = np.searchsorted(passed_over - self.places.first - np.arange(len(passed_over)), ordinal, side="right")
        return ordinal + before + self.places.first + 1


class LineNumbers:
    """Lines of the rows of all staged texts, by the path that was read."""

    def __init__(self) -> None:
        self._texts: dict[str, StagedText] = {}

    def add(self, path: str, text: StagedText) -> None:
        """Note where the rows of a file are."""
        self._texts[path] = text

    def fill(self, files: Sequence[str], rows: Sequence[int], lines: Sequence[int | None]) -> list[int | None]:
        """`lines`, completed for the given rows (numbers in `staged`) of the given files."""
        filled = list(lines)
        wanted: dict[str, list[int]] = {}
        for index, (file, line) in enumerate(zip(files, lines, strict=True)):
            if line is None and file in self._texts:
                wanted.setdefault(file, []).append(index)
        for file, indexes in wanted.items():
            found = self._texts[file].lines_of(np.array([rows[index] for index in indexes], np.int64))
            for index, line in zip(indexes, found.tolist() if found is not None else (), strict=False):
                filled[index] = line
        return filled
