"""Turns what a list may be wrapped in (gzip, UTF-16, another character set, old line ends) into plain UTF-8 text.

Copies go below a scratch folder that the caller removes. A file that is plain already is not copied.
"""

from __future__ import annotations

import codecs
import gzip
import itertools
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ray_downloader.errors import UserError

#: Beginnings of files that are no lists, longest first where one begins with another; `None` is plain text.
_MAGIC = (
    (b"PAR1", "a parquet file"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"%PDF", "a PDF document"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
)
_MARKUP = (
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
    (b"[{", "a JSON document"),
    (b'{"', "a JSON document"),
)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD_SIZE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder for copies; every path it gives is new."""

    folder: Path
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def new_path(self, name: str) -> Path:
        """A path that does not exist, ending in `name`."""
        return self.folder / f"{next(self._numbers)}-{name}"


def file_kind(path: Path) -> str | None:
    """What a file is by its first bytes, such as "a PDF document"; None if it may be text."""
    with path.open("rb") as file:
        head = file.read(_HEAD_SIZE_BYTES)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    text = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    for beginning, kind in _MARKUP:
        if text.startswith(beginning):
            return kind
    return "a binary file" if _encoding(head) is None and _is_binary(head) else None


def gunzip(path: Path, shown: str, scratch: Scratch) -> Path:
    """A decompressed copy.

    Raises:
        UserError: The file is no gzip file, or a damaged one.
    """
    target = scratch.new_path(path.stem)
    try:
        with gzip.open(path) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{shown} is not a sound gzip file: {error}") from None
    return target


def as_utf8(path: Path, shown: str, scratch: Scratch, declared: str | None = None) -> Path:
    """The file itself if it is UTF-8 (or nearly) with lines that end in a line feed, else a copy that is.

    Args:
        path: The file.
        shown: What the user knows it by.
        scratch: Where a copy goes.
        declared: The encoding that a descriptor states.

    Raises:
        UserError: The text is not in the encoding that its first bytes or the descriptor announce.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_SIZE_BYTES)
    encoding = _encoding(head) or _known_encoding(declared, shown)
    if encoding == "utf-8" and not (b"\r" in head and b"\n" not in head):
        return path
    errors = "surrogateescape" if encoding == "utf-8" else "strict"
    target = scratch.new_path(path.name)
    try:
        with path.open(encoding=encoding, errors=errors) as source, target.open("w", encoding="utf-8") as copy:
            copy.reconfigure(errors=errors, newline="\n")
            _copy_text(source, copy)
    except UnicodeError as error:
        raise UserError(f"{shown} is not the {encoding} text that it begins as: {error}") from None
    return target


def _copy_text(source: IO[str], copy: IO[str]) -> None:
    while block := source.read(1 << 20):
        copy.write(block)


def _encoding(head: bytes) -> str | None:
    """The encoding that the first bytes show, if it is one with two or four bytes a character."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    pairs = len(head) // 2
    if pairs and head[1::2].count(0) > 0.7 * pairs > 7 * head[::2].count(0):
        return "utf-16-le"
    if pairs and head[::2].count(0) > 0.7 * pairs > 7 * head[1::2].count(0):
        return "utf-16-be"
    return None


def _known_encoding(declared: str | None, shown: str) -> str:
    try:
        return codecs.lookup(declared or "utf-8").name
    except LookupError:
        raise UserError(f"{shown} is said to be in the encoding {declared!r}, which is not known") from None


def _is_binary(head: bytes) -> bool:
    """One byte in ten is a control character that no text has."""
    controls = sum(head.count(code) for code in (*range(9), *range(14, 32)))
    return controls > 0.1 * len(head)
