"""Reads odd, damaged and rare pictures: with Pillow or, if that has no reader, OpenCV. Runs in the decoder process.

A body that ends early is salvaged only if nothing but its end is missing, and that is measured, not assumed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from ray_downloader.errors import ErrorKind
from ray_downloader.image.color import to_eight_bits
from ray_downloader.image.decode import decode
from ray_downloader.image.jpeg_header import END
from ray_downloader.image.jpeg_warnings import Damage, watching
from ray_downloader.image.jpeg_zeros import zero_hole
from ray_downloader.image.model import Header, ImageError, ImageOptions, Picture
from ray_downloader.image.opencv import cv2
from ray_downloader.image.pillow_reader import NoReaderError, read_with_pillow
from ray_downloader.image.png_header import with_end_chunk

#: Of these formats OpenCV reads some files that Pillow refuses (lossless JPEG up to 8 bit, BMP with unusual bit fields,
#: PNG with a damaged ancillary chunk), and it distinguishes a floating-point TIFF from a damaged one.
_SECOND_OPINION = frozenset({"jpeg", "png", "bmp", "tiff"})
#: A decoder that runs out of data assumes zeros; with these bytes instead, the missing part looks different.
_FILLER = b"\x55\xaa\x33" * 1366
#: The greatest height of a JPEG's last row of blocks. A picture with damage in that row alone is kept.
_LAST_ROWS = 16


def read_carefully(body: bytes, header: Header, options: ImageOptions) -> Picture:
    """The pixels of any body whose format `sniff` knows.

    Raises:
        ImageError: As `process`.
    """
    if header.image_format == "jpeg" and not header.cut:
        return _read_whole_jpeg(body, header, options)
    if not header.cut:
        return _read(body, header, options)
    try:
        return _read(body, header, options)  # Pillow does not need the end if every pixel is there
    except ImageError as error:
        if error.kind is ErrorKind.UNSUPPORTED_FORMAT:  # the complete file could not be read either
            raise
    if header.image_format == "png":
        return _read(with_end_chunk(body), header, options)
    if header.image_format == "jpeg":
        return _salvage_jpeg(body, header, options)
    raise ImageError(ErrorKind.TRUNCATED, f"{header.image_format}: {len(body)} bytes end before the picture does")


def _read_whole_jpeg(body: bytes, header: Header, options: ImageOptions) -> Picture:
    """A JPEG with an end marker: whatever is missing before it is missing in the middle, and not kept."""
    damage = zero_hole(body, header) or _damage(body, header)
    if damage is not None:
        raise ImageError(damage.kind, damage.message)
    return _read(body, header, options)


def _damage(body: bytes, header: Header) -> Damage | None:
    """What libjpeg says about the data, all of which it also reads at the smallest scale."""
    flags = cv2.IMREAD_REDUCED_COLOR_8 | cv2.IMREAD_IGNORE_ORIENTATION
    with watching() as warnings, suppress(cv2.error):
        cv2.imdecode(np.frombuffer(body, np.uint8), flags)
    return warnings.damage(body, header)


def _read(body: bytes, header: Header, options: ImageOptions) -> Picture:
    try:
        return read_with_pillow(body, header, options)
    except NoReaderError as refusal:
        if header.image_format in _SECOND_OPINION:
            return _read_with_opencv(body, header, refusal)
        raise _without_reader(header, refusal) from None


def _read_with_opencv(body: bytes, header: Header, refusal: NoReaderError) -> Picture:
    try:
        picture = decode(body, replace(header, has_alpha=True))
    except ImageError as error:
        if error.kind is ErrorKind.UNSUPPORTED_FORMAT:
            raise
        raise _without_reader(header, refusal) from None
    if header.bits >= 8:
        return picture
    return replace(picture, pixels=to_eight_bits(picture.pixels, (1 << header.bits) - 1))


def _without_reader(header: Header, refusal: NoReaderError) -> ImageError:
    if header.cut:
        return ImageError(ErrorKind.TRUNCATED, str(refusal))
    if header.bits > 8 or refusal.is_known:
        variant = f"{header.bits}-bit {header.image_format}: " if header.bits > 8 else ""
        return ImageError(ErrorKind.UNSUPPORTED_FORMAT, f"{variant}{refusal}")
    return ImageError(ErrorKind.DECODE_FAILED, str(refusal))


def _salvage_jpeg(body: bytes, header: Header, options: ImageOptions) -> Picture:
    """Append the missing end marker, unless data before it is missing too."""
    kept = body.rstrip(b"\xff")
    try:
        picture = _read(kept + END, header, options)
        other = _read(kept + _FILLER + END, header, options)
    except ImageError as error:
        raise ImageError(ErrorKind.TRUNCATED, f"{len(body)} bytes without an end marker: {error.message}") from None
    differs = np.flatnonzero((picture.pixels != other.pixels).any(axis=(1, 2)))
    damage = _damage(kept + END, header)
    if damage is not None and not differs.size:  # something else ended the data, further up
        raise ImageError(damage.kind, damage.message)
    if differs.size and differs[0] < picture.size[0] - _LAST_ROWS:
        raise ImageError(
            ErrorKind.TRUNCATED, f"{len(body)} bytes end at pixel row {differs[0]} of {picture.size[0]} at the latest"
        )
    return picture
