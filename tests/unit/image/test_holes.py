"""A JPEG with a hole is not stored as a success, whatever fills the hole and although the end marker is there."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image import ImageError, ImageOptions, process
from ray_downloader.image.jpeg_warnings import watching

FORMS = {
    "baseline": [],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 10],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
}
DAMAGED = {ErrorKind.TRUNCATED, ErrorKind.DECODE_FAILED}


def picture(form: str) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)
    pixels = cv2.resize(noise, (900, 600), interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", pixels, FORMS[form])[1].tobytes())


def kind_of(body: bytes) -> ErrorKind | None:
    try:
        process(body, ImageOptions())
    except ImageError as error:
        return error.kind
    return None


FILLINGS = {
    "nothing": lambda size: b"",
    "zeros": bytes,
    "noise": np.random.default_rng(2).bytes,
    "ones": lambda size: b"\xff" * size,
}


@pytest.mark.parametrize("size", [1500, 20_000])
@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("form", FORMS)
def test_a_hole_before_the_end_marker_is_damage(form: str, filling: str, size: int) -> None:
    body = picture(form)
    middle = len(body) // 2
    assert kind_of(body) is None
    assert kind_of(body[:middle] + FILLINGS[filling](size) + body[middle + size :]) in DAMAGED


@pytest.mark.parametrize("padding", [b"\0" * 2000, b"\xff" * 7, b"\0"], ids=["zeros", "fill", "zero"])
@pytest.mark.parametrize("form", FORMS)
def test_padding_before_the_end_marker_or_after_it_is_not(form: str, padding: bytes) -> None:
    body = picture(form)
    assert kind_of(body[:-2] + padding + body[-2:]) is None
    assert kind_of(body + padding) is None


def test_zeros_of_a_plain_picture_with_tables_of_its_own_are_its_data() -> None:
    plain = cv2.imencode(".jpg", np.full((4000, 4000, 3), 128, np.uint8), [cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes()
    assert bytes(1024) in plain
    assert kind_of(plain) is None


def test_only_without_an_end_marker_may_the_last_row_of_blocks_be_missing() -> None:
    body = picture("baseline")
    assert kind_of(body[:-40]) is None
    assert kind_of(body[: len(body) // 2]) is ErrorKind.TRUNCATED
    assert kind_of(body[:-40] + body[-2:]) is ErrorKind.TRUNCATED
    noise = np.random.default_rng(3).bytes(20_000)
    assert kind_of(body[:50_000] + noise + body[70_000:-40]) in DAMAGED


def test_what_others_write_to_standard_error_meanwhile_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    with watching() as warnings:
        os.write(2, b"a thread's words\nCorrupt JPEG data: premature end of data segment\n")
    assert capfd.readouterr().err == "a thread's words\n"
    assert warnings.text == b"Corrupt JPEG data: premature end of data segment\n"
    os.write(2, b"later")
    assert capfd.readouterr().err == "later"
