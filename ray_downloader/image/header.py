"""From a body to its `Header`: recognises the format, then parses the first bytes."""

from __future__ import annotations

from collections.abc import Callable

from ray_downloader.errors import ErrorKind
from ray_downloader.image.container import ends_early
from ray_downloader.image.jpeg_header import read_jpeg_header
from ray_downloader.image.model import Header, ImageError, ImageOptions, Size
from ray_downloader.image.png_header import read_png_header
from ray_downloader.image.sniff import sniff
from ray_downloader.image.webp_header import read_webp_header

_READERS: dict[str, Callable[[bytes], Header]] = {
    "jpeg": read_jpeg_header,
    "png": read_png_header,
    "webp": read_webp_header,
}


def read_header(body: bytes) -> Header:
    """Parse the first bytes of `body`.

    Raises:
        ImageError: It is not a picture, or not of a supported format, or its header is damaged.
    """
    name = sniff(body)
    reader = _READERS.get(name)
    if reader is not None:
        return reader(body)
    return Header(name, odd=f"{name} is read by Pillow", cut=ends_early(name, body))


def refuse_unwanted(size: Size, options: ImageOptions) -> None:
    """Check the size in the header (in either orientation) before anything is decoded.

    Raises:
        ImageError: `too_many_pixels`, or `unsupported_format` for a picture that the configured filters exclude
            (`docs/decisions/0005-filtered-pictures.md`).
    """
    short, long = sorted(size)
    if short * long > options.max_pixels:
        raise ImageError(
            ErrorKind.TOO_MANY_PIXELS, f"{size[0]} x {size[1]} is more than image.max_pixels={options.max_pixels}"
        )
    if options.min_size is not None and short < options.min_size:
        raise ImageError(
            ErrorKind.UNSUPPORTED_FORMAT, f"{size[0]} x {size[1]} is below image.min_size={options.min_size}"
        )
    if options.max_aspect_ratio is not None and long > options.max_aspect_ratio * short:
        raise ImageError(
            ErrorKind.UNSUPPORTED_FORMAT,
            f"{size[0]} x {size[1]} is more elongated than image.max_aspect_ratio={options.max_aspect_ratio}",
        )
