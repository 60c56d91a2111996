"""Detects the encoding of a text from the whole file, and makes a copy in UTF-8 if it has another one.

1. The encoding that the configuration or an archive's descriptor states. 2. UTF-16 and UTF-32 by their first bytes.
3. UTF-8, if more characters beyond ASCII are sound UTF-8 than bytes are not. 4. An encoding for which the evidence is
strong (`guess_encoding.py`). 5. Windows-1252, or Latin-1 if the text has bytes that Windows-1252 does not define.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ray_downloader.errors import UserError
from ray_downloader.sources.guess_encoding import guess_encoding
from ray_downloader.sources.lines import LineCensus, returns_end_lines, split_at_returns, take_census
from ray_downloader.sources.unpack import Scratch, wide_encoding

_HEAD_SIZE_BYTES = 1 << 16
_BLOCK_SIZE_BYTES = 1 << 20
_NOT_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
#: How much of the lines with bytes beyond ASCII is evidence.
_EVIDENCE_SIZE_BYTES = 1 << 18
_NAMES = {
    "utf-8": "UTF-8",
    "cp1252": "Windows-1252",
    "iso8859-1": "Latin-1",
    "utf-16": "UTF-16",
    "utf-32": "UTF-32",
    "cp932": "Shift-JIS",
    "euc_jp": "EUC-JP",
    "euc_kr": "EUC-KR",
    "gb18030": "GB 18030",
    "cp1251": "Windows-1251",
    "koi8_r": "KOI8-R",
    "cp1253": "Windows-1253",
    "mac_roman": "Mac Roman",
    "cp850": "DOS code page 850",
}


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
        encoding = _guessed(path)
    words = _NAMES.get(encoding.removesuffix("-le").removesuffix("-be"), encoding)
    if encoding == "utf-8" and not census.only_returns:
        return _with_ended_lines(Utf8Text(path, words, census), scratch)
    copy = scratch.new_path(path.name)
    try:
        _convert(path, copy, encoding)
    except UnicodeError as error:
        said = "is said to be" if stated or not wide else "begins as"
        raise UserError(f"{shown} is not the {encoding} text that it {said}: {error}") from None
    return _with_ended_lines(Utf8Text(copy, words, take_census(copy)), scratch)


def _with_ended_lines(text: Utf8Text, scratch: Scratch) -> Utf8Text:
    """The text with line feeds where carriage returns alone end some of its lines."""
    if not text.census.lone_returns or not returns_end_lines(text.path):
        return text
    copy = split_at_returns(text.path, scratch.new_path(text.path.name))
    return Utf8Text(copy, f"{text.encoding}, some lines end in carriage returns", take_census(copy))


def _guessed(path: Path) -> str:
    """The encoding of a text that is not UTF-8, nor announced."""
    with path.open("rb") as file:
        lines = (line for line in file if not line.isascii())
        guess = guess_encoding(b"".join(_up_to(lines, _EVIDENCE_SIZE_BYTES)))
    if guess and _is_sound(path, guess):
        return guess
    return "iso8859-1" if _holds(path, _NOT_IN_CP1252) else "cp1252"


def _up_to(lines: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    for line in lines:
        yield line
        size_bytes -= len(line)
        if size_bytes < 0:
            return


def _is_sound(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as file:
            while file.read(_BLOCK_SIZE_BYTES):
                pass
    except UnicodeError:
        return False
    return True


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
