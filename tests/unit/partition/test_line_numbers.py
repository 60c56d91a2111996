"""A rejected row of a text has the number of its line, or none where that would be a guess."""

from __future__ import annotations

import numpy as np
import pytest

from ray_downloader.partition.line_numbers import LineNumbers, StagedText
from ray_downloader.sources.tables import LinePlaces


def text(
    rows: int,
    lines: int,
    first: int = 0,
    passed_over: tuple[int, ...] = (),
    refused: tuple[int, ...] = (),
    row: int = 0,
) -> StagedText:
    places = LinePlaces(lines, first, np.array(passed_over, np.int64))
    return StagedText(row, rows, places, np.array(refused, np.int64))


def lines_of(given: StagedText, *rows: int) -> list[int] | None:
    found = given.lines_of(np.array(rows, np.int64))
    return None if found is None else found.tolist()


def test_a_plain_text_has_one_row_on_each_line() -> None:
    assert lines_of(text(3, 3), 0, 1, 2) == [1, 2, 3]
    assert lines_of(text(3, 4, first=1), 2, 0) == [4, 2], "after a header"
    assert lines_of(text(3, 3, row=100), 100, 102) == [1, 3], "rows of a file that was staged after others"


@pytest.mark.parametrize(
    ("passed_over", "refused", "lines"),
    [
        ((2,), (), [2, 4, 5]),
        ((1,), (), [3, 4, 5]),
        ((4,), (), [2, 3, 4]),
        ((), (3,), [2, 3, 5]),
        ((2, 3), (), [2, 5, 6]),
        ((2,), (4,), [2, 4, 6]),
        ((0, 2), (), [2, 4, 5]),
    ],
)
def test_lines_that_begin_no_row_are_left_out(
    passed_over: tuple[int, ...], refused: tuple[int, ...], lines: list[int]
) -> None:
    left_out = len({*passed_over, *refused} - {0})
    assert lines_of(text(3, 4 + left_out, 1, passed_over, refused), 0, 1, 2) == lines


def test_where_the_count_of_lines_contradicts_there_is_no_number() -> None:
    assert lines_of(text(3, 5, first=1), 0) is None
    assert lines_of(text(3, 3, first=1), 0) is None
    assert lines_of(text(3, 5, 1, passed_over=(2,)), 0) is not None
    assert lines_of(text(3, 5, 1, passed_over=(2,), refused=(2,)), 0) is not None, "both mean the same line"


def test_only_what_has_no_line_yet_is_filled_in_its_place() -> None:
    numbers = LineNumbers()
    numbers.add("a.csv", text(3, 4, first=1))
    numbers.add("b.csv", text(2, 2, row=3))
    numbers.add("odd.csv", text(2, 9, row=5))
    files = ["b.csv", "a.csv", "none.parquet", "a.csv", "odd.csv", "a.csv"]
    assert numbers.fill(files, [4, 0, 9, 2, 5, 1], [None, None, None, 77, None, None]) == [2, 2, None, 77, None, 3]
    assert LineNumbers().fill(["a.csv"], [0], [None]) == [None]
