"""Converts to opaque 8-bit BGR: scales 16 bit over the full range, composites over white, applies colour profiles."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from ray_downloader.errors import ErrorKind
from ray_downloader.image.model import ImageError, Pixels
from ray_downloader.image.opencv import cv2

#: In strips of this size, temporaries stay in the CPU cache and a huge picture does not need four times its memory.
_STRIP_PIXELS = 2**18


def to_eight_bits(pixels: npt.NDArray[np.generic], full_scale: int = 65535) -> Pixels:
    """Unsigned samples 0..`full_scale` as 0..255, rounded to the nearest value without clipping.

    Raises:
        ImageError: `unsupported_format` for samples that are not unsigned 8 or 16 bit.
    """
    if pixels.dtype == np.uint8 and full_scale >= 255:
        return pixels  # type: ignore[return-value]
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, f"{pixels.dtype} samples have no defined 8-bit picture")
    scaled: Pixels = cv2.convertScaleAbs(pixels, alpha=255 / full_scale)
    return scaled


def over_white(pixels: npt.NDArray[np.uint8]) -> Pixels:
    """BGRA composited over white: 255 - (255 - colour) * alpha / 255, in 8-bit arithmetic throughout."""
    height, width = pixels.shape[:2]
    opaque = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = pixels[top : top + rows]
        alpha = cv2.merge([strip[:, :, 3]] * 3)
        darkness = cv2.bitwise_not(cv2.cvtColor(strip, cv2.COLOR_BGRA2BGR))
        cv2.bitwise_not(cv2.multiply(darkness, alpha, scale=1 / 255), dst=opaque[top : top + rows])
    return opaque


def to_bgr(pixels: npt.NDArray[np.generic]) -> Pixels:
    """Whatever `IMREAD_UNCHANGED` returns (grey, BGR or BGRA, 8 or 16 bit) as opaque 8-bit BGR."""
    eight = to_eight_bits(pixels)
    if eight.ndim == 2:
        bgr: Pixels = cv2.cvtColor(eight, cv2.COLOR_GRAY2BGR)
        return bgr
    return over_white(eight) if eight.shape[2] == 4 else eight


def in_srgb(image: Image.Image) -> Image.Image | None:
    """`image` converted from its embedded profile; None if it has no profile, or sRGB, or an unusable one."""
    embedded = image.info.get("icc_profile")
    if not embedded or image.mode not in ("RGB", "RGBA", "L", "CMYK"):
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return None
        target: Any = ImageCms.createProfile("sRGB")
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(image, profile, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return None


def lab_to_rgb(image: Image.Image) -> Image.Image:
    """CIE L*a*b* pixels (a TIFF mode that `Image.convert` refuses) as sRGB."""
    lab: Any = ImageCms.createProfile("LAB")
    target: Any = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, target, outputMode="RGB")
    if converted is None:
        raise OSError("LAB pixels were not converted")
    return converted
