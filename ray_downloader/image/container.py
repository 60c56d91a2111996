"""Whether a TIFF or a file of boxes (AVIF, HEIC, JPEG 2000, JPEG XL) is complete, judged by its own offsets.

Readers of these formats report a missing end as damage; the lengths in the file distinguish the two.
"""

from __future__ import annotations

_BOXED = frozenset({"avif", "heif", "jpeg2000", "jxl"})
_CODESTREAM_2000 = b"\xff\x4f\xff\x51"
_END_2000 = b"\xff\xd9"
#: Boxes at the top level of a file: a dozen, or some for each fragment of an animation.
_MOST_BOXES = 10_000


def ends_early(image_format: str, body: bytes) -> bool:
    """Whether `body` announces more bytes than it has. False for formats that do not announce their length."""
    if image_format == "tiff":
        return len(body) < 8 or _directory_offset(body) > len(body)
    if body.startswith(_CODESTREAM_2000):
        return _END_2000 not in body[-64:]
    return image_format in _BOXED and _announced_bytes(body) > len(body)


def _directory_offset(body: bytes) -> int:
    is_big = body[2:4] in (b"+\x00", b"\x00+")
    field = body[8:16] if is_big else body[4:8]
    return int.from_bytes(field, "little" if body[:2] == b"II" else "big")


def _announced_bytes(body: bytes) -> int:
    """The end of the last box that starts inside `body`."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(body) or not body[at + 4 : at + 8].isascii():
            break
        length = int.from_bytes(body[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(body[at + 8 : at + 16], "big")
        if length < 8:  # 0: to the end of the file
            break
        at += length
    return at
