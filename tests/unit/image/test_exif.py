"""The orientation of every picture, and all tags as JSON on request."""

from __future__ import annotations

import json
import struct

import pytest
from PIL import Image

from ray_downloader.image.exif import exif_json, orientation_of


def block(order: str, value: int, kind: int = 3) -> bytes:
    """An EXIF block with the tag `Orientation` after another one."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHII", 0x0100, 4, 1, 5) + struct.pack(f"{order}HHIHH", 0x0112, kind, 1, value, 0)
    return mark + struct.pack(f"{order}I", 8) + struct.pack(f"{order}H", 2) + entries


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_read_in_either_byte_order(order: str, value: int) -> None:
    assert orientation_of(block(order, value)) == value


@pytest.mark.parametrize(
    "exif",
    [b"", b"II*\0", b"nothing", block("<", 0), block("<", 9), block("<", 6, kind=4), block("<", 6)[:20]],
)
def test_what_makes_no_sense_is_upright(exif: bytes) -> None:
    assert orientation_of(exif) == 1


@pytest.mark.parametrize("xmp", [b'<x tiff:Orientation="6"/>', b"<tiff:Orientation>6</tiff:Orientation>"])
def test_xmp_counts_only_where_exif_is_silent(xmp: bytes) -> None:
    assert orientation_of(b"", xmp) == 6
    assert orientation_of(block("<", 3), xmp) == 3


def exif_of(tags: dict[int, object]) -> bytes:
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    return exif.tobytes().removeprefix(b"Exif\0\0")


def test_tags_are_named_and_what_json_cannot_hold_is_left_out() -> None:
    text = exif_json(exif_of({0x010F: "Leica\0", 0x0112: 6, 0x011A: 72.0, 0x927C: bytes(2000)}))
    assert text is not None
    assert json.loads(text) == {"Make": "Leica", "Orientation": 6, "XResolution": 72.0}


def test_gps_is_a_group_of_its_own() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    text = exif_json(exif.tobytes().removeprefix(b"Exif\0\0"))
    assert text is not None
    assert json.loads(text)["GPSInfo"] == {"GPSLatitudeRef": "N"}


@pytest.mark.parametrize("exif", [b"", b"garbage that is no TIFF"])
def test_missing_or_damaged_exif_is_no_json(exif: bytes) -> None:
    assert exif_json(exif) is None


def test_where_exif_points_beyond_its_end_what_could_be_read_is_kept_without_a_warning() -> None:
    assert exif_json(b"II*\0HTTP/1.1 200 OK") == "{}"
