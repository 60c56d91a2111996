"""Optional columns, off by default: `image.extra_columns=[exif, sha256, phash]`. One function per column."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PIL import Image

from ray_downloader.image.exif import exif_json
from ray_downloader.image.model import ImageOptions, Pixels
from ray_downloader.image.opencv import cv2


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """What a column can be computed from; `pixels` are those that are stored, before they are encoded."""

    body: bytes
    exif: bytes
    pixels: Pixels | None


def extra_columns(source: ColumnSource, options: ImageOptions) -> Mapping[str, str | None]:
    """The values of the configured columns, in that order."""
    return {name: _COLUMNS[name](source) for name in options.extra_columns}


def needs_pixels(options: ImageOptions) -> bool:
    """Whether a configured column needs more than the bytes."""
    return "phash" in options.extra_columns


def _exif(source: ColumnSource) -> str | None:
    return exif_json(source.exif)


def _sha256(source: ColumnSource) -> str:
    return hashlib.sha256(source.body).hexdigest()


def _phash(source: ColumnSource) -> str | None:
    """64-bit DCT hash of the stored picture, as 16 hex digits (ImageHash's `phash`)."""
    from imagehash import phash  # noqa: PLC0415 (an extra that loads SciPy, so only on request)

    if source.pixels is None:
        return None
    return str(phash(Image.fromarray(cv2.cvtColor(source.pixels, cv2.COLOR_BGR2RGB))))


_COLUMNS: dict[str, Callable[[ColumnSource], str | None]] = {"exif": _exif, "sha256": _sha256, "phash": _phash}
