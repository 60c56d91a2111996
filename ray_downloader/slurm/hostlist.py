"""Slurm's short form of names of nodes: `node[1-3,08],login` is five names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product


def expand_hostlist(text: str) -> list[str]:
    """The names, in Slurm's order; none for an empty list or `(null)`."""
    return [name for item in _items(text) if item != "(null)" for name in _expand(item)]


def _items(text: str) -> Iterator[str]:
    """The parts between commas that are not inside of brackets."""
    return (item for item in re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", text) if item)


def _expand(item: str) -> Iterator[str]:
    """The names of one part; it may have several brackets."""
    pieces = re.split(r"\[([^\]]*)\]", item)  # text, bracket, text, ...
    choices = [list(_numbers(piece)) if place % 2 else [piece] for place, piece in enumerate(pieces)]
    return map("".join, product(*choices))


def _numbers(bracket: str) -> Iterator[str]:
    """The numbers of `1-3,08`, as wide as they are written."""
    for span in bracket.split(","):
        first, _, last = span.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first))
