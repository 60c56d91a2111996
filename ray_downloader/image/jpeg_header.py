"""Parses the marker segments of a JPEG up to its first scan: size, orientation, and whether anything is unusual.

Pure Python over at most a few dozen segments (about 10 us). The entropy-coded data is not read, except by two
substring searches, for the end marker and for the number of scans.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ray_downloader.errors import ErrorKind
from ray_downloader.image.exif import orientation_of
from ray_downloader.image.model import Header, ImageError, Size

END = b"\xff\xd9"
#: Why a JPEG is odd that has bytes which belong to no segment.
STRAY_BYTES = "bytes between segments"
_SCAN = b"\xff\xda"
#: Any number of these may precede a marker.
_FILL = re.compile(rb"\xff+")
#: Baseline, extended and progressive Huffman; the others are lossless, hierarchical or arithmetic.
_USUAL_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
#: Sequential frames, with Huffman or arithmetic coding.
_ONE_PASS = frozenset({0xC0, 0xC1, 0xC9})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
#: Encoders write about ten scans; thousands are a known attack that keeps a decoder busy for hours (LJT-01-004). Those
#: with more than `_MAX_SCANS` are odd; `djpeg -maxscans 500` is what libjpeg-turbo's fuzzers allow.
_MAX_SCANS = 64
_MOST_SCANS = 500
#: Markers before the first scan. A colour profile has up to 255 segments, and nobody writes more than that of others.
_MOST_MARKERS = 2048


@dataclass(slots=True)
class _Seen:
    """Facts from the segments parsed so far."""

    frame: int = 0
    bits: int = 8
    size: Size = (0, 0)
    exif: bytes = b""
    xmp: bytes = b""
    has_icc: bool = False
    components: int = 0
    odd: dict[str, None] = field(default_factory=dict)


def read_jpeg_header(body: bytes) -> Header:
    """Parse a body that starts with the JPEG magic number.

    Raises:
        ImageError: `truncated` if it ends before its first scan, `decode_failed` if it has no usable frame.
    """
    seen = _Seen()
    scan = _walk(body, seen)
    if not seen.frame:
        raise ImageError(ErrorKind.DECODE_FAILED, "JPEG: a scan without a frame header")
    # One scan with all components is decoded row by row, others only together.
    buffered = seen.frame not in _ONE_PASS or body[scan + 4 : scan + 5] != bytes([seen.components])
    scans = body.count(_SCAN, scan) if buffered else 1
    if scans > _MOST_SCANS:
        raise ImageError(ErrorKind.DECODE_FAILED, f"JPEG: {scans} scans; encoders write about ten")
    if scans > _MAX_SCANS:
        seen.odd[f"more than {_MAX_SCANS} scans"] = None
    return Header(
        "jpeg",
        size=seen.size,
        orientation=orientation_of(seen.exif, seen.xmp),
        odd=", ".join(seen.odd),
        cut=not (body.endswith(END) or body.rfind(END, scan) >= 0),
        bits=seen.bits,
        has_icc=seen.has_icc,
        buffered=buffered,
        scans=scans,
        scan_at=scan,
        exif=seen.exif,
    )


def _walk(body: bytes, seen: _Seen) -> int:
    """Visit the segments.

    Returns:
        The offset of the first scan.
    """
    at, end = 2, len(body)
    for _ in range(_MOST_MARKERS):
        if at + 2 > end:
            raise ImageError(ErrorKind.TRUNCATED, f"JPEG: {end} bytes end inside the header")
        marker = body[at + 1]
        if body[at] != 0xFF:
            found = body.find(b"\xff", at)
            at = found if found >= 0 else end
            seen.odd[STRAY_BYTES] = None
        elif marker == 0xFF:
            at += _FILL.match(body, at).end() - at - 1  # type: ignore[union-attr]  # it begins with one
        elif marker in _STANDALONE:
            at += 2
            seen.odd["marker out of place"] = None
        elif marker == 0xD9:
            raise ImageError(ErrorKind.DECODE_FAILED, "JPEG: ends before its first scan")
        else:
            length = int.from_bytes(body[at + 2 : at + 4], "big")
            if length < 2:
                raise ImageError(ErrorKind.DECODE_FAILED, f"JPEG: segment {marker:#x} has no length")
            if marker == 0xDA:
                return at
            _visit(marker, body[at + 4 : at + 2 + length], seen)
            at += 2 + length
    raise ImageError(ErrorKind.DECODE_FAILED, f"JPEG: more than {_MOST_MARKERS} markers before its first scan")


def _visit(marker: int, data: bytes, seen: _Seen) -> None:
    if marker in _FRAMES:
        _visit_frame(marker, data, seen)
    elif marker == 0xE1 and data.startswith(b"Exif\x00"):
        seen.exif = seen.exif or data[6:]
    elif marker == 0xE1 and data.startswith(b"http://ns.adobe.com/xap/1.0/"):
        seen.xmp = seen.xmp or data
    elif marker == 0xE2 and data.startswith(b"ICC_PROFILE\x00"):
        seen.has_icc = True
    elif marker == 0xCC:
        seen.odd["arithmetic coding"] = None


def _visit_frame(marker: int, data: bytes, seen: _Seen) -> None:
    if seen.frame:
        seen.odd["several frame headers"] = None
        return
    if len(data) < 6 or len(data) < 6 + 3 * data[5]:
        raise ImageError(ErrorKind.DECODE_FAILED, "JPEG: frame header too short")
    seen.frame, seen.bits = marker, data[0]
    seen.size = (int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big"))
    if 0 in seen.size:
        raise ImageError(ErrorKind.DECODE_FAILED, f"JPEG: {seen.size[0]} x {seen.size[1]} pixels")
    seen.components = data[5]
    factors = [data[7 + 3 * part] for part in range(data[5])]
    if marker not in _USUAL_FRAMES:
        seen.odd[f"frame type {marker:#x}"] = None
    if seen.bits != 8:
        seen.odd[f"{seen.bits} bit"] = None
    if len(factors) not in (1, 3):
        seen.odd[f"{len(factors)} components"] = None
    if not all(1 <= factor >> 4 <= 4 and 1 <= factor & 15 <= 4 for factor in factors):
        seen.odd["sampling factors"] = None
