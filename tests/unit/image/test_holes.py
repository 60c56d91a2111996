"""A JPEG with a hole is not stored as a success, whatever fills the hole and although the end marker is there."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image import ImageError, ImageOptions, process
from ray_downloader.image.jpeg_header import read_jpeg_header
from ray_downloader.image.jpeg_warnings import watching
from ray_downloader.image.jpeg_zeros import scans, zero_hole

FORMS = {
    "baseline": [],
    "tables": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
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


@pytest.mark.parametrize("size", [32, 200])
@pytest.mark.parametrize("form", ["baseline", "tables", "restarts"])
def test_a_short_hole_of_zeros_is_seen_wherever_it_is(form: str, size: int) -> None:
    """libjpeg reads it as coefficients, and without restart markers it often says nothing."""
    body = picture(form)
    for place in range(1, 20, 3):
        at = len(body) * place // 20
        assert kind_of(body[:at] + bytes(size) + body[at + size :]) in DAMAGED


def test_a_short_hole_of_zeros_is_seen_where_zeros_are_coefficients_in_a_progressive_picture() -> None:
    body = picture("progressive")
    judged = [scan for scan in scans(body, read_jpeg_header(body).scan_at) if scan.shows_holes]
    assert judged
    for scan in judged:
        middle = (scan.start + scan.end) // 2
        hole = zero_hole(body[:middle] + bytes(32) + body[middle + 32 :], read_jpeg_header(body))
        assert hole is not None
        assert "zeros" in hole.message
    assert zero_hole(body, read_jpeg_header(body)) is None


@pytest.mark.parametrize("quality", [30, 75, 95, 100])
@pytest.mark.parametrize("optimize", [0, 1], ids=["standard", "tables"])
@pytest.mark.parametrize("progressive", [0, 1], ids=["sequential", "progressive"])
def test_no_sound_picture_is_taken_for_one_with_a_hole(quality: int, optimize: int, progressive: int) -> None:
    """Plain areas, single bright dots, lines and noise, at any quality."""
    drawn = np.full((400, 600, 3), 200, np.uint8)
    drawn[50:150, 100:500] = np.random.default_rng(4).integers(0, 255, (100, 400, 3), np.uint8)
    drawn[200:, ::8] = 0
    drawn[300::16, 300::16] = 255
    options = (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, optimize,
               cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)  # fmt: skip
    assert kind_of(cv2.imencode(".jpg", drawn, options)[1].tobytes()) is None


@pytest.mark.parametrize("padding", [b"\0" * 2000, b"\xff" * 7, b"\0"], ids=["zeros", "fill", "zero"])
@pytest.mark.parametrize("form", FORMS)
def test_padding_before_the_end_marker_or_after_it_is_not(form: str, padding: bytes) -> None:
    body = picture(form)
    assert kind_of(body[:-2] + padding + body[-2:]) is None
    assert kind_of(body + padding) is None


@pytest.mark.parametrize("form", FORMS)
def test_what_phones_append_may_be_full_of_zeros(form: str) -> None:
    body = picture(form)
    assert kind_of(body + b"\0\0\0\x18ftypmp42" + bytes(5000) + b"mdat") is None
    assert kind_of(body + b"\xff\xd8\xff\xe2" + bytes(300) + body[2:]) is None


def test_zeros_of_a_plain_picture_with_tables_of_its_own_are_its_data() -> None:
    plain = cv2.imencode(".jpg", np.full((4000, 4000, 3), 128, np.uint8), [cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes()
    assert bytes(1024) in plain
    assert kind_of(plain) is None


def test_zeros_of_a_plain_scan_of_colour_are_its_data() -> None:
    """With the standard's tables, but a scan for each component: a plain block of colour is four bits, all zero."""
    side = 2000
    grey = cv2.imencode(".jpg", np.full((side, side), 128, np.uint8))[1].tobytes()
    colours = cv2.imencode(".jpg", np.full((8, 8, 3), 128, np.uint8))[1].tobytes()
    tables = colours[colours.index(b"\xff\xc4") : colours.index(b"\xff\xda")]
    frame = b"\xff\xc0\x00\x11\x08" + side.to_bytes(2, "big") * 2 + b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    body = grey[: grey.index(b"\xff\xc0")] + frame + tables
    blocks = (side // 8) ** 2
    data = (grey[grey.index(b"\xff\xda") + 10 : -2], bytes(blocks // 2), bytes(blocks // 2))
    for component, (table, scan) in enumerate(zip((b"\x00", b"\x11", b"\x11"), data, strict=True), start=1):
        body += b"\xff\xda\x00\x08\x01" + bytes([component]) + table + b"\x00\x3f\x00" + scan
    assert kind_of(body + b"\xff\xd9") is None


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
