from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ErrorKind, error_code
from ray_downloader.image import ImageError, ImageOptions, ProcessedImage, process
from ray_downloader.image.decode import reduction
from ray_downloader.image.header import read_header
from ray_downloader.image.model import Pixels

pytestmark = pytest.mark.stage

Saver = Callable[..., bytes]

RAW = ImageOptions(encode="raw", resize="none")


def pixels_of(result: ProcessedImage) -> Pixels:
    if result.image_format == "raw":
        return np.frombuffer(result.image, np.uint8).reshape(*result.resized_size, 3)
    return np.asarray(cv2.imdecode(np.frombuffer(result.image, np.uint8), cv2.IMREAD_COLOR))


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def kind_of(body: bytes, options: ImageOptions = RAW, *, complete: bool = True) -> ErrorKind:
    with pytest.raises(ImageError) as caught:
        process(body, options, complete=complete)
    return caught.value.kind


@pytest.mark.parametrize(
    "image_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA"]
)
def test_each_format_is_read_and_shrunk(photo: Pixels, save: Saver, image_format: str) -> None:
    body = save(photo, image_format)
    result = process(body, ImageOptions(image_size=100))
    assert (result.original_size, result.resized_size) == ((300, 400), (75, 100))
    assert (result.original_format, result.image_format) == (image_format.lower(), "jpeg")
    assert pixels_of(result).shape == (75, 100, 3)
    expected = cv2.resize(photo, (100, 75), interpolation=cv2.INTER_AREA)
    assert difference(pixels_of(result), np.asarray(expected)) < (12 if image_format == "GIF" else 4)
    assert result.hashsum_original == hashlib.md5(body).hexdigest()
    assert result.hashsum_resized == hashlib.md5(result.image).hexdigest()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_comes_out_upright(photo: Pixels, save: Saver, image_format: str, orientation: int) -> None:
    body = save(photo, image_format, orientation)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(body))).convert("RGB"))[:, :, ::-1]
    result = process(body, RAW)
    assert result.original_size == result.resized_size == upright.shape[:2]
    assert difference(pixels_of(result), upright) < 1


def test_transparency_is_laid_over_white() -> None:
    rgba = np.zeros((4, 2, 4), np.uint8)
    rgba[:, :, 0] = 200
    rgba[2:, :, 3] = 128
    for image_format in ("PNG", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(rgba).save(buffer, image_format, lossless=True, exact=True)
        pixels = pixels_of(process(buffer.getvalue(), RAW))
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert np.abs(pixels[3, 0].astype(int) - [127, 127, 227]).max() <= 1


@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_sixteen_bits_are_scaled_over_the_full_range(extension: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (4, 1))
    for deep in (ramp, np.dstack([ramp] * 3)):
        body = cv2.imencode(extension, deep)[1].tobytes()
        pixels = pixels_of(process(body, RAW))
        assert np.abs(pixels[0, :, 1].astype(int) - np.arange(256)).max() <= 1


def test_cmyk_comes_out_in_colour() -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(buffer, "JPEG")
    blue, green, red = pixels_of(process(buffer.getvalue(), RAW))[8, 8]
    assert red > 240
    assert max(blue, green) < 15


def test_the_first_frame_of_an_animation_is_taken() -> None:
    red, green = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 255, 0))
    for image_format in ("GIF", "PNG", "WEBP"):
        buffer = io.BytesIO()
        red.save(buffer, image_format, save_all=True, append_images=[green], lossless=True)
        result = process(buffer.getvalue(), replace(RAW, encode="png"))
        assert np.abs(pixels_of(result)[4, 4].astype(int) - [0, 0, 255]).max() <= 2


@pytest.mark.parametrize("progressive", [False, True])
def test_a_missing_end_marker_is_mended_only_in_a_complete_body(photo: Pixels, save: Saver, progressive: bool) -> None:
    body = save(photo, "JPEG", progressive=progressive)
    assert process(body[:-2], RAW).image == process(body, RAW).image
    assert kind_of(body[:-2], complete=False) is ErrorKind.TRUNCATED


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_picture_with_missing_data_is_truncated_even_if_the_length_was_right(
    photo: Pixels, save: Saver, image_format: str, share: float
) -> None:
    body = save(photo, image_format)
    assert kind_of(body[: int(len(body) * share)]) is ErrorKind.TRUNCATED


def test_a_header_that_announces_too_much_is_refused_before_decoding() -> None:
    body = bytearray(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    at = body.index(b"\xff\xc0") + 5
    body[at : at + 4] = b"\xff\xff\xff\xff"
    assert kind_of(bytes(body)) is ErrorKind.TOO_MANY_PIXELS


def test_damaged_pixels_are_named() -> None:
    body = bytearray(
        cv2.imencode(".webp", np.zeros((64, 64, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    )
    body[26:] = b"\xff" * (len(body) - 26)
    assert kind_of(bytes(body)) is ErrorKind.DECODE_FAILED


@pytest.mark.parametrize(("image_format", "encode"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp")])
def test_a_small_picture_in_the_target_format_keeps_its_bytes(
    photo: Pixels, save: Saver, image_format: str, encode: str
) -> None:
    body = save(photo, image_format)
    kept = process(body, ImageOptions(image_size=400, encode=encode))
    assert kept.image == body
    assert kept.hashsum_resized == kept.hashsum_original
    assert process(body, ImageOptions(image_size=399, encode=encode)).image != body
    turned = save(photo, image_format, 6)
    assert process(turned, ImageOptions(image_size=400, encode=encode)).image != turned


def test_a_small_picture_that_would_look_different_does_not_keep_its_bytes(photo: Pixels, save: Saver) -> None:
    options = ImageOptions(image_size=400, encode="png")
    transparent = cv2.imencode(".png", np.dstack([photo, photo[:, :, 0]]))[1].tobytes()
    deep = cv2.imencode(".png", photo.astype(np.uint16) * 257)[1].tobytes()
    assert process(transparent, options).image != transparent
    assert process(deep, options).image != deep
    padded = process(save(photo, "PNG"), replace(options, resize="border"))
    assert padded.resized_size == (400, 400)


def test_original_keeps_every_sound_body_and_refuses_the_others(photo: Pixels, save: Saver) -> None:
    options = ImageOptions(encode="original", image_size=16)
    for image_format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"):
        body = save(photo, image_format, 6 if image_format == "JPEG" else None)
        result = process(body, options)
        assert (result.image, result.image_format) == (body, image_format.lower())
        assert result.resized_size == ((400, 300) if image_format == "JPEG" else (300, 400))
    assert kind_of(save(photo, "JPEG")[:2000], options) is ErrorKind.TRUNCATED
    assert kind_of(b"<html>", options) is ErrorKind.NOT_IMAGE


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("keep_ratio_shortest", (60, 80)), ("center_crop", (60, 60)), ("border", (60, 60)), ("none", (300, 400))],
)
def test_resize_modes_store_their_shape(photo: Pixels, save: Saver, mode: str, shape: tuple[int, int]) -> None:
    result = process(save(photo, "PNG"), ImageOptions(image_size=60, resize=mode, encode="png"))
    assert result.resized_size == pixels_of(result).shape[:2] == shape


def test_padding_is_white_and_crops_take_the_middle(photo: Pixels, save: Saver) -> None:
    bordered = pixels_of(process(save(photo, "PNG"), ImageOptions(image_size=60, resize="border", encode="raw")))
    assert bordered[0].min() == bordered[-1].min() == 255
    cropped = pixels_of(process(save(photo, "PNG"), ImageOptions(image_size=300, resize="center_crop", encode="raw")))
    assert np.array_equal(cropped, photo[:, 50:350])


def test_fast_decoding_stays_the_gap_above_the_target_and_looks_the_same(photo: Pixels, save: Saver) -> None:
    body = save(photo, "JPEG", quality=95)
    header = read_header(body)
    sides = {gap: reduction(header, (38, 50), ImageOptions(fast_gap=gap)) for gap in (1, 2, 4, 8)}
    assert sides == {1: 8, 2: 4, 4: 2, 8: 1}
    assert reduction(header, (38, 50), ImageOptions(decode="exact")) == 1
    exact = pixels_of(process(body, ImageOptions(image_size=50, encode="raw", decode="exact")))
    assert difference(pixels_of(process(body, ImageOptions(image_size=50, encode="raw"))), exact) < 2


def test_extra_columns_are_made_on_request(photo: Pixels, save: Saver) -> None:
    pytest.importorskip("imagehash")
    body = save(photo, "JPEG", 6)
    extra = process(body, ImageOptions(extra_columns=("exif", "sha256", "phash"))).extra
    assert json.loads(extra["exif"] or "") == {"Orientation": 6}
    assert extra["sha256"] == hashlib.sha256(body).hexdigest()
    assert len(extra["phash"] or "") == 16
    assert process(body, ImageOptions()).extra == {}


def test_an_embedded_profile_is_converted_on_request() -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    swapped = bytes(profile).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    for image_format in ("PNG", "TIFF"):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), (200, 20, 60)).save(buffer, image_format, icc_profile=swapped)
        assert pixels_of(process(buffer.getvalue(), RAW))[0, 0].tolist() == [60, 20, 200]
        blue, green, red = pixels_of(process(buffer.getvalue(), replace(RAW, icc="srgb")))[0, 0].tolist()
        assert np.abs(np.array([blue, green, red]) - [60, 200, 20]).max() <= 3


@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_damaged_bodies_end_in_a_picture_or_a_named_error(
    save: Saver, image_format: str, damage: list[tuple[int, int]]
) -> None:
    body = bytearray(save(np.full((12, 16, 3), 90, np.uint8), image_format))
    for at, value in damage:
        body[at % len(body)] = value
    try:
        assert process(bytes(body), ImageOptions()).image
    except ImageError as error:
        assert error_code(error.kind, None) == -2


def test_the_options_are_those_of_the_configuration() -> None:
    settings = Settings.from_config(
        {"path_to_input": "", "path_to_output": "out", "image": {"quality": 80, "changed": "new", "name": "mine"}}
    )
    assert ImageOptions.of(settings).quality == 80
