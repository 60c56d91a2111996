"""Reads with Pillow what OpenCV reads wrongly or not at all. Only runs in the decoder process.

Only the plugin for the recognised format is tried, so no other parser sees hostile bytes. pi-heif reads HEIC, and
pillow-jxl-plugin JPEG XL if it is installed (it is under the GPL, so that is the user's choice).
"""

from __future__ import annotations

import importlib.util
import io
import re
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ray_downloader.errors import ErrorKind
from ray_downloader.image.color import in_srgb, lab_to_rgb, over_white, to_bgr, to_eight_bits
from ray_downloader.image.exif import orientation_of
from ray_downloader.image.header import refuse_unwanted
from ray_downloader.image.model import Header, ImageError, ImageOptions, Picture, Pixels
from ray_downloader.image.opencv import cv2

#: Messages of Pillow and its plugins when data end early; all other messages mean damage.
_CUT = re.compile(
    r"truncat|not enough (image )?data|unexpected end|end of file|premature|requires a buffer|EOF|too short|Truncated",
    re.IGNORECASE,
)
_UNKNOWN_VARIANT = re.compile(r"Unsupported BMP (bitfields|compression)|Unimplemented")
_XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
_BITS_PER_SAMPLE = 258  # TIFF tag


class NoReaderError(Exception):
    """Pillow has no reader for this variant; another library may.

    Args:
        is_known: Whether Pillow names what it does not support, so the file itself may be sound.
    """

    def __init__(self, message: str, is_known: bool) -> None:
        super().__init__(message)
        self.is_known = is_known


def read_with_pillow(body: bytes, header: Header, options: ImageOptions) -> Picture:
    """The first frame of `body`.

    Raises:
        NoReaderError: Pillow has no reader for it.
        ImageError: As `process`.
    """
    name = header.image_format
    _register_plugins(name)
    try:
        with Image.open(io.BytesIO(body), formats=(name.upper(),)) as image:
            refuse_unwanted((image.height, image.width), options)
            image.load()
            exif, orientation = _exif_of(image)
            converted = in_srgb(image) if options.icc == "srgb" else None
            pixels = _to_bgr(converted or image)
            # readers of HEIF and JPEG XL put the picture upright themselves while they load it
            return Picture(pixels, (image.height, image.width), orientation, converted is not None, exif)
    except UnidentifiedImageError:
        raise NoReaderError(f"Pillow does not read this {name}", is_known=False) from None
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # plugins raise almost anything on hostile bytes
        if _UNKNOWN_VARIANT.search(str(error)):
            raise NoReaderError(f"{name}: {error}", is_known=True) from None
        raise _named(error, header) from None


def _register_plugins(image_format: str) -> None:
    Image.MAX_IMAGE_PIXELS = None  # we check `max_pixels` ourselves
    if image_format == "heif":
        importlib.import_module("pi_heif").register_heif_opener()
    if image_format == "jxl":
        if importlib.util.find_spec("pillow_jxl") is None:
            raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, "JPEG XL needs a plugin: pip install 'ray-downloader[jxl]'")
        importlib.import_module("pillow_jxl")


def _exif_of(image: Image.Image) -> tuple[bytes, int]:
    """The EXIF block, and the orientation that remains to be applied."""
    if image.format in ("HEIF", "JXL"):  # their decoders rotate the picture and keep the tag
        return _bare(image.info.get("exif") or b""), 1
    try:
        exif = _bare(image.getexif().tobytes())
    except (SyntaxError, struct.error, ValueError, TypeError, KeyError, OverflowError):
        exif = b""
    xmp = next((image.info[key] for key in _XMP_KEYS if key in image.info), b"")
    return exif, orientation_of(exif, xmp.encode() if isinstance(xmp, str) else xmp)


def _bare(exif: bytes) -> bytes:
    return exif.removeprefix(b"Exif\x00\x00")


def _named(error: Exception, header: Header) -> ImageError:
    message = f"{header.image_format}: {error}" if str(error) else f"{header.image_format}: {type(error).__name__}"
    is_cut = header.cut or isinstance(error, EOFError) or _CUT.search(str(error))
    return ImageError(ErrorKind.TRUNCATED if is_cut else ErrorKind.DECODE_FAILED, message)


def _to_bgr(image: Image.Image) -> Pixels:
    """Opaque 8-bit BGR of any Pillow mode."""
    if image.mode == "F":
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, "floating-point samples have no defined 8-bit picture")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _deep_grey(image)
    if image.mode == "LAB":
        image = lab_to_rgb(image)
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        rgba = np.asarray(image.convert("RGBA"))
        return over_white(cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    bgr: Pixels = cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
    return bgr


def _deep_grey(image: Image.Image) -> Pixels:
    """Grey samples of 9 to 16 bits, which Pillow itself would clip at 255."""
    samples: npt.NDArray[Any] = np.asarray(image).astype(np.int64)
    if samples.size and (samples.min() < 0 or samples.max() > 65535):
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, "samples of more than 16 bits have no defined 8-bit picture")
    grey = to_eight_bits(samples.astype(np.uint16), _full_scale(image))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey = np.where(samples == transparent, np.uint8(255), grey)
    return to_bgr(grey)


def _full_scale(image: Image.Image) -> int:
    """The value of white: 4095 for a 12-bit TIFF, whose samples Pillow does not scale."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))
    return (1 << min(16, bits[0])) - 1 if bits and bits[0] > 8 else 65535
