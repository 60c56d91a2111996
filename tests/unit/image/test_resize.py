"""A geometry carried out: shrunk, upright, cropped or padded around the centre."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from ray_downloader.image.geometry import Geometry
from ray_downloader.image.model import Picture, Pixels
from ray_downloader.image.resize import resize, turn

#: 2 x 3, every pixel another one.
PIXELS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_what_pillow_does(orientation: int) -> None:
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(turn(PIXELS, orientation), np.asarray(ImageOps.exif_transpose(image)))


def test_the_picture_is_shrunk_as_stored_and_then_turned() -> None:
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, :40] = 200
    upright = resize(Picture(wide, (40, 80), orientation=6), Geometry((20, 10), (20, 10)), "exact")
    assert upright.shape == (20, 10, 3)
    assert upright[0, 0, 0] == 200, "the left half of what is stored is the upper half"
    assert upright[-1, 0, 0] == 0


def test_a_picture_of_the_right_size_is_not_copied() -> None:
    assert resize(Picture(PIXELS, (2, 3)), Geometry((2, 3), (2, 3)), "exact") is PIXELS


@pytest.mark.parametrize("gap", [1.01, 1.3, 1.6, 2.0, 2.4, 2.9, 3.0, 3.5, 3.99, 4.0, 7.3])
def test_the_fast_way_gives_nearly_what_exact_averages_give(photo: Pixels, gap: float) -> None:
    size = (round(300 / gap), round(400 / gap))
    picture, geometry = Picture(photo, (300, 400)), Geometry(size, size)
    fast, exact = resize(picture, geometry, "fast"), resize(picture, geometry, "exact")
    assert fast.shape == exact.shape == (*size, 3)
    assert np.abs(fast.astype(int) - exact).mean() < 1.5


def test_fine_stripes_are_averaged_on_either_way_and_do_not_come_back_as_wide_ones() -> None:
    stripes = np.zeros((720, 720, 3), np.uint8)
    stripes[:, ::2] = 255
    geometry = Geometry((256, 256), (256, 256))
    for decode in ("exact", "fast"):
        assert np.ptp(resize(Picture(stripes, (720, 720)), geometry, decode)[:, 8:-8].astype(int)) < 130, (
            "bilinear alone: 255"
        )


def test_the_middle_is_cropped() -> None:
    columns = np.tile(np.arange(9, dtype=np.uint8)[None, :, None], (5, 1, 3))
    cropped = resize(Picture(columns, (5, 9)), Geometry((5, 9), (5, 5)), "exact")
    assert cropped[0, :, 0].tolist() == [2, 3, 4, 5, 6]


def test_padding_is_white_and_an_odd_row_goes_below() -> None:
    padded = resize(Picture(np.zeros((2, 4, 3), np.uint8), (2, 4)), Geometry((2, 4), (5, 4)), "exact")
    assert padded[:, 0, 0].tolist() == [255, 0, 0, 255, 255]
