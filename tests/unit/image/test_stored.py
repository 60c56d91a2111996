"""Pictures come back from `successes.parquet`, also raw ones whose size is in another column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image import ImageError, ImageOptions
from ray_downloader.image.model import Pixels
from ray_downloader.image.stored import StoredImage, pixels_of, reprocess

Saver = Callable[..., bytes]


def test_raw_pixels_are_those_that_were_stored(photo: Pixels) -> None:
    assert np.array_equal(pixels_of(StoredImage(photo.tobytes(), "raw", (300, 400))), photo)


def test_an_encoded_picture_is_decoded_in_full(photo: Pixels, save: Saver) -> None:
    assert np.array_equal(pixels_of(StoredImage(save(photo, "PNG"), "png", (300, 400))), photo)


@pytest.mark.parametrize("image_format", ["raw", "png"])
def test_reprocessing_shrinks_whatever_is_stored(photo: Pixels, save: Saver, image_format: str) -> None:
    image = photo.tobytes() if image_format == "raw" else save(photo, "PNG")
    made = reprocess(StoredImage(image, image_format, (300, 400)), ImageOptions(image_size=40, encode="png"))
    assert (made.resized_size, made.image_format, made.hashsum_original) == ((30, 40), "png", "")


@pytest.mark.parametrize("read", [pixels_of, lambda stored: reprocess(stored, ImageOptions())])
def test_raw_bytes_of_another_size_are_truncated(read: Callable[[StoredImage], object]) -> None:
    with pytest.raises(ImageError, match="11 raw bytes are not 2 x 2 x 3") as caught:
        read(StoredImage(bytes(11), "raw", (2, 2)))
    assert caught.value.kind is ErrorKind.TRUNCATED
