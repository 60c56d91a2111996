"""Everything becomes opaque 8-bit BGR: scaled, composited, converted."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from ray_downloader.errors import ErrorKind
from ray_downloader.image.color import IntoSrgb, lab_to_rgb, to_bgr, to_eight_bits
from ray_downloader.image.model import ImageError


@pytest.mark.parametrize(
    ("samples", "full_scale", "expected"),
    [
        ([0, 257, 32767, 65535], 65535, [0, 1, 127, 255]),
        ([0, 2048, 4095], 4095, [0, 128, 255]),
        ([0, 1], 1, [0, 255]),
    ],
)
def test_samples_are_scaled_over_their_full_range(samples: list[int], full_scale: int, expected: list[int]) -> None:
    scaled = to_eight_bits(np.array([samples], np.uint16), full_scale)
    assert scaled.dtype == np.uint8
    assert scaled.tolist() == [expected]


def test_eight_bits_stay_as_they_are_and_fewer_are_scaled() -> None:
    pixels = np.array([[0, 3]], np.uint8)
    assert to_eight_bits(pixels) is pixels
    assert to_eight_bits(pixels, 3).tolist() == [[0, 255]]


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.uint32])
def test_other_samples_have_no_defined_picture(kind: type) -> None:
    with pytest.raises(ImageError) as caught:
        to_eight_bits(np.zeros((1, 1), kind))
    assert caught.value.kind is ErrorKind.UNSUPPORTED_FORMAT


def test_transparency_is_composited_over_white_in_every_strip() -> None:
    pixels = np.zeros((3, 2**17, 4), np.uint8)  # wide enough for several strips
    pixels[:, :, :3] = (10, 20, 30)
    pixels[0, :, 3], pixels[1, :, 3], pixels[2, :, 3] = 0, 255, 128
    opaque = to_bgr(pixels)
    assert opaque[0, -1].tolist() == [255, 255, 255]
    assert opaque[1, -1].tolist() == [10, 20, 30]
    expected = [255 - (255 - colour) * 128 / 255 for colour in (10, 20, 30)]
    assert np.abs(opaque[2, -1] - np.array(expected)).max() <= 1


def test_grey_becomes_three_equal_channels_and_alpha_goes() -> None:
    assert to_bgr(np.array([[7]], np.uint8)).tolist() == [[[7, 7, 7]]]
    assert to_bgr(np.array([[[1, 2, 3, 255]]], np.uint8)).tolist() == [[[1, 2, 3]]]
    assert to_bgr(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[1, 2, 3]]]


def with_profile(profile: bytes, mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (2, 2), "red")
    image.info["icc_profile"] = profile
    return image


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("profile", [b"", b"not a profile", srgb()], ids=["none", "unreadable", "srgb"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_pictures_without_a_profile_that_changes_them_are_not_converted(mode: str, profile: bytes) -> None:
    assert IntoSrgb.of(with_profile(profile, mode)) is None


@pytest.mark.parametrize("mode", ["CMYK", "F", "LAB"])
def test_a_profile_of_another_mode_is_ignored(mode: str) -> None:
    assert IntoSrgb.of(Image.frombytes(mode, (1, 1), bytes(4)).copy()) is None
    image = Image.new(mode, (1, 1))
    image.info["icc_profile"] = srgb()
    assert IntoSrgb.of(image) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [0, 3, 4], ids=["grey", "bgr", "bgra"])
def test_strips_change_nothing_and_a_picture_may_be_converted_where_it_is(dtype: type, channels: int) -> None:
    rng = np.random.default_rng(0)
    shape = (9, 2**16) if not channels else (9, 2**16, channels)
    pixels = rng.integers(0, np.iinfo(dtype).max, shape, dtype)
    rows = np.concatenate([to_bgr(row.copy()) for row in np.split(pixels, 9)])
    readonly = pixels.copy()
    readonly.flags.writeable = False
    assert np.array_equal(to_bgr(readonly), rows)
    assert np.array_equal(to_bgr(pixels), rows)


def test_lab_becomes_srgb() -> None:
    white = Image.frombytes("LAB", (1, 1), bytes([255, 0, 0]))
    file = io.BytesIO()
    lab_to_rgb(white).save(file, "PNG")
    assert min(Image.open(file).getpixel((0, 0))) >= 250
