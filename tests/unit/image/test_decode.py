"""The scale at which a JPEG is decoded, and what OpenCV makes of a body."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image import ImageError, ImageOptions
from ray_downloader.image.decode import decode, reduction
from ray_downloader.image.model import Header, Pixels

Saver = Callable[..., bytes]


@pytest.mark.parametrize(
    ("longer", "gap", "by"),
    [(1600, 2, 8), (1593, 2, 8), (1592, 2, 4), (800, 2, 4), (400, 2, 2), (399, 2, 2), (398, 2, 1), (1600, 4, 4)],
)
def test_the_decoded_picture_stays_the_gap_times_the_target(longer: int, gap: int, by: int) -> None:
    header = Header("jpeg", size=(10, longer))
    assert reduction(header, (1, 100), ImageOptions(fast_gap=gap)) == by


@pytest.mark.parametrize(
    ("header", "options"),
    [
        (Header("jpeg", size=(10, 1600)), ImageOptions(decode="exact")),
        (Header("png", size=(10, 1600)), ImageOptions()),
        (Header("jpeg"), ImageOptions()),
    ],
)
def test_other_pictures_are_decoded_in_full(header: Header, options: ImageOptions) -> None:
    assert reduction(header, (1, 100), options) == 1


@pytest.mark.parametrize(("by", "shape"), [(1, (300, 400, 3)), (2, (150, 200, 3)), (4, (75, 100, 3)), (8, (38, 50, 3))])
def test_a_jpeg_is_reduced_and_keeps_its_size_in_the_header(
    photo: Pixels, save: Saver, by: int, shape: tuple[int, int, int]
) -> None:
    picture = decode(save(photo, "JPEG"), Header("jpeg", size=(300, 400), orientation=6), by)
    assert picture.pixels.shape == shape
    assert (picture.size, picture.orientation) == ((300, 400), 6)


def test_orientation_is_left_to_us(photo: Pixels, save: Saver) -> None:
    assert decode(save(photo, "JPEG", 6), Header("jpeg", size=(300, 400))).pixels.shape == (300, 400, 3)


def test_bits_beyond_eight_are_scaled_and_not_cut_off() -> None:
    import cv2

    body = cv2.imencode(".png", np.full((2, 2, 3), 32896, np.uint16))[1].tobytes()
    assert decode(body, Header("png", size=(2, 2), bits=16)).pixels.tolist() == [[[128] * 3] * 2] * 2


def test_what_opencv_refuses_is_named() -> None:
    with pytest.raises(ImageError, match="OpenCV does not decode this jpeg") as caught:
        decode(b"\xff\xd8\xff nothing", Header("jpeg", size=(1, 1)))
    assert caught.value.kind is ErrorKind.DECODE_FAILED
