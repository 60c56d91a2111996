"""Decodes a well-formed JPEG, PNG or WebP with OpenCV, in the worker's own process.

libjpeg's scaled inverse DCT decodes a JPEG at 1/2, 1/4 or 1/8 of its size for a fraction of the cost. The scale is
chosen from the header so that the decoded picture is still at least `fast_gap` times the target size.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np

from ray_downloader.errors import ErrorKind
from ray_downloader.image.color import to_bgr
from ray_downloader.image.jpeg_warnings import Warnings, watching
from ray_downloader.image.jpeg_zeros import zero_hole
from ray_downloader.image.model import Header, ImageError, ImageOptions, Picture, Size
from ray_downloader.image.opencv import cv2

_REDUCED = {
    1: cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    2: cv2.IMREAD_REDUCED_COLOR_2 | cv2.IMREAD_IGNORE_ORIENTATION,
    4: cv2.IMREAD_REDUCED_COLOR_4 | cv2.IMREAD_IGNORE_ORIENTATION,
    8: cv2.IMREAD_REDUCED_COLOR_8 | cv2.IMREAD_IGNORE_ORIENTATION,
}
#: IMREAD_COLOR drops alpha (and shows what it hid) and truncates 16-bit samples.
_EVERYTHING = cv2.IMREAD_UNCHANGED


def reduction(header: Header, scaled: Size, options: ImageOptions) -> int:
    """By how much (1, 2, 4 or 8) a picture is reduced when it is decoded, to be shrunk to `scaled` afterwards."""
    if options.decode != "fast" or header.image_format != "jpeg" or header.size is None:
        return 1
    wanted = max(scaled) * options.fast_gap
    return next((by for by in (8, 4, 2) if -(-max(header.size) // by) >= wanted), 1)


def decode(body: bytes, header: Header, by: int = 1) -> Picture:
    """The pixels of a picture whose header is not odd, reduced by the divisor `by`.

    Raises:
        ImageError: `decode_failed`, or `truncated` for a JPEG whose data end before its pixels do.
    """
    needs_all = header.has_alpha or header.bits > 8
    flags = _EVERYTHING if needs_all else _REDUCED[by]
    is_jpeg = header.image_format == "jpeg"
    try:
        with watching() if is_jpeg else nullcontext(Warnings()) as warnings:
            pixels = cv2.imdecode(np.frombuffer(body, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(ErrorKind.DECODE_FAILED, f"OpenCV: {error.err}") from None
    if pixels is None:
        raise ImageError(ErrorKind.DECODE_FAILED, f"OpenCV does not decode this {header.image_format}")
    damage = (warnings.damage(body, header) or zero_hole(body, header)) if is_jpeg else None
    if damage is not None:
        raise ImageError(damage.kind, damage.message)
    if needs_all:
        pixels = to_bgr(pixels)
    size = header.size or (pixels.shape[0], pixels.shape[1])
    return Picture(pixels, size, header.orientation, exif=header.exif)
