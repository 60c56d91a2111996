"""Encoders by name, and what a format cannot hold."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image import ImageError
from ray_downloader.image.encode import ENCODERS
from ray_downloader.image.model import ImageOptions, Pixels


def test_there_is_an_encoder_for_each_stored_format() -> None:
    assert list(ENCODERS) == ["jpeg", "png", "raw", "webp"]


@pytest.mark.parametrize(("name", "loss"), [("png", 0.0), ("jpeg", 3.0), ("webp", 3.0)])
def test_what_is_encoded_is_read_back(photo: Pixels, name: str, loss: float) -> None:
    decoded = cv2.imdecode(np.frombuffer(ENCODERS.get(name)(photo, ImageOptions()), np.uint8), cv2.IMREAD_COLOR)
    assert float(np.abs(decoded.astype(int) - photo).mean()) <= loss


def test_raw_is_row_by_row_and_blue_first() -> None:
    assert ENCODERS.get("raw")(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), ImageOptions()) == bytes(range(12))


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_quality_is_worth_bytes(photo: Pixels, name: str) -> None:
    encode = ENCODERS.get(name)
    assert len(encode(photo, ImageOptions(quality=30))) < len(encode(photo, ImageOptions()))


def test_a_view_that_is_not_contiguous_is_encoded_too(photo: Pixels) -> None:
    assert ENCODERS.get("png")(photo[::2, ::2], ImageOptions()) == ENCODERS.get("png")(
        np.ascontiguousarray(photo[::2, ::2]), ImageOptions()
    )


def test_a_picture_that_the_format_cannot_hold_is_named() -> None:
    with pytest.raises(ImageError) as caught:
        ENCODERS.get("webp")(np.zeros((1, 20_000, 3), np.uint8), ImageOptions())  # WebP ends at 16,383
    assert caught.value.kind is ErrorKind.UNSUPPORTED_FORMAT


def subsampling(jpeg: bytes) -> tuple[int, int]:
    """Horizontal and vertical factor of the luma component in the frame header."""
    start = jpeg.index(b"\xff\xc0")
    return jpeg[start + 11] >> 4, jpeg[start + 11] & 15


@pytest.mark.parametrize(("chroma", "factors"), [(420, (2, 2)), (444, (1, 1))])
def test_chroma_is_what_was_chosen(photo: Pixels, chroma: int, factors: tuple[int, int]) -> None:
    assert subsampling(ENCODERS.get("jpeg")(photo, ImageOptions(chroma=chroma))) == factors


@pytest.mark.parametrize(("side", "factors"), [(63, (1, 1)), (64, (2, 2))])
def test_the_colours_of_a_very_small_picture_are_not_smeared(
    photo: Pixels, side: int, factors: tuple[int, int]
) -> None:
    assert subsampling(ENCODERS.get("jpeg")(photo[:40, :side], ImageOptions())) == factors
