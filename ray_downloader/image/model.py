"""Inputs and outputs of the image stage: options, header facts, pixels, result, failure.

Plain frozen values that need no image library, so they can be sent to the decoder process as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from ray_downloader.errors import ErrorKind, UserError

if TYPE_CHECKING:  # loading the settings takes as long as all else that a decoder process needs
    from ray_downloader.config.settings import ImageSettings, Settings

#: height, width, 3 channels in OpenCV's order: blue, green, red.
Pixels: TypeAlias = npt.NDArray[np.uint8]
#: (height, width)
Size: TypeAlias = tuple[int, int]


class ImageError(Exception):
    """The body cannot be turned into a stored picture.

    Args:
        kind: One of the image kinds of `ErrorKind`.
        message: Free text for `error_msg`.
    """

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How pictures are read, filtered, resized and stored; `conf/image/jpeg.yaml` explains the values.

    `hash_body` is False for tools that process stored pictures: the hash of the received bytes is known, and MD5 takes
    a sixth of the time of shrinking a picture of 512 px.
    """

    image_size: int = 224
    encode: str = "jpeg"
    quality: int = 95
    chroma: int = 420
    decode: str = "fast"
    fast_gap: int = 2
    max_pixels: int = 178_956_970
    resize: str = "keep_ratio_longest"
    min_size: int | None = None
    max_aspect_ratio: float | None = None
    icc: str = "ignore"
    extra_columns: tuple[str, ...] = ()
    hash_body: bool = True
    decoder_memory_mb: int = 768

    @classmethod
    def of(cls, settings: Settings) -> ImageOptions:
        """The options in the configuration.

        Raises:
            UserError: A column needs a package that is not installed.
        """
        image: ImageSettings = settings.image
        if "phash" in image.extra_columns and find_spec("imagehash") is None:
            raise UserError("image.extra_columns=[phash] needs ImageHash: pip install 'ray-downloader[phash]'")
        ours = {option.name for option in fields(cls)}  # other keys are about runs, not about pictures
        return cls(
            image_size=settings.downloader_parameters.image_size,
            decoder_memory_mb=settings.cluster.decoder_memory_mb,
            **image.model_dump(include=ours),
        )


@dataclass(frozen=True, slots=True)
class Header:
    """Facts from the first bytes, before any pixel is decoded.

    Args:
        image_format: "jpeg", "png", ..., recognised from the bytes.
        size: As stored, before `orientation` is applied; None if only a decoder can find out.
        orientation: EXIF orientation, 1 to 8.
        odd: Why this picture is not decoded in the worker's own process; "" if it is.
        cut: Whether the bytes end before the picture does.
        has_alpha: Whether pixels may be transparent.
        bits: Bits per channel.
        has_icc: Whether a colour profile is embedded.
        buffered: Whether the decoder has to keep the whole picture in memory, even for a reduced size.
        scans: How often the decoder goes over a JPEG.
        scan_at: Where the data of a JPEG begin.
        exif: The TIFF structure of the EXIF block, or b"".
    """

    image_format: str
    size: Size | None = None
    orientation: int = 1
    odd: str = ""
    cut: bool = False
    has_alpha: bool = False
    bits: int = 8
    has_icc: bool = False
    buffered: bool = False
    scans: int = 1
    scan_at: int = 0
    exif: bytes = b""

    @property
    def shows_as_stored(self) -> bool:
        """Whether a simple reader of the received bytes shows what we would store: upright, opaque, 8 bit."""
        return not (self.odd or self.cut or self.has_alpha or self.bits > 8 or self.orientation != 1)


@dataclass(frozen=True, slots=True)
class Picture:
    """Decoded pixels: opaque, 8 bit, possibly reduced, not yet upright.

    Args:
        size: Size of the whole picture as stored, before reduction and before `orientation`.
        orientation: The orientation that remains to be applied.
        recoloured: Whether the pixels differ from those that a simple reader of the received bytes shows.
        exif: As in `Header`.
    """

    pixels: Pixels
    size: Size
    orientation: int = 1
    recoloured: bool = False
    exif: bytes = b""

    @property
    def upright_size(self) -> Size:
        """Size of the whole picture when it is upright."""
        return upright(self.size, self.orientation)


@dataclass(frozen=True, slots=True)
class ProcessedImage:
    """A picture as it is stored; sizes are (height, width) of the upright picture, hashes are MD5 in hexadecimal."""

    image: bytes
    image_format: str
    original_format: str
    hashsum_original: str
    hashsum_resized: str
    original_size: Size
    resized_size: Size
    extra: Mapping[str, str | None] = field(default_factory=dict)


def upright(size: Size, orientation: int) -> Size:
    """`size` after the EXIF orientation is applied. This function is its own inverse."""
    return (size[1], size[0]) if orientation >= 5 else size
