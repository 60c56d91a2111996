"""The lines of a text: what one pass finds, and that lines keep their number in a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.sources import lines
from ray_downloader.sources.lines import blank_lines, lines_at, take_census, tidy_copy

BLOCK_SIZES = pytest.mark.parametrize("block_size", [1, 2, 3, 100])


@pytest.mark.parametrize("content", [b"", b"a", b"a\nb", b"a\nb\n", b"a\r\nb\r\n", b"a\r\nb"])
@BLOCK_SIZES
def test_lines_that_end_alike_need_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, block_size: int
) -> None:
    monkeypatch.setattr(lines, "_BLOCK_SIZE_BYTES", block_size)
    (tmp_path / "in").write_bytes(content)
    census = take_census(tmp_path / "in")
    assert not census.is_untidy
    assert census.lines == len(content.splitlines())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\r\nb\nc", b"a\nb\nc\n"),
        (b"a\nb\r\n", b"a\nb\n"),
        (b"a\tx\ry\nb\tz\n", b"a\tx y\nb\tz\n"),
        (b"\xe9\r\n \n", b"\xe9\n\n"),
        (b"a\n\xc2\xa0\nb\n", b"a\n\nb\n"),
        (b"a\nb\x1a", b"a\nb\n"),
        (b"a\nb\n\x1a", b"a\nb\n\n"),
    ],
)
@BLOCK_SIZES
def test_an_untidy_text_is_copied_and_its_bytes_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, expected: bytes, block_size: int
) -> None:
    monkeypatch.setattr(lines, "_BLOCK_SIZE_BYTES", block_size)
    (tmp_path / "in").write_bytes(content)
    assert take_census(tmp_path / "in").is_untidy
    assert tidy_copy(tmp_path / "in", tmp_path / "copy", None).read_bytes() == expected


@BLOCK_SIZES
def test_blank_lines_and_places_are_found_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_size: int
) -> None:
    monkeypatch.setattr(lines, "_BLOCK_SIZE_BYTES", block_size)
    content = b"\nab\n\r\n\ncd\nef"
    (tmp_path / "in").write_bytes(content)
    numbers, count = blank_lines(tmp_path / "in")
    assert (numbers.tolist(), count, take_census(tmp_path / "in").blanks) == ([0, 2, 3], 6, 3)
    assert lines_at(tmp_path / "in", [content.index(b"ab"), content.index(b"cd"), content.index(b"ef")]) == [1, 4, 5]


@BLOCK_SIZES
def test_bytes_that_are_no_utf8_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_size: int) -> None:
    monkeypatch.setattr(lines, "_BLOCK_SIZE_BYTES", block_size)
    (tmp_path / "in").write_bytes("ü€x\n".encode() + b"\xfc\n" + "ö\n".encode() + b"\xe9\xe8\n")
    census = take_census(tmp_path / "in")
    assert (census.characters, census.invalid) == (3, 3)


def test_every_line_may_be_edited(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a\n#b\nc\n")
    copy = tidy_copy(tmp_path / "in", tmp_path / "copy", lambda number, line: f"{number}{line}" if line != "#b" else "")
    assert copy.read_text() == "0a\n\n2c\n"
