"""Encodes pixels to the bytes that are stored. An encoder is registered under the value of `image.encode` for it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ray_downloader.errors import ErrorKind
from ray_downloader.image.model import ImageError, ImageOptions, Pixels
from ray_downloader.image.opencv import cv2
from ray_downloader.registry import Registry
from ray_downloader.run_folder.schemas import RAW

#: A longer side below this is stored without chroma subsampling: it would smear colours visibly, and saves little.
FULL_CHROMA_BELOW_PX = 64
_SAMPLING = {420: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, 444: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444}


class Encoder(Protocol):
    """Turns upright BGR pixels into bytes."""

    def __call__(self, pixels: Pixels, options: ImageOptions, /) -> bytes:
        """The bytes to store; of the options, each format reads those that it knows."""


ENCODERS: Registry[Encoder] = Registry("encoder", "ray_downloader.image")


@ENCODERS.register("jpeg")
def encode_jpeg(pixels: Pixels, options: ImageOptions) -> bytes:
    """Baseline JPEG with `image.chroma`."""
    chroma = 444 if max(pixels.shape[:2]) < FULL_CHROMA_BELOW_PX else options.chroma
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLING[chroma]]
    return _imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, options.quality, *sampling])


@ENCODERS.register("png")
def encode_png(pixels: Pixels, _options: ImageOptions) -> bytes:
    """PNG, lossless."""
    return _imencode(".png", pixels, [])


@ENCODERS.register("webp")
def encode_webp(pixels: Pixels, options: ImageOptions) -> bytes:
    """Lossy WebP. (To OpenCV a quality above 100 means lossless; the settings do not allow it.)"""
    return _imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, options.quality])


@ENCODERS.register(RAW)
def encode_raw(pixels: Pixels, _options: ImageOptions) -> bytes:
    """Height x width x 3 bytes, blue green red, row by row, as in datasets of the legacy project."""
    return pixels.tobytes()


def _imencode(extension: str, pixels: Pixels, parameters: list[int]) -> bytes:
    try:
        encoded, buffer = cv2.imencode(extension, np.ascontiguousarray(pixels), parameters)
    except cv2.error as error:
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, f"no {extension} of {pixels.shape[:2]}: {error.err}") from None
    if not encoded:
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, f"no {extension} of {pixels.shape[:2]} pixels can be written")
    data: bytes = buffer.tobytes()
    return data
