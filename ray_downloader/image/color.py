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


def to_bgr(pixels: npt.NDArray[np.generic]) -> Pixels:
    """Whatever `IMREAD_UNCHANGED` returns (grey, BGR or BGRA, 8 or 16 bit) as opaque 8-bit BGR.

    Transparent pixels are composited over white: 255 - (255 - colour) * alpha / 255, in 8-bit arithmetic throughout.
    The result may be in the memory of `pixels`, which a huge picture needs only once then.
    """
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3:
        return pixels  # type: ignore[return-value]
    height, width = pixels.shape[:2]
    opaque = _room_in(pixels, (height, width, 3))
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):  # what is written ends before what is still to be read
        opaque[top : top + rows] = _strip_to_bgr(to_eight_bits(pixels[top : top + rows]))
    return opaque


def _room_in(pixels: npt.NDArray[np.generic], shape: tuple[int, int, int]) -> Pixels:
    """An array of `shape`, if possible at the start of the memory of `pixels`."""
    size = shape[0] * shape[1] * shape[2]
    if pixels.nbytes < size or not (pixels.flags.c_contiguous and pixels.flags.writeable):
        return np.empty(shape, np.uint8)
    return pixels.reshape(-1).view(np.uint8)[:size].reshape(shape)


def _strip_to_bgr(strip: Pixels) -> Pixels:
    if strip.ndim == 2:
        bgr: Pixels = cv2.cvtColor(strip, cv2.COLOR_GRAY2BGR)
        return bgr
    if strip.shape[2] == 3:
        return strip
    alpha = cv2.merge([strip[:, :, 3]] * 3)
    darkness = cv2.bitwise_not(cv2.cvtColor(strip, cv2.COLOR_BGRA2BGR))
    over: Pixels = cv2.bitwise_not(cv2.multiply(darkness, alpha, scale=1 / 255))
    return over


#: Colours by which a profile is judged: a ramp of each channel and of grey.
_RAMP = [*range(0, 256, 15), 255]
_PROBE = [colour for v in _RAMP for colour in ((v, 0, 0), (0, v, 0), (0, 0, v), (v, v, v))]
#: Profiles of the same colours differ by this in rounding.
_SAME_LEVELS = 2


class IntoSrgb:
    """A conversion from an embedded profile to sRGB.

    Args:
        mode: The Pillow mode that the profile is for: RGB, L or CMYK.
        transform: Little CMS's transformation of that mode to RGB.
    """

    def __init__(self, mode: str, transform: Any) -> None:
        self._mode = mode
        self._transform = transform

    @classmethod
    def of(cls, image: Image.Image) -> IntoSrgb | None:
        """The conversion for `image`; None if it has no profile, an unusable one, or one of sRGB whatever its name."""
        embedded = image.info.get("icc_profile")
        mode = _profiled_mode(image)
        if not embedded or mode is None:
            return None
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
            target: Any = ImageCms.createProfile("sRGB")
            transform = ImageCms.buildTransform(profile, target, mode, "RGB")
        except (ImageCms.PyCMSError, OSError):
            return None
        conversion = cls(mode, transform)
        return None if mode == "RGB" and conversion._changes_nothing() else conversion

    def rgb(self, image: Image.Image) -> Image.Image:
        """`image`, with its transparency if it has any, as RGB or RGBA."""
        alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
        colours = self._applied(image if image.mode == self._mode else image.convert(self._mode))
        if alpha is not None:
            colours.putalpha(alpha)
        return colours

    def _applied(self, image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, self._transform)
        if converted is None:
            raise OSError("the colour profile was not applied")
        return converted

    def _changes_nothing(self) -> bool:
        probe = Image.new("RGB", (len(_PROBE), 1))
        probe.putdata(_PROBE)
        before, after = (np.asarray(image).astype(int) for image in (probe, self._applied(probe)))
        return bool(np.abs(before - after).max() <= _SAME_LEVELS)


def _profiled_mode(image: Image.Image) -> str | None:
    """The mode whose colours the profile of `image` describes; None if there is no such thing."""
    if image.mode in ("P", "PA"):
        return "RGB"
    if image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I"):
        return "L"
    return {"RGB": "RGB", "RGBA": "RGB", "RGBX": "RGB", "RGBa": "RGB", "CMYK": "CMYK"}.get(image.mode)


def lab_to_rgb(image: Image.Image) -> Image.Image:
    """CIE L*a*b* pixels (a TIFF mode that `Image.convert` refuses) as sRGB."""
    lab: Any = ImageCms.createProfile("LAB")
    target: Any = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, target, outputMode="RGB")
    if converted is None:
        raise OSError("LAB pixels were not converted")
    return converted
