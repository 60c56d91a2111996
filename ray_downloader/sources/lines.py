"""The lines of a text: what one pass over the whole file finds, and a copy in which lines that are not rows are blank.

DuckDB refuses a file that mixes line ends, unless it may also drop cells. Excel mixes them in every cell that spans
lines; concatenated lists do, and so do cells with a stray carriage return. Lines keep their order and their number, so
that a row can be found again by its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_Codes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]

_BLOCK_SIZE_BYTES = 1 << 20
_FEED, _RETURN = 10, 13
_END_MARK = b"\x1a"
_NON_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
_INVALID = re.compile("[\udc80-\udcff]")
_LONE_RETURN = re.compile(rb"\r+(?![\r\n])")
_MAX_SPLIT_LINES = 1000
_BLANK = re.compile(rb"[ \t\f\v]*(?:\xc2\xa0[ \t\f\v]*)*")


@dataclass(slots=True)
class LineCensus:
    """What a pass over the whole text finds.

    Args:
        lines: How many there are; the last one may lack its end.
        ends_alike: All end in a line feed, or all in carriage return and line feed, or all in a carriage return.
        blanks: Lines that are empty.
        unsure: Lines that begin with a blank, and may consist of blanks only.
        characters: Characters beyond ASCII that are UTF-8.
        invalid: Bytes that are not UTF-8.
        has_end_mark: The last byte is Ctrl-Z, as some spreadsheets still write it.
        only_returns: Lines end in carriage returns.
        lone_returns: Carriage returns without a line feed.
    """

    lines: int = 0
    ends_alike: bool = True
    blanks: int = 0
    unsure: int = 0
    characters: int = 0
    invalid: int = 0
    has_end_mark: bool = False
    only_returns: bool = False
    lone_returns: int = 0

    @property
    def is_untidy(self) -> bool:
        """Whether a reader needs a copy."""
        return not self.ends_alike or self.unsure > 0 or self.has_end_mark


def take_census(path: Path) -> LineCensus:
    """Read the whole text once."""
    census = LineCensus()
    returns = pairs = 0
    block = b""
    with path.open("rb") as file:
        for block in _blocks(file.read):
            codes = np.frombuffer(block, np.uint8)
            feeds = np.flatnonzero(codes == _FEED)
            census.lines += len(feeds) + (not block.endswith(b"\n"))
            if b"\r" in block:
                returns += block.count(b"\r")
                pairs += int(np.count_nonzero(codes[np.maximum(feeds - 1, 0)] == _RETURN))
            _count_odd_lines(codes, feeds, census)
            if not block.isascii():
                _count_characters(block, codes, census)
    feeds_in_all = census.lines - (not block.endswith(b"\n")) if block else 0
    census.lone_returns = returns - pairs
    census.only_returns = returns > 0 and feeds_in_all == 0
    # The last line may lack its line end.
    census.ends_alike = returns == 0 or returns == feeds_in_all == pairs
    census.has_end_mark = block.rstrip(b"\r\n").endswith(_END_MARK)
    return census


def _blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Blocks that end in a line feed, except the last one."""
    rest = [b""]
    while block := read(_BLOCK_SIZE_BYTES):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join(rest) + block[:cut]
            rest = []
        rest.append(block[cut:])
    if last := b"".join(rest):
        yield last


def _count_odd_lines(codes: _Codes, feeds: _Places, census: LineCensus) -> None:
    starts = _starts(codes, feeds)
    first, second = codes[starts], codes[np.minimum(starts + 1, len(codes) - 1)]
    census.blanks += int(np.count_nonzero(_are_blank(first, second)))
    census.unsure += int(np.count_nonzero((first == 32) | (first == 9) | ((first == 0xC2) & (second == 0xA0))))


def _starts(codes: _Codes, feeds: _Places) -> _Places:
    starts = np.concatenate((np.zeros(1, np.int64), feeds + 1))
    return starts[starts < len(codes)]


def _are_blank(first: _Codes, second: _Codes) -> npt.NDArray[np.bool_]:
    blank: npt.NDArray[np.bool_] = (first == _FEED) | ((first == _RETURN) & (second == _FEED))
    return blank


def _count_characters(block: bytes, codes: _Codes, census: LineCensus) -> None:
    offsets = pa.py_buffer(np.array([0, len(block)], np.int64))
    text = pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(block))
    try:
        text.validate(full=True)
        census.characters += int(np.count_nonzero(codes >= 0xC0))
    except pa.ArrowInvalid:
        decoded = block.decode("utf-8", "surrogateescape")
        census.characters += len(_NON_ASCII.findall(decoded))
        census.invalid += len(_INVALID.findall(decoded))


def tidy_copy(path: Path, copy: Path, edit: Callable[[int, str], str] | None) -> Path:
    """A copy whose lines end in a line feed, and in which lines that consist of blanks are empty.

    A carriage return without a line feed becomes a space: lines end otherwise, so it is within a cell.

    Args:
        path: The text.
        copy: Where it goes.
        edit: What becomes of each line, given its number (0-based); a line that becomes empty is not a row.
    """
    with path.open("rb") as source, copy.open("wb") as target:
        for number, line in enumerate(source):
            text = line.rstrip(b"\r\n").replace(b"\r", b" ")
            if text.endswith(_END_MARK):
                text = text.rstrip(_END_MARK) if not source.peek(1) else text
            if _BLANK.fullmatch(text):
                text = b""
            elif edit:
                text = edit(number, text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            target.write(text + b"\n")
    return copy


def returns_end_lines(path: Path) -> bool:
    """Whether carriage returns without a line feed end rows, as in lists joined from files of several systems.

    What is on both sides has a URL of its own and no open quote; a stray return within a cell splits a row's only URL
    from the rest.
    """
    found = split = 0
    with path.open("rb") as file:
        for line in file:
            pieces = [piece for piece in _LONE_RETURN.split(line.rstrip(b"\r\n")) if piece.strip()]
            if len(pieces) > 1:
                found += 1
                split += all(b"://" in piece and piece.count(b'"') % 2 == 0 for piece in pieces)
            if found == _MAX_SPLIT_LINES:
                break
    return split > 0.9 * found


def split_at_returns(path: Path, copy: Path) -> Path:
    """A copy in which a carriage return without a line feed is a line feed."""
    with path.open("rb") as source, copy.open("wb") as target:
        target.writelines(_LONE_RETURN.sub(b"\n", line) for line in source)
    return copy


def blank_lines(path: Path) -> tuple[_Places, int]:
    """Numbers (0-based, ascending) of the empty lines, and the total number of lines."""
    found = [np.empty(0, np.int64)]
    lines = 0
    with path.open("rb") as file:
        for block in _blocks(file.read):
            codes = np.frombuffer(block, np.uint8)
            starts = _starts(codes, np.flatnonzero(codes == _FEED))
            blank = _are_blank(codes[starts], codes[np.minimum(starts + 1, len(codes) - 1)])
            found.append(np.flatnonzero(blank) + lines)
            lines += len(starts)
    return np.concatenate(found), lines


def lines_at(path: Path, places: Sequence[int]) -> list[int]:
    """Numbers (0-based) of the lines that contain the given byte positions, which ascend."""
    found: list[int] = []
    lines = size = 0
    with path.open("rb") as file:
        for block in _blocks(file.read):
            feeds = np.flatnonzero(np.frombuffer(block, np.uint8) == _FEED)
            while len(found) < len(places) and places[len(found)] < size + len(block):
                found.append(lines + int(np.searchsorted(feeds, places[len(found)] - size)))
            lines += len(feeds)
            size += len(block)
            if len(found) == len(places):
                break
    return found
