"""Reads pictures from `successes.parquet`: encoded ones, and the raw BGR bytes that the legacy project stored.

Raw bytes have neither size nor format; their size is in the column `resized_size`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ray_downloader.errors import ErrorKind
from ray_downloader.image.model import Header, ImageError, ImageOptions, Picture, Pixels, ProcessedImage, Size
from ray_downloader.image.process import process
from ray_downloader.image.produce import produce
from ray_downloader.run_folder.schemas import RAW


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A cell of the column `image`, with its `image_format` (raw if the file lacks that column) and size."""

    image: bytes
    image_format: str
    size: Size


def reprocess(stored: StoredImage, options: ImageOptions) -> ProcessedImage:
    """`process` for a stored picture; `hashsum_original` is empty, as the picture's row has it.

    Raises:
        ImageError: It cannot be read.
    """
    options = replace(options, hash_body=False)
    if stored.image_format != RAW:
        return process(stored.image, options)
    return produce(stored.image, Header(RAW, stored.size), Picture(_raw_pixels(stored), stored.size), options)


def pixels_of(stored: StoredImage) -> Pixels:
    """The upright BGR pixels.

    Raises:
        ImageError: It cannot be read.
    """
    if stored.image_format == RAW:
        return _raw_pixels(stored)
    options = ImageOptions(encode=RAW, resize="none", decode="exact", hash_body=False)
    decoded = process(stored.image, options)
    return _raw_pixels(StoredImage(decoded.image, RAW, decoded.resized_size))


def _raw_pixels(stored: StoredImage) -> Pixels:
    height, width = stored.size
    if len(stored.image) != height * width * 3:
        raise ImageError(ErrorKind.TRUNCATED, f"{len(stored.image)} raw bytes are not {height} x {width} x 3")
    return np.frombuffer(stored.image, np.uint8).reshape(height, width, 3)
