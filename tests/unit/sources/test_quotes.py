"""A broken quote costs its own line and nothing else; sound rows are left as they are."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.sources.quotes import MAX_LINES_OF_ROW, with_sound_quotes
from ray_downloader.sources.tables import TextFormat

CSV = TextFormat(",", '"', 0)


def _mended(tmp_path: Path, text: str, columns: int = 2, form: TextFormat = CSV) -> str:
    (tmp_path / "in").write_text(text, newline="")
    return with_sound_quotes(tmp_path / "in", form, columns, tmp_path / "copy").path.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n",
        'a,"b"\r\n',
        '"a ""x"", y","b"\n',
        'a,"b\nc"\nd,e\n',
        'a,"b\n\n\nc, ""d"\n',
        'a, "b,c" \n',
        'a,5" wide\n',
        'a,""\n"",b',
        '"",""\n',
    ],
)
def test_sound_text_is_not_copied(tmp_path: Path, text: str) -> None:
    assert _mended(tmp_path, text) == text.replace("\r\n", "\n")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ('a,"b\nc,d\n', "a,b,?,?\nc,d\n"),
        ('a,"b', "a,b,?,?\n"),
        ('a,"b"c\nd,e\n', "a,bc,?,?\nd,e\n"),
        ('a,"b\nc,"d"\ne,f\n', 'a,b,?,?\nc,"d"\ne,f\n'),
        ('a,5" x,"b\nc,d\n', "a,5 x,b,?,?\nc,d\n"),
    ],
)
def test_a_broken_line_is_spoiled_alone(tmp_path: Path, text: str, mended: str) -> None:
    assert _mended(tmp_path, text) == mended


def test_a_cell_of_too_many_lines_is_taken_for_a_quote_that_never_closes(tmp_path: Path) -> None:
    lines = "x\n" * (MAX_LINES_OF_ROW + 1)
    assert _mended(tmp_path, f'a,"{lines}"\n').startswith("a,x,?,?\nx\nx\n")


def test_other_quotes_and_delimiters_are_possible(tmp_path: Path) -> None:
    form = TextFormat("|", "'", 0)
    assert _mended(tmp_path, "a|'b|\"'\n", 2, form) == "a|'b|\"'\n"
    assert _mended(tmp_path, "a|'b\nc|d\n", 2, form) == "a|b|?|?\nc|d\n"


def test_lines_that_continue_a_row_are_known(tmp_path: Path) -> None:
    (tmp_path / "in").write_text('a,"b\n\nc"\nd,"e\nf,g\nh,"i\nj"\n')
    found = with_sound_quotes(tmp_path / "in", CSV, 2, tmp_path / "copy")
    assert found.continued.tolist() == [1, 2, 6]


def test_quotes_may_be_escaped_by_another_character(tmp_path: Path) -> None:
    form = TextFormat(",", '"', 0, "\\")
    text = 'a,"b\\"c"\n"x\\\\",y\n'
    assert _mended(tmp_path, text, 2, form) == text
    assert not (tmp_path / "copy").exists()
    assert _mended(tmp_path, text, 2, CSV) != text


@given(st.lists(st.lists(st.text('ab",\n ', max_size=6), min_size=2, max_size=2), max_size=6))
def test_whatever_a_csv_writer_writes_is_sound(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    assert _mended(tmp_path_factory.mktemp("quotes"), text.getvalue()) == text.getvalue()
