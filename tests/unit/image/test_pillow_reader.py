"""Pillow's readings: every mode becomes opaque 8-bit BGR, and every failure has a name."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ray_downloader.errors import ErrorKind
from ray_downloader.image import pillow_reader
from ray_downloader.image.model import Header, ImageError, ImageOptions, Picture, Pixels
from ray_downloader.image.pillow_reader import NoReaderError, read_with_pillow
from tests.unit.image.conftest import Saver

OPTIONS = ImageOptions()


def saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def read(body: bytes, image_format: str, options: ImageOptions = OPTIONS, *, cut: bool = False) -> Picture:
    return read_with_pillow(body, Header(image_format, cut=cut), options)


def error_of(body: bytes, image_format: str, options: ImageOptions = OPTIONS, *, cut: bool = False) -> ImageError:
    with pytest.raises(ImageError) as found:
        read(body, image_format, options, cut=cut)
    return found.value


@pytest.mark.parametrize(
    ("image", "bgr"),
    [
        (Image.new("1", (3, 2), 1), (255, 255, 255)),
        (Image.new("L", (3, 2), 70), (70, 70, 70)),
        (Image.new("RGB", (3, 2), (1, 2, 3)), (3, 2, 1)),
        (Image.new("RGBA", (3, 2), (1, 2, 3, 255)), (3, 2, 1)),
        (Image.new("RGBA", (3, 2), (1, 2, 3, 0)), (255, 255, 255)),
        (Image.new("LA", (3, 2), (70, 0)), (255, 255, 255)),
        (Image.new("CMYK", (3, 2), (0, 255, 255, 0)), (0, 0, 255)),
    ],
    ids=["1", "L", "RGB", "RGBA", "transparent", "LA", "CMYK"],
)
def test_every_mode_becomes_opaque_bgr(image: Image.Image, bgr: tuple[int, int, int]) -> None:
    picture = read(saved(image, "TIFF"), "tiff")
    assert (picture.size, picture.pixels.shape, picture.pixels.dtype) == ((2, 3), (2, 3, 3), np.uint8)
    assert np.abs(picture.pixels.astype(int) - bgr).max() <= 1


def test_a_palette_with_a_transparent_colour_shows_white_there() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    picture = read(saved(image, "GIF", transparency=1), "gif")
    assert picture.pixels[0].tolist() == [[30, 20, 10], [255, 255, 255]]


def test_deep_grey_is_scaled_and_not_cut_off() -> None:
    picture = read(saved(Image.fromarray(np.array([[0, 32_768, 65_535]], np.uint16)), "TIFF"), "tiff")
    assert picture.pixels[0, :, 0].tolist() == [0, pytest.approx(127, abs=1), 255]


@pytest.mark.parametrize(
    ("tags", "white"),
    [({258: (12,)}, 4_095), ({258: (9,)}, 511), ({258: (16,)}, 65_535), ({258: (8,)}, 65_535), ({258: (32,)}, 65_535),
     ({258: ()}, 65_535), ({}, 65_535)],
)  # fmt: skip
def test_white_is_the_most_that_the_bits_of_a_sample_hold(tags: dict[int, tuple[int, ...]], white: int) -> None:
    assert pillow_reader._full_scale(SimpleNamespace(tag_v2=tags)) == white  # type: ignore[arg-type]  # the part that is read
    assert pillow_reader._full_scale(SimpleNamespace()) == 65_535  # type: ignore[arg-type]  # no TIFF


def test_samples_without_a_defined_white_are_not_guessed() -> None:
    deep = Image.fromarray(np.array([[0, 70_000]], np.int32))
    assert "more than 16 bits" in error_of(saved(deep, "TIFF"), "tiff").message
    floating = error_of(saved(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"), "tiff")
    assert (floating.kind, "floating-point" in floating.message) == (ErrorKind.UNSUPPORTED_FORMAT, True)


def test_strips_are_the_whole_picture(monkeypatch: pytest.MonkeyPatch, photo: Pixels, save: Saver) -> None:
    body = save(photo, "PNG")
    whole = read(body, "png").pixels
    for pixels in (1, 400 * 7, 400 * 300 - 1):
        monkeypatch.setattr(pillow_reader, "_STRIP_PIXELS", pixels)
        assert np.array_equal(read(body, "png").pixels, whole)
    assert np.array_equal(whole, photo)


def test_orientation_and_exif_travel_with_the_pixels(photo: Pixels, save: Saver) -> None:
    picture = read(save(photo, "JPEG", 6), "jpeg")
    assert (picture.orientation, picture.size) == (6, (300, 400))
    assert picture.exif.startswith((b"II", b"MM"))
    plain = read(save(photo, "JPEG"), "jpeg")
    assert plain.orientation == 1


def test_a_profile_is_only_converted_on_request(photo: Pixels, save: Saver) -> None:
    body = save(photo, "JPEG")
    assert not read(body, "jpeg", replace(OPTIONS, icc="srgb")).recoloured
    assert not read(body, "jpeg").recoloured


def test_only_the_plugin_of_the_format_is_tried(photo: Pixels, save: Saver) -> None:
    with pytest.raises(NoReaderError, match="Pillow does not read this gif") as refusal:
        read(save(photo, "PNG"), "gif")
    assert not refusal.value.is_known


@pytest.mark.parametrize(("share", "kind"), [(0.5, ErrorKind.TRUNCATED), (0.9, ErrorKind.TRUNCATED)])
@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "GIF", "BMP"])
def test_data_that_end_early_are_truncated(
    photo: Pixels, save: Saver, image_format: str, share: float, kind: ErrorKind
) -> None:
    body = save(photo, image_format)
    assert error_of(body[: int(len(body) * share)], image_format.lower()).kind is kind


def test_damage_is_not_truncation_unless_the_end_is_known_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, photo: Pixels, save: Saver
) -> None:
    body = save(photo, "PNG")

    def breaking(_self: object) -> None:
        raise ValueError(words)

    monkeypatch.setattr(Image.Image, "load", breaking)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", breaking)
    for words, cut, kind in (
        ("broken data", False, ErrorKind.DECODE_FAILED),
        ("broken data", True, ErrorKind.TRUNCATED),
        ("image file is truncated (3 bytes)", False, ErrorKind.TRUNCATED),
        ("", False, ErrorKind.DECODE_FAILED),
    ):
        error = error_of(body, "png", cut=cut)
        assert error.kind is kind
        assert error.message == f"png: {words or 'ValueError'}"
    words = "Unimplemented pixel format"
    with pytest.raises(NoReaderError) as refusal:
        read(body, "png")
    assert refusal.value.is_known


def test_memory_that_is_used_up_is_not_the_pictures_fault(monkeypatch: pytest.MonkeyPatch, save: Saver) -> None:
    def no_memory(_image: object, _conversion: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pillow_reader, "_to_bgr", no_memory)
    with pytest.raises(MemoryError):
        read(save(np.zeros((2, 2, 3), np.uint8), "PNG"), "png")


def test_what_is_too_large_is_refused_before_its_pixels_are_read(photo: Pixels, save: Saver) -> None:
    body = save(photo, "PNG")
    assert error_of(body, "png", replace(OPTIONS, max_pixels=119_999)).kind is ErrorKind.TOO_MANY_PIXELS
    assert read(body, "png", replace(OPTIONS, max_pixels=120_000)).size == (300, 400)
    little = error_of(body, "png", replace(OPTIONS, decoder_memory_mb=136))
    assert little.kind is ErrorKind.TOO_MANY_PIXELS
    assert "png of 400 x 300 pixels" in little.message


def test_jpeg_xl_without_its_plugin_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_reader.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    error = error_of(b"", "jxl")
    assert (error.kind, "ray-downloader[jxl]" in error.message) == (ErrorKind.UNSUPPORTED_FORMAT, True)
