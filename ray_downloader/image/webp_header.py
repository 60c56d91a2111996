"""Parses the RIFF chunks of a WebP: canvas size, transparency, animation, orientation, and whether it is complete."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ray_downloader.errors import ErrorKind
from ray_downloader.image.exif import orientation_of
from ray_downloader.image.model import Header, ImageError, Size

_ANIMATION, _ALPHA, _ICC = 0x02, 0x10, 0x20
#: A chunk for each frame of an animation, and a few others. What follows does not matter to the first frame.
_MOST_CHUNKS = 10_000


def read_webp_header(body: bytes) -> Header:
    """Parse a body that starts with RIFF....WEBP.

    Raises:
        ImageError: `truncated` if it ends before its size is known, `decode_failed` if it breaks the format.
    """
    riff_end = 8 + int.from_bytes(body[4:8], "little")
    chunks = dict(reversed(list(_chunks(body))))  # the first chunk of a name counts
    flags, size, has_alpha = _canvas(chunks, len(body))
    exif = chunks.get(b"EXIF", b"").removeprefix(b"Exif\x00\x00")
    return Header(
        "webp",
        size=size,
        orientation=orientation_of(exif, chunks.get(b"XMP ", b"")),
        odd="animated" if flags & _ANIMATION else "",
        cut=riff_end > len(body) + 1,  # the last padding byte is often missing
        has_alpha=has_alpha,
        has_icc=bool(flags & _ICC),
        exif=exif,
    )


def _chunks(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(body):
            return
        name, length = struct.unpack_from("<4sI", body, at)
        yield name, body[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def _canvas(chunks: dict[bytes, bytes], total_bytes: int) -> tuple[int, Size, bool]:
    """Flags of the extended header, (height, width), and whether pixels may be transparent."""
    if len(extended := chunks.get(b"VP8X", b"")) >= 10:
        width = 1 + int.from_bytes(extended[4:7], "little")
        height = 1 + int.from_bytes(extended[7:10], "little")
        return extended[0], (height, width), bool(extended[0] & _ALPHA) or _lossless_alpha(chunks)
    if len(lossy := chunks.get(b"VP8 ", b"")) >= 10:
        if lossy[3:6] != b"\x9d\x01\x2a":
            raise ImageError(ErrorKind.DECODE_FAILED, "WebP: the frame does not start with a key frame")
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", lossy, 6))
        return 0, (height, width), False
    if len(lossless := chunks.get(b"VP8L", b"")) >= 5:
        packed = int.from_bytes(lossless[1:5], "little")
        return 0, (1 + (packed >> 14 & 0x3FFF), 1 + (packed & 0x3FFF)), _lossless_alpha(chunks)
    raise ImageError(ErrorKind.TRUNCATED, f"WebP: {total_bytes} bytes end inside the header")


def _lossless_alpha(chunks: dict[bytes, bytes]) -> bool:
    return bool(int.from_bytes(chunks.get(b"VP8L", b"")[1:5], "little") >> 28 & 1)
