"""Parses the chunks of a PNG and checks what can be checked without inflating: order, lengths, checksums.

A wrong checksum of a critical chunk means damaged data, whatever a decoder makes of it; that of an ancillary chunk only
makes the file odd.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from ray_downloader.errors import ErrorKind
from ray_downloader.image.exif import orientation_of
from ray_downloader.image.model import Header, ImageError

_BIT_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_END_CHUNK = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_GREY, _RGB, _PALETTE = 0, 2, 3
#: Encoders write pixels in chunks of 8 kB or more, so this is enough for 800 MB.
_MOST_CHUNKS = 100_000
_XMP_KEYWORD = b"XML:com.adobe.xmp\x00"


def read_png_header(body: bytes) -> Header:
    """Parse a body that starts with the PNG signature.

    Raises:
        ImageError: `truncated` if it ends before its header does, `decode_failed` if it breaks the format.
    """
    chunks: dict[bytes, bytes] = {}
    odd: list[str] = []
    for name, data, is_sound in _chunks(body):
        if not is_sound and not name[0] & 0x20:
            raise ImageError(ErrorKind.DECODE_FAILED, f"PNG: the checksum of chunk {name!r} does not match")
        if not is_sound:
            odd.append(f"checksum of {name!r}")
        elif name != b"iTXt" or data.startswith(_XMP_KEYWORD):
            chunks.setdefault(name, data)
    if b"IHDR" not in chunks:
        raise ImageError(ErrorKind.TRUNCATED, f"PNG: {len(body)} bytes end inside the header")
    return _header(chunks, odd)


def with_end_chunk(body: bytes) -> bytes:
    """The complete chunks of a PNG that ends early, closed as the format requires."""
    whole = 8 + sum(12 + len(data) for _, data, _ in _chunks(body))
    return body[:whole] + _END_CHUNK


def _chunks(body: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """(name, data, whether the checksum matches) of every complete chunk up to IEND."""
    at, end = 8, len(body)
    for _ in range(_MOST_CHUNKS):
        if at + 12 > end:
            return
        length, name = struct.unpack_from(">I4s", body, at)
        if at + 12 + length > end:
            return
        data = body[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", body, at + 8 + length)
        yield name, data, zlib.crc32(data, zlib.crc32(name)) == checksum
        if name == b"IEND":
            return
        at += 12 + length
    raise ImageError(ErrorKind.DECODE_FAILED, f"PNG: more than {_MOST_CHUNKS} chunks")


def _header(chunks: dict[bytes, bytes], odd: list[str]) -> Header:
    height, width, bits, colour = _image_header(chunks)
    is_cut = b"IEND" not in chunks
    if not is_cut and b"IDAT" not in chunks:
        raise ImageError(ErrorKind.DECODE_FAILED, "PNG: it contains no pixels")
    if colour == _PALETTE and b"PLTE" not in chunks and not is_cut:
        raise ImageError(ErrorKind.DECODE_FAILED, "PNG: the palette is missing")
    if b"acTL" in chunks:
        odd.append("animated")
    if b"tRNS" in chunks and colour in (_GREY, _RGB):
        odd.append("one transparent colour")  # OpenCV 5.0 ignores it in 16-bit grey
    exif = chunks.get(b"eXIf", b"").removeprefix(b"Exif\x00\x00")
    return Header(
        "png",
        size=(height, width),
        orientation=orientation_of(exif, chunks.get(b"iTXt", b"")),
        odd=", ".join(odd),
        cut=is_cut,
        has_alpha=colour in (4, 6) or b"tRNS" in chunks,
        bits=max(bits, 8),
        has_icc=b"iCCP" in chunks,
        exif=exif,
    )


def _image_header(chunks: dict[bytes, bytes]) -> tuple[int, int, int, int]:
    """Height, width, bits and colour type, with values that the specification allows (section 11.2.1)."""
    if len(chunks[b"IHDR"]) != 13 or next(iter(chunks)) != b"IHDR":
        raise ImageError(ErrorKind.DECODE_FAILED, "PNG: the header chunk is not the first, or not 13 bytes long")
    width, height, bits, colour, method, filtering, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if bits not in _BIT_DEPTHS.get(colour, ()):
        raise ImageError(ErrorKind.DECODE_FAILED, f"PNG: no colour type {colour} with {bits} bits")
    if method or filtering or interlace > 1 or not width or not height:
        raise ImageError(ErrorKind.DECODE_FAILED, "PNG: the header chunk has values that the format does not define")
    return height, width, bits, colour
