"""Removes the compression of a list (gzip, bzip2, zstd, xz), and tells what a file is by its first bytes.

Copies go below a scratch folder that the caller removes. A file that is not compressed is not copied.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import itertools
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO, cast

import pyarrow as pa

from ray_downloader.errors import UserError

#: Beginnings of files that are not lists, longest first if one begins with another; `None` is plain text.
_MAGIC = (
    (b"PAR1", "a parquet file"),
    (b"ARROW1", "an Arrow file"),
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

_COMPRESSIONS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))
#: A file that was compressed more often is not a list.
_MAX_LAYERS = 3
_OPENERS: dict[str, Callable[[Path, str], object]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
#: Endings of names that indicate how a file is compressed.
COMPRESSED_ENDINGS = (".gz", ".gzip", ".bz2", ".zst", ".zstd", ".xz")


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder for copies; it never gives the same path twice."""

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
    if head[257:262] == b"ustar":
        return "a tar archive"
    return "a binary file" if wide_encoding(head) is None and _is_binary(head) else None


def workbook_kind(path: Path) -> str | None:
    """What kind of spreadsheet a file is; None for other files."""
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "an Excel workbook of the old kind"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return None
    if any(name.startswith("xl/workbook.") for name in names):
        return "an Excel workbook"
    return "an OpenDocument spreadsheet" if {"content.xml", "mimetype"} <= set(names) else None


def decompress(path: Path, shown: str, scratch: Scratch) -> Path:
    """A decompressed copy of a file that is compressed, whatever its name says; other files as they are.

    Raises:
        UserError: The file is damaged.
    """
    for _ in range(_MAX_LAYERS):
        kind = _compression(path)
        if kind is None:
            return path
        target = scratch.new_path(PurePath(shown).stem)
        try:
            with _open_compressed(path, kind) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        except (gzip.BadGzipFile, EOFError, zlib.error, OSError, lzma.LZMAError, pa.ArrowException) as error:
            if is_of_the_system(error):
                raise
            raise UserError(f"{shown} is not a sound {kind} file: {error}") from None
        path = target
    return path


def is_of_the_system(error: BaseException) -> bool:
    """Whether the system refused to read or write (a full disk, no permission); other errors are about the content."""
    return isinstance(error, OSError) and error.errno is not None


def _compression(path: Path) -> str | None:
    """How a file is compressed by its first bytes: names are not always right, and servers compress once more."""
    with path.open("rb") as file:
        head = file.read(8)
    return next((kind for magic, kind in _COMPRESSIONS if head.startswith(magic)), None)


def _open_compressed(path: Path, kind: str) -> IO[bytes]:
    if kind == "zstd":
        return cast("IO[bytes]", pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return cast("IO[bytes]", _OPENERS[kind](path, "rb"))


def wide_encoding(head: bytes) -> str | None:
    """The encoding that the first bytes show, if it is one with two or four bytes per character."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    pairs = len(head) // 2
    if pairs and head[1::2].count(0) > 0.7 * pairs > 7 * head[::2].count(0):
        return "utf-16-le"
    if pairs and head[::2].count(0) > 0.7 * pairs > 7 * head[1::2].count(0):
        return "utf-16-be"
    return None


def _is_binary(head: bytes) -> bool:
    """Whether one byte in ten is a control character that does not occur in text."""
    controls = sum(head.count(code) for code in (*range(9), *range(14, 32)))
    return controls > 0.1 * len(head)
