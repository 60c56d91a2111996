"""From pixels to what is stored: shrunk and encoded, or the received bytes where they are it already."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image.model import Header, ImageError, ImageOptions, Picture
from ray_downloader.image.produce import decoded_scale, keep_received, needs_decoding, produce

BODY = b"as it was received"
HEADER = Header("jpeg", (40, 60))
OPTIONS = ImageOptions(image_size=60)


def picture(height: int = 40, width: int = 60, orientation: int = 1) -> Picture:
    return Picture(np.full((height, width, 3), 90, np.uint8), (height, width), orientation)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("header", "options", "needed"),
    [
        (HEADER, OPTIONS, True),
        (HEADER, replace(OPTIONS, encode="original"), False),
        (replace(HEADER, size=None), replace(OPTIONS, encode="original"), True),
        (HEADER, replace(OPTIONS, encode="original", extra_columns=("phash",)), True),
        (HEADER, replace(OPTIONS, encode="original", extra_columns=("sha256",)), False),
    ],
)
def test_pixels_are_decoded_only_where_something_needs_them(
    header: Header, options: ImageOptions, needed: bool
) -> None:
    assert needs_decoding(header, options) is needed


def test_received_bytes_are_kept_with_their_size_and_hash() -> None:
    made = keep_received(BODY, HEADER, (40, 60), replace(OPTIONS, encode="original"))
    assert (made.image, made.image_format, made.original_format) == (BODY, "jpeg", "jpeg")
    assert (made.original_size, made.resized_size) == ((40, 60), (40, 60))
    assert made.hashsum_original == made.hashsum_resized == md5(BODY)


def test_a_larger_picture_is_shrunk_and_encoded() -> None:
    made = produce(BODY, HEADER, picture(), replace(OPTIONS, image_size=30, encode="png"))
    assert (made.image_format, made.original_format) == ("png", "jpeg")
    assert (made.original_size, made.resized_size) == ((40, 60), (20, 30))
    assert made.image.startswith(b"\x89PNG")
    assert (made.hashsum_original, made.hashsum_resized) == (md5(BODY), md5(made.image))


def test_sizes_are_those_of_the_upright_picture() -> None:
    made = produce(BODY, replace(HEADER, orientation=6), picture(orientation=6), replace(OPTIONS, image_size=30))
    assert (made.original_size, made.resized_size) == ((60, 40), (30, 20))


def test_what_is_stored_already_is_not_encoded_again() -> None:
    assert produce(BODY, HEADER, picture(), OPTIONS).image is BODY


@pytest.mark.parametrize(
    ("header", "shown", "options"),
    [
        (HEADER, picture(), replace(OPTIONS, image_size=59)),
        (HEADER, picture(), replace(OPTIONS, encode="png")),
        (HEADER, picture(), replace(OPTIONS, resize="center_crop", image_size=40)),
        (replace(HEADER, orientation=6), picture(), OPTIONS),
        (replace(HEADER, has_alpha=True), picture(), OPTIONS),
        (replace(HEADER, bits=16), picture(), OPTIONS),
        (replace(HEADER, cut=True), picture(), OPTIONS),
        (HEADER, replace(picture(), recoloured=True), OPTIONS),
    ],
)
def test_what_would_look_or_be_different_is_encoded(header: Header, shown: Picture, options: ImageOptions) -> None:
    made = produce(BODY, header, shown, options)
    assert made.image != BODY
    assert made.image_format == options.encode


def test_a_small_picture_with_much_behind_it_is_encoded() -> None:
    most = b"x" * (16 * 2**20)
    assert produce(most, HEADER, picture(), OPTIONS).image is most
    assert len(produce(most + b"x", HEADER, picture(), OPTIONS).image) < 10_000


def test_original_keeps_any_picture_as_it_is() -> None:
    made = produce(BODY, replace(HEADER, orientation=6), picture(orientation=6), replace(OPTIONS, encode="original"))
    assert (made.image, made.original_size, made.resized_size) == (BODY, (60, 40), (60, 40))


def test_filters_apply_to_the_upright_size() -> None:
    options = replace(OPTIONS, max_aspect_ratio=1.4)
    with pytest.raises(ImageError) as refused:
        produce(BODY, HEADER, picture(), options)
    assert refused.value.kind in set(ErrorKind)


def test_a_hash_that_is_known_is_not_computed_again() -> None:
    made = produce(BODY, HEADER, picture(), replace(OPTIONS, hash_body=False))
    assert (made.hashsum_original, made.hashsum_resized) == ("", md5(BODY))


@pytest.mark.parametrize(
    ("header", "encode", "scale"),
    [
        (Header("jpeg", (400, 600)), "jpeg", (40, 60)),
        (Header("jpeg", (400, 600), orientation=6), "jpeg", (40, 60)),
        (Header("jpeg", (400, 600)), "original", (400, 600)),
        (Header("jpeg", (600, 400), orientation=8), "jpeg", (60, 40)),
    ],
)
def test_the_decoder_is_given_the_size_as_stored(header: Header, encode: str, scale: tuple[int, int]) -> None:
    assert decoded_scale(header, replace(OPTIONS, encode=encode)) == scale
