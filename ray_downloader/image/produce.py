"""From decoded pixels (or received bytes) to a `ProcessedImage`, in the worker and in the decoder process alike."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ray_downloader.image.columns import ColumnSource, extra_columns, needs_pixels
from ray_downloader.image.encode import ENCODERS
from ray_downloader.image.geometry import Geometry, plan_geometry
from ray_downloader.image.header import refuse_unwanted
from ray_downloader.image.model import Header, ImageOptions, Picture, Pixels, ProcessedImage, Size, upright
from ray_downloader.image.resize import resize

_ORIGINAL = "original"
#: A picture that need not be shrunk is kept as it was received, but not with 100 MB of something else behind it.
_MOST_KEPT_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored of a picture; `pixels` only if something needs them."""

    image: bytes
    image_format: str
    original_size: Size
    resized_size: Size
    exif: bytes
    pixels: Pixels | None = None


def needs_decoding(header: Header, options: ImageOptions) -> bool:
    """Whether pixels are needed; otherwise the received bytes can be stored after a check of their structure."""
    return options.encode != _ORIGINAL or needs_pixels(options) or header.size is None


def keep_received(body: bytes, header: Header, size: Size, options: ImageOptions) -> ProcessedImage:
    """A result that stores `body`, of upright `size`, without decoding it."""
    return _result(body, header, _Stored(body, header.image_format, size, size, header.exif), options)


def produce(body: bytes, header: Header, picture: Picture, options: ImageOptions) -> ProcessedImage:
    """Shrink, put upright and encode `picture`, or keep `body` if it already is what would be stored.

    Raises:
        ImageError: The filters exclude the picture, or it cannot be encoded.
    """
    size = picture.upright_size
    refuse_unwanted(size, options)
    geometry = planned(size, options)
    if options.encode == _ORIGINAL or _is_stored_already(body, header, picture, geometry, options):
        pixels = resize(picture, geometry, options.decode) if needs_pixels(options) else None
        return _result(body, header, _Stored(body, header.image_format, size, size, picture.exif, pixels), options)
    pixels = resize(picture, geometry, options.decode)
    image = ENCODERS.get(options.encode)(pixels, options)
    return _result(body, header, _Stored(image, options.encode, size, geometry.final, picture.exif, pixels), options)


def planned(size: Size, options: ImageOptions) -> Geometry:
    """How an upright picture of `size` is resized."""
    return Geometry(size, size) if options.encode == _ORIGINAL else plan_geometry(size, options)


def decoded_scale(header: Header, options: ImageOptions) -> Size:
    """The size that a picture of known size is shrunk to, before it is put upright."""
    size = upright(header.size or (0, 0), header.orientation)
    return upright(planned(size, options).scaled, header.orientation)


def _is_stored_already(
    body: bytes, header: Header, picture: Picture, geometry: Geometry, options: ImageOptions
) -> bool:
    return (
        picture.upright_size == geometry.scaled == geometry.final
        and options.encode == header.image_format
        and header.shows_as_stored
        and not picture.recoloured
        and len(body) <= _MOST_KEPT_BYTES
    )


def _result(body: bytes, header: Header, stored: _Stored, options: ImageOptions) -> ProcessedImage:
    hashsum = _md5(body) if options.hash_body else ""
    source = ColumnSource(body, stored.exif, stored.pixels)
    return ProcessedImage(
        image=stored.image,
        image_format=stored.image_format,
        original_format=header.image_format,
        hashsum_original=hashsum,
        hashsum_resized=hashsum if hashsum and stored.image is body else _md5(stored.image),
        original_size=stored.original_size,
        resized_size=stored.resized_size,
        extra=extra_columns(source, options) if options.extra_columns else {},
    )


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
