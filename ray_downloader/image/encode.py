"""Encodes pixels to the bytes that are stored. An encoder is registered under the value of `image.encode` for it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ray_downloader.errors import ErrorKind
from ray_downloader.image.model import ImageError, Pixels
from ray_downloader.image.opencv import cv2
from ray_downloader.registry import Registry
from ray_downloader.run_folder.schemas import RAW


class Encoder(Protocol):
    """Turns upright BGR pixels into bytes."""

    def __call__(self, pixels: Pixels, quality: int, /) -> bytes:
        """The bytes to store; `quality` is 1 to 100, and some formats ignore it."""


ENCODERS: Registry[Encoder] = Registry("encoder", "ray_downloader.image")


@ENCODERS.register("jpeg")
def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    """Baseline JPEG with OpenCV's default 4:2:0 subsampling."""
    return _imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


@ENCODERS.register("png")
def encode_png(pixels: Pixels, _quality: int) -> bytes:
    """PNG, lossless."""
    return _imencode(".png", pixels, [])


@ENCODERS.register("webp")
def encode_webp(pixels: Pixels, quality: int) -> bytes:
    """Lossy WebP. (To OpenCV a quality above 100 means lossless; the settings do not allow it.)"""
    return _imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality])


@ENCODERS.register(RAW)
def encode_raw(pixels: Pixels, _quality: int) -> bytes:
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
