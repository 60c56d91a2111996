"""Detects the encoding of a text from the whole file, and makes a copy in UTF-8 if it has another one.

1. The encoding that the configuration or an archive's descriptor states. 2. UTF-16 and UTF-32 by their first bytes.
3. UTF-8, if more characters beyond ASCII are sound UTF-8 than bytes are not. 4. Windows-1252, or Latin-1 if the text
has bytes that Windows-1252 does not define.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ray_downloader.errors import UserError
from ray_downloader.sources.lines import LineCensus, take_census
from ray_downloader.sources.unpack import Scratch, wide_encoding

_HEAD_SIZE_BYTES = 1 << 16
_BLOCK_SIZE_BYTES = 1 << 20
_NOT_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
_NAMES = {"utf-8": "UTF-8", "cp1252": "Windows-1252", "iso8859-1": "Latin-1", "utf-16": "UTF-16", "utf-32": "UTF-32"}


@dataclass(frozen=True, slots=True)
class Utf8Text:
    """A text in UTF-8, the name of the encoding that it had, and what its lines are like."""

    path: Path
    encoding: str
    census: LineCensus


def as_utf8(path: Path, shown: str, scratch: Scratch, stated: str | None, declared: str | None = None) -> Utf8Text:
    """The file itself if it is UTF-8 (or nearly), else a copy that is.

    Args:
        path: The file.
        shown: What the user knows it by.
        scratch: Where a copy goes.
        stated: The encoding that the user states.
        declared: The encoding that a descriptor states.

    Raises:
        UserError: The text is not in the encoding that its first bytes, its descriptor or the user announce.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_SIZE_BYTES)
    wide = wide_encoding(head)
    encoding = _known(stated, shown) if stated else wide or _known(declared or "utf-8", shown)
    census = LineCensus() if encoding.startswith(("utf-16", "utf-32")) else take_census(path)
    if encoding == "utf-8" and not stated and census.invalid > census.characters:
        encoding = "iso8859-1" if _holds(path, _NOT_IN_CP1252) else "cp1252"
    words = _NAMES.get(encoding.removesuffix("-le").removesuffix("-be"), encoding)
    if encoding == "utf-8" and not census.only_returns:
        return Utf8Text(path, words, census)
    copy = scratch.new_path(path.name)
    try:
        _convert(path, copy, encoding)
    except UnicodeError as error:
        said = "is said to be" if stated or not wide else "begins as"
        raise UserError(f"{shown} is not the {encoding} text that it {said}: {error}") from None
    return Utf8Text(copy, words, take_census(copy))


def _convert(path: Path, copy: Path, encoding: str) -> None:
    errors = "surrogateescape" if encoding == "utf-8" else "strict"
    with (
        path.open(encoding=encoding, errors=errors, newline="") as source,
        copy.open("w", encoding="utf-8", errors=errors, newline="") as target,
    ):
        _copy_text(source, target)


def _copy_text(source: IO[str], target: IO[str]) -> None:
    """Copy, with line feeds instead of carriage returns if lines end in carriage returns alone."""
    block = source.read(_BLOCK_SIZE_BYTES)
    only_returns = "\r" in block and "\n" not in block
    while block:
        target.write(block.replace("\r", "\n") if only_returns else block)
        block = source.read(_BLOCK_SIZE_BYTES)


def _known(encoding: str, shown: str) -> str:
    try:
        name = codecs.lookup(encoding.strip()).name
    except LookupError:
        raise UserError(f"{shown} is said to be in the encoding {encoding!r}, which is unknown") from None
    return "utf-8" if name in {"ascii", "utf-8-sig"} else name


def _holds(path: Path, codes: frozenset[int]) -> bool:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_SIZE_BYTES):
            if any(code in block for code in codes):
                return True
    return False
