"""EXIF: the orientation, read cheaply for every picture, and the whole block as JSON on request."""

from __future__ import annotations

import json
import math
import re
import struct
import warnings

from PIL import ExifTags, Image

_ORIENTATION = 0x0112
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")
#: Longer values are embedded files (maker notes, thumbnails), which nobody filters by.
_MAX_VALUE_BYTES = 1024


def orientation_of(exif: bytes, xmp: bytes = b"") -> int:
    """The orientation, 1 to 8, in the TIFF structure of an EXIF block; 1 if it is missing or invalid.

    XMP is read if EXIF has none, as Pillow's `exif_transpose` does: some editors write only XMP.
    """
    found = _first_directory_short(exif, _ORIENTATION)
    if found is None and xmp and (match := _XMP_ORIENTATION.search(xmp)):
        found = int(match[1])
    return found if found is not None and 1 <= found <= 8 else 1


def _first_directory_short(exif: bytes, wanted: int) -> int | None:
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(exif[:4])
    if order is None:
        return None
    try:
        (at,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if tag == wanted:
                return int(value) if kind == 3 else None
    except struct.error:
        return None
    return None


def exif_json(exif: bytes) -> str | None:
    """The tags by name as a JSON object, with GPS tags in "GPSInfo"; None if EXIF is missing or damaged."""
    if not exif:
        return None
    block = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of each place where EXIF is damaged
            block.load(exif)
            tags = {ExifTags.TAGS.get(tag, str(tag)): value for tag, value in block.items()}
            details = block.get_ifd(ExifTags.IFD.Exif)
            tags |= {ExifTags.TAGS.get(tag, str(tag)): value for tag, value in details.items()}
            gps = block.get_ifd(ExifTags.IFD.GPSInfo)
    except (SyntaxError, struct.error, ValueError, KeyError, TypeError, OSError):
        return None
    known = {name: _plain(value) for name, value in tags.items() if name not in ("GPSInfo", "ExifOffset")}
    if gps:
        known["GPSInfo"] = {ExifTags.GPSTAGS.get(tag, str(tag)): _plain(value) for tag, value in gps.items()}
    return json.dumps({name: value for name, value in known.items() if value is not None}, ensure_ascii=False)


def _plain(value: object) -> object:
    """`value` as JSON can represent it, or None."""
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return value.decode("latin-1").rstrip("\0") if len(value) <= _MAX_VALUE_BYTES else None
    if isinstance(value, str):
        return value.rstrip("\0")
    if isinstance(value, int):
        return value
    try:
        number = float(value)  # type: ignore[arg-type]  # Pillow's rationals
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None
