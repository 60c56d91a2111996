"""Recognises the format of a body from its first bytes; Content-Type and file extension are ignored.

There are three outcomes: a format that we have a reader for, another picture format (`unsupported_format`), or not a
picture at all (`empty`, `not_image`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ray_downloader.errors import ErrorKind
from ray_downloader.image.model import ImageError

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"icns", "icns"),
    (b"qoif", "qoi"),
    (b"8BPS", "psd"),
    (b"DDS ", "dds"),
    (b"BLP1", "blp"),
    (b"BLP2", "blp"),
    (b"FTEX", "ftex"),
    (b"\x01\xda", "sgi"),
    (b"\x59\xa6\x6a\x95", "sun"),
    (b"/* XPM */", "xpm"),
    (b"DanM", "msp"),
    (b"LinS", "msp"),
    (b"\x80\xe8\x00\x00", "pixar"),
)
#: Pictures that we have no reader for: vector drawings, floating-point radiance, animations, scientific arrays.
_UNREAD: tuple[tuple[bytes, str], ...] = (
    (b"%!PS", "eps"),
    (b"\xc5\xd0\xd3\xc6", "eps"),
    (b"\xd7\xcd\xc6\x9a", "wmf"),
    (b"\x76\x2f\x31\x01", "openexr"),
    (b"#?RADIANCE", "radiance hdr"),
    (b"#?RGBE", "radiance hdr"),
    (b"PF\n", "pfm"),
    (b"Pf\n", "pfm"),
    (b"\x8aMNG", "mng"),
    (b"\x8bJNG", "jng"),
    (b"SIMPLE  =", "fits"),
    (b"farbfeld", "farbfeld"),
    (b"AT&TFORM", "djvu"),
    (b"gimp xcf", "xcf"),
    (b"\x00\x00\x00\x00\x00\x00\x00\x04", "mcidas"),
    (b"P7 332", "xv thumbnail"),
)
_BRANDS: tuple[tuple[frozenset[bytes], str], ...] = (
    (frozenset({b"avif", b"avis"}), "avif"),
    (frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}), "heif"),
    (frozenset({b"jp2 ", b"jpx "}), "jpeg2000"),
)
_XML_START = re.compile(rb"\s*(?:<\?xml|<!--|<!doctype|<[a-z_])", re.IGNORECASE)
_SVG = re.compile(rb"<(?:\w+:)?svg[\s>]", re.IGNORECASE)
_XBM = re.compile(rb"\s*#define\s+\S+_width\s+\d+")
_IM = re.compile(rb"(?:Image type|Name|Comment|Date|File size)[^\r\n]*:[^\r\n]*\r?\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: How far the text at the start of a file is searched: a pattern may take time that grows with its square.
_START_BYTES = 1024
_DIGITS = (b"1", b"2", b"3", b"4", b"5", b"6")


def sniff(body: bytes) -> str:
    """The format of `body`.

    Raises:
        ImageError: `empty`, `not_image` or `unsupported_format`.
    """
    if body.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if not body:
        raise ImageError(ErrorKind.EMPTY, "the server sent no bytes")
    found = _by_magic(body, _MAGIC) or _by_container(body) or _by_structure(body)
    if found is not None:
        return found
    unread = _by_magic(body, _UNREAD) or _drawing(body)
    if unread is not None:
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, f"{unread} pictures are not supported")
    raise ImageError(ErrorKind.NOT_IMAGE, f"no picture format starts like this: {body[:24]!r}{_what(body)}")


def _by_magic(body: bytes, table: tuple[tuple[bytes, str], ...]) -> str | None:
    return next((name for magic, name in table if body.startswith(magic)), None)


def _by_container(body: bytes) -> str | None:
    """RIFF and ISO base media files name their content after a few bytes."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "webp"
    if body[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(body[:4], "big"), 256)
    brands = {body[8:12]} | {body[at : at + 4] for at in range(16, end, 4)}
    return next((name for known, name in _BRANDS if known & brands), None)


def _by_structure(body: bytes) -> str | None:
    """Recognise formats without a magic number."""
    start = body[:_START_BYTES]
    return next((name for looks_right, name in _STRUCTURES if looks_right(start)), None)


def _is_cursor(body: bytes) -> bool:
    return body[:4] == b"\x00\x00\x02\x00" and body[4:6] > b"\x00\x00"  # a TGA that starts like this has 0 there


def _is_netpbm(body: bytes) -> bool:
    return body[:1] == b"P" and body[1:2] in _DIGITS and body[2:3].isspace()


def _is_pcx(body: bytes) -> bool:
    return body[:1] == b"\x0a" and len(body) > 2 and body[1] in (0, 2, 3, 4, 5) and body[2:3] == b"\x01"


def _is_fli(body: bytes) -> bool:
    return body[4:6] in (b"\x11\xaf", b"\x12\xaf") and body[14:16] in (b"\x00\x00", b"\x03\x00")


def _is_targa(body: bytes) -> bool:
    """TGA has no magic number, so every field of the header must be valid."""
    if len(body) < 18:
        return False
    has_map, kind, map_bits, bits = body[1], body[2], body[7], body[16]
    sizes = int.from_bytes(body[12:14], "little") and int.from_bytes(body[14:16], "little")
    known = kind in (1, 2, 3, 9, 10, 11) and bits in (1, 8, 15, 16, 24, 32) and has_map <= 1
    return bool(known and sizes and map_bits in ((15, 16, 24, 32) if has_map else (0, 15, 16, 24, 32)))


def _drawing(body: bytes) -> str | None:
    """Vector formats that can only be recognised further into the file."""
    if body[40:44] == b" EMF":
        return "emf"
    head = body[:4096].removeprefix(_BYTE_ORDER_MARK)
    is_svg = _XML_START.match(head) and _SVG.search(head) and b"<html" not in head.lower()
    return "svg" if is_svg else None


def _what(body: bytes) -> str:
    head = body[:1024].removeprefix(_BYTE_ORDER_MARK)
    if _XML_START.match(head):
        return " (a web page or XML)"
    return " (PDF)" if head.startswith(b"%PDF") else ""


_STRUCTURES: tuple[tuple[Callable[[bytes], object], str], ...] = (
    (_is_cursor, "cur"),
    (_is_netpbm, "ppm"),
    (_is_pcx, "pcx"),
    (_is_fli, "fli"),
    (_XBM.match, "xbm"),
    (_IM.match, "im"),
    (_is_targa, "tga"),
)
