"""The lengths in a file say whether its end is missing."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from ray_downloader.image.container import ends_early


def box(name: bytes, data: bytes, length: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(data) if length is None else length, name) + data


WHOLE = box(b"ftyp", b"avif0000") + box(b"mdat", bytes(20))


@pytest.mark.parametrize("image_format", ["avif", "heif", "jpeg2000", "jxl"])
def test_boxes_are_whole_or_end_early(image_format: str) -> None:
    assert not ends_early(image_format, WHOLE)
    assert ends_early(image_format, WHOLE[:-1])


def test_a_box_that_reaches_to_the_end_of_the_file_announces_nothing() -> None:
    assert not ends_early("avif", box(b"ftyp", b"") + box(b"mdat", bytes(5), length=0))


def test_the_length_of_a_big_box_follows_its_name() -> None:
    big = struct.pack(">I4sQ", 1, b"mdat", 16 + 10) + bytes(10)
    assert not ends_early("heif", big)
    assert ends_early("heif", big[:-1])


def test_other_formats_announce_nothing_here() -> None:
    assert not ends_early("gif", b"GIF89a")


@pytest.mark.parametrize("order", ["little", "big"])
def test_the_directory_of_a_tiff_lies_within_the_file_or_not(order: str) -> None:
    mark = b"II*\0" if order == "little" else b"MM\0*"
    body = mark + (8).to_bytes(4, "little" if order == "little" else "big") + bytes(10)
    assert not ends_early("tiff", body)
    assert ends_early("tiff", body[:7])


def test_a_big_tiff_has_its_offset_further_on() -> None:
    body = b"II+\0\x08\0\0\0" + (1000).to_bytes(8, "little")
    assert ends_early("tiff", body)
    assert not ends_early("tiff", body + bytes(1000))


def test_a_bare_jpeg_2000_codestream_ends_with_its_marker() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG2000", no_jp2=True)
    body = file.getvalue()
    assert body.startswith(b"\xff\x4f\xff\x51")
    assert not ends_early("jpeg2000", body)
    assert ends_early("jpeg2000", body[:-2])
