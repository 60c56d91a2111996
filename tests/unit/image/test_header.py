from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from ray_downloader.errors import ErrorKind
from ray_downloader.image.header import read_header, refuse_unwanted
from ray_downloader.image.model import ImageError, ImageOptions, Pixels

Saver = Callable[..., bytes]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
def test_size_and_orientation_come_from_the_header(
    photo: Pixels, save: Saver, image_format: str, orientation: int | None
) -> None:
    header = read_header(save(photo, image_format, orientation))
    assert (header.size, header.orientation, header.odd) == ((300, 400), orientation or 1, "")


def test_an_orientation_that_does_not_exist_counts_as_upright(photo: Pixels, save: Saver) -> None:
    assert read_header(save(photo, "JPEG", 9)).orientation == 1


def test_progressive_is_usual_but_buffered(photo: Pixels, save: Saver) -> None:
    header = read_header(save(photo, "JPEG", progressive=True))
    assert (header.odd, header.buffered) == ("", True)


def test_thousands_of_scans_are_odd(photo: Pixels, save: Saver) -> None:
    body = save(photo, "JPEG", progressive=True)
    header = read_header(body[:-2] + b"\xff\xda" * 100 + b"\xff\xd9")
    assert "scans" in header.odd


def test_cmyk_is_odd(save: Saver) -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (8, 8)).save(buffer, "JPEG")
    assert read_header(buffer.getvalue()).odd == "4 components"


def test_a_jpeg_without_its_end_marker_is_cut(photo: Pixels, save: Saver) -> None:
    body = save(photo, "JPEG")
    assert read_header(body[:-2]).cut
    assert not read_header(body + b"trailing junk").cut


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_body_that_ends_inside_the_header_is_truncated(photo: Pixels, save: Saver, image_format: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_header(save(photo, image_format)[:20])
    assert caught.value.kind is ErrorKind.TRUNCATED


def test_a_png_whose_pixels_fail_their_checksum_is_damaged(photo: Pixels, save: Saver) -> None:
    body = bytearray(save(photo, "PNG"))
    body[body.index(b"IDAT") + 40] ^= 1
    with pytest.raises(ImageError) as caught:
        read_header(bytes(body))
    assert caught.value.kind is ErrorKind.DECODE_FAILED


def test_a_damaged_side_chunk_only_makes_a_png_odd(photo: Pixels, save: Saver) -> None:
    body = save(photo, "PNG")
    chunk = b"tEXt" + b"a\x00b"
    damaged = len(chunk[4:]).to_bytes(4, "big") + chunk + (zlib.crc32(chunk) ^ 1).to_bytes(4, "big")
    assert read_header(body[:33] + damaged + body[33:]).odd == "checksum of b'tEXt'"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_transparency_is_seen(mode: str, image_format: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).convert(mode).save(buffer, image_format, lossless=True)
    assert read_header(buffer.getvalue()).has_alpha


def test_more_pixels_than_allowed_are_refused() -> None:
    with pytest.raises(ImageError) as caught:
        refuse_unwanted((101, 100), ImageOptions(max_pixels=10_000))
    assert caught.value.kind is ErrorKind.TOO_MANY_PIXELS
    refuse_unwanted((100, 100), ImageOptions(max_pixels=10_000))


@pytest.mark.parametrize("options", [ImageOptions(min_size=32), ImageOptions(max_aspect_ratio=3.0)])
def test_filtered_pictures_are_unsupported_and_say_why(options: ImageOptions) -> None:
    with pytest.raises(ImageError) as caught:
        refuse_unwanted((31, 94), options)
    assert caught.value.kind is ErrorKind.UNSUPPORTED_FORMAT
    assert "image.m" in caught.value.message
    refuse_unwanted((32, 96), options)
