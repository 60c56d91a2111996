"""What goes into the image stage and what comes out of it: options, header facts, pixels, result, failure.

Plain frozen values without any image library, so that they cross the pipe to the decoder process as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ray_downloader.config.settings import ImageSettings, Settings
from ray_downloader.errors import ErrorKind, UserError

#: height, width, 3 channels in OpenCV's order: blue, green, red.
Pixels: TypeAlias = npt.NDArray[np.uint8]
#: (height, width)
Size: TypeAlias = tuple[int, int]


class ImageError(Exception):
    """The body does not become a stored picture.

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

    `hash_body` is False for tools that read stored pictures again: the hash of what was received is known, and MD5 is a
    sixth of the work of shrinking a picture of 512 px.
    """

    image_size: int = 224
    encode: str = "jpeg"
    quality: int = 95
    decode: str = "fast"
    fast_gap: int = 2
    max_pixels: int = 178_956_970
    resize: str = "keep_ratio_longest"
    min_size: int | None = None
    max_aspect_ratio: float | None = None
    icc: str = "ignore"
    extra_columns: tuple[str, ...] = ()
    hash_body: bool = True

    @classmethod
    def of(cls, settings: Settings) -> ImageOptions:
        """The options that the configuration describes.

        Raises:
            UserError: A column needs a package that is not installed.
        """
        image: ImageSettings = settings.image
        if "phash" in image.extra_columns and find_spec("imagehash") is None:
            raise UserError("image.extra_columns=[phash] needs ImageHash: pip install 'ray-downloader[phash]'")
        return cls(image_size=settings.downloader_parameters.image_size, **image.model_dump(exclude={"name"}))


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes say, before any pixel is decoded.

    Args:
        image_format: "jpeg", "png", ... from the bytes alone.
        size: As stored, before `orientation` is applied; None where only a decoder can tell.
        orientation: EXIF orientation, 1 to 8.
        odd: Why this picture is not decoded in the worker's own process; "" if it is.
        cut: The bytes end before the picture does.
        has_alpha: Some pixels may be transparent.
        bits: Of a channel.
        has_icc: A colour profile is embedded.
        buffered: The decoder has to hold the whole picture, whatever the size it is asked for.
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
    exif: bytes = b""

    @property
    def is_turned(self) -> bool:
        """True if height and width change places when the picture is put upright."""
        return self.orientation >= 5

    @property
    def shows_as_stored(self) -> bool:
        """True if a plain reader of the received bytes sees what we would store: upright, opaque, 8 bit."""
        return not (self.odd or self.cut or self.has_alpha or self.bits > 8 or self.orientation != 1)


@dataclass(frozen=True, slots=True)
class Picture:
    """Decoded pixels: opaque, 8 bit, perhaps reduced, not yet upright.

    Args:
        size: Of the whole picture as stored, before reduction and before `orientation`.
        orientation: What is left to do to put it upright.
        recoloured: The pixels differ from what a plain reader of the received bytes sees.
        exif: As in `Header`.
    """

    pixels: Pixels
    size: Size
    orientation: int = 1
    recoloured: bool = False
    exif: bytes = b""

    @property
    def upright_size(self) -> Size:
        """Of the whole picture, put upright."""
        return upright(self.size, self.orientation)


@dataclass(frozen=True, slots=True)
class ProcessedImage:
    """A picture as it is stored; sizes are (height, width) of the upright picture, hashes are MD5 in hex."""

    image: bytes
    image_format: str
    original_format: str
    hashsum_original: str
    hashsum_resized: str
    original_size: Size
    resized_size: Size
    extra: Mapping[str, str | None] = field(default_factory=dict)


def upright(size: Size, orientation: int) -> Size:
    """`size` after the EXIF orientation is applied; its own inverse."""
    return (size[1], size[0]) if orientation >= 5 else size
