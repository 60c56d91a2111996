"""A contact sheet: every picture whole in its square, eight in a row."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ray_downloader.image.sheet import contact_sheet
from ray_downloader.image.stored import StoredImage


def stored(height: int, width: int, value: int = 0) -> StoredImage:
    pixels = np.full((height, width, 3), value, np.uint8)
    return StoredImage(bytes(cv2.imencode(".png", pixels)[1].tobytes()), "png", (height, width))


def sheet(*images: StoredImage) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(contact_sheet(images), np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found


@pytest.mark.parametrize(("count", "rows"), [(0, 1), (1, 1), (8, 1), (9, 2), (16, 2)])
def test_eight_are_in_a_row(count: int, rows: int) -> None:
    assert sheet(*[stored(10, 10)] * count).shape == (128 * rows, 128 * 8, 3)


@pytest.mark.parametrize(
    ("size", "place"),
    [
        ((100, 100), (slice(2, 126), slice(2, 126))),
        ((50, 100), (slice(33, 95), slice(2, 126))),
        ((100, 50), (slice(2, 126), slice(33, 95))),
        ((1, 1000), (slice(63, 64), slice(2, 126))),
    ],
    ids=["square", "wide", "tall", "a line"],
)
def test_a_picture_keeps_its_shape_in_the_middle_of_its_square(
    size: tuple[int, int], place: tuple[slice, slice]
) -> None:
    expected = np.full((128, 128), 255)
    expected[place] = 0
    assert np.abs(sheet(stored(*size))[:, :128, 0].astype(int) - expected).mean() < 1.5


def test_what_cannot_be_decoded_is_blank_and_the_next_has_its_own_square() -> None:
    found = sheet(StoredImage(b"noise", "png", (10, 10)), stored(10, 10))
    assert found[:, :128].min() > 250
    assert found[64, 192].max() < 5
