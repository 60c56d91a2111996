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
from PIL import AvifImagePlugin, Image, UnidentifiedImageError

from ray_downloader.errors import ErrorKind
from ray_downloader.image.color import IntoSrgb, lab_to_rgb, to_bgr, to_eight_bits
from ray_downloader.image.decoder_memory import refuse_what_does_not_fit
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
_STRIP_PIXELS = 2**20
#: What Pillow keeps of a pixel, for the modes that do not take four bytes.
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}


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
            size_bytes = image.height * image.width * (_BYTES_PER_PIXEL.get(image.mode, 4) + 3)
            what = f"{name} of {image.width} x {image.height} pixels"
            refuse_what_does_not_fit(size_bytes, len(body), what, options)
            image.load()
            exif, orientation = _exif_of(image)
            conversion = IntoSrgb.of(image) if options.icc == "srgb" else None
            pixels = _to_bgr(image, conversion)
            # readers of HEIF and JPEG XL put the picture upright themselves while they load it
            return Picture(pixels, (image.height, image.width), orientation, conversion is not None, exif)
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
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each reserves address space, of which this process has little
    if image_format == "heif":
        pi_heif = importlib.import_module("pi_heif")
        pi_heif.options.DECODE_THREADS = 1
        pi_heif.register_heif_opener()
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


def _to_bgr(image: Image.Image, conversion: IntoSrgb | None) -> Pixels:
    """Opaque 8-bit BGR of any Pillow mode, converted in strips: a huge picture has no room for copies."""
    if image.mode == "F":
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, "floating-point samples have no defined 8-bit picture")
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(image.height, top + rows)
        strip = image if rows >= image.height else image.crop((0, top, image.width, bottom))
        pixels[top:bottom] = _strip_to_bgr(strip, image, conversion)
    return pixels


def _strip_to_bgr(strip: Image.Image, image: Image.Image, conversion: IntoSrgb | None) -> Pixels:
    if strip.mode == "I" or strip.mode.startswith("I;16"):
        return _deep_grey(strip, _full_scale(image), conversion)
    if conversion is not None:
        strip = conversion.rgb(strip)
    elif strip.mode == "LAB":
        strip = lab_to_rgb(strip)
    if strip.has_transparency_data or strip.mode in ("La", "RGBa"):
        rgba = np.asarray(strip.convert("RGBA"))
        return to_bgr(cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    bgr: Pixels = cv2.cvtColor(np.asarray(strip.convert("RGB")), cv2.COLOR_RGB2BGR)
    return bgr


def _deep_grey(image: Image.Image, full_scale: int, conversion: IntoSrgb | None) -> Pixels:
    """Grey samples of 9 to 16 bits, which Pillow itself would clip at 255."""
    samples: npt.NDArray[Any] = np.asarray(image).astype(np.int64)
    if samples.size and (samples.min() < 0 or samples.max() > 65535):
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, "samples of more than 16 bits have no defined 8-bit picture")
    grey = to_eight_bits(samples.astype(np.uint16), full_scale)
    if conversion is None:
        pixels = to_bgr(grey)
    else:
        pixels = cv2.cvtColor(np.asarray(conversion.rgb(Image.fromarray(grey))), cv2.COLOR_RGB2BGR)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        pixels[samples == transparent] = 255
    return pixels


def _full_scale(image: Image.Image) -> int:
    """The value of white: 4095 for a 12-bit TIFF, whose samples Pillow does not scale."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))
    return (1 << min(16, bits[0])) - 1 if bits and bits[0] > 8 else 65535
