"""Gives a text one kind of line end: DuckDB refuses a file that mixes them, unless it may also drop cells.

Excel mixes them in every cell of several lines; concatenated lists do, and so do cells with a stray carriage return.
"""

from __future__ import annotations

from pathlib import Path

_BLOCK_SIZE_BYTES = 1 << 18


def with_one_line_end(path: Path, copy: Path) -> Path:
    """`path` itself if all its lines end alike, else `copy`, in which they end in a line feed.

    A carriage return without line feed is a space there: lines end otherwise, so it is within a cell.
    """
    if _ends_alike(path):
        return path
    with path.open("rb") as source, copy.open("wb") as target:
        for line in source:
            target.write(line.rstrip(b"\r\n").replace(b"\r", b" ") + b"\n")
    return copy


def _ends_alike(path: Path) -> bool:
    returns = feeds = pairs = 0
    ended_in_return = False
    with path.open("rb") as file:
        while block := file.read(_BLOCK_SIZE_BYTES):
            feeds += block.count(b"\n")
            if b"\r" in block:
                returns += block.count(b"\r")
                pairs += block.count(b"\r\n")
            pairs += ended_in_return and block.startswith(b"\n")
            ended_in_return = block.endswith(b"\r")
    # A last line may end in nothing. Only carriage returns: lines end in those.
    return returns == 0 or feeds == 0 or returns == feeds == pairs
