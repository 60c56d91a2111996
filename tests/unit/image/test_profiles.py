"""`icc=srgb` shows every picture in the colours that Little CMS computes, whatever its mode and its profile's name."""

from __future__ import annotations

import csv
import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from ray_downloader.image import ImageOptions, process
from ray_downloader.image.model import Pixels

OPTIONS = ImageOptions(encode="png", resize="none", icc="srgb")
#: Rounding: our 16 bits are rounded to 8 before they are converted, Little CMS's own are not.
LEVELS = 2


def profile(space: bytes, gamma: float, name: str) -> bytes:
    """A minimal ICC 2.1 profile: grey, or RGB with the primaries of sRGB, of a pure power curve."""

    def text(value: str) -> bytes:
        words = value.encode() + b"\0"
        return b"desc" + bytes(4) + struct.pack(">I", len(words)) + words + bytes(78)

    def xyz(*values: float) -> bytes:
        return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {b"desc": text(name), b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": xyz(0.9642, 1.0, 0.8249)}
    if space == b"GRAY":
        tags |= {b"kTRC": curve}
    else:
        tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"rXYZ": xyz(0.4361, 0.2225, 0.0139)}
        tags |= {b"gXYZ": xyz(0.3851, 0.7169, 0.0971), b"bXYZ": xyz(0.1431, 0.0606, 0.7141)}
    table, data, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, at + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s", at + len(data), bytes(4), 0x02100000, b"mntr", space, b"XYZ ", bytes(12), b"acsp"
    )
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


LINEAR = profile(b"RGB ", 1.0, "linear sRGB")
WIDE_GREY = profile(b"GRAY", 1.0, "grey gamma 1.0")


def stored(body: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(process(body, OPTIONS).image, np.uint8), cv2.IMREAD_COLOR))


def saved(image: Image.Image, icc: bytes, image_format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, icc_profile=icc, **options)
    return file.getvalue()


def by_little_cms(image: Image.Image, icc: bytes) -> Pixels:
    """BGR over white."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    converted = ImageCms.profileToProfile(
        image.convert("RGB"), source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None
    colours = np.asarray(converted).astype(float)
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA"))[:, :, 3:] / 255
        colours = 255 - (255 - colours) * alpha
    return colours[:, :, ::-1].round().astype(np.uint8)


def ramp(mode: str) -> Image.Image:
    grey = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    colours = np.dstack([grey, grey[:, ::-1], np.full_like(grey, 77), np.full_like(grey, 200)])
    return (
        Image.fromarray(colours, "RGBA").convert(mode)
        if mode != "P"
        else Image.fromarray(colours[:, :, :3]).quantize(64)
    )


@pytest.mark.parametrize(
    ("mode", "name"), [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("RGB", "JPEG"), ("RGB", "TIFF")]
)
def test_a_linear_profile_is_applied_although_it_is_called_srgb(mode: str, name: str) -> None:
    image = ramp(mode)
    body = saved(image, LINEAR, name, **({"quality": 100, "subsampling": 0} if name == "JPEG" else {}))
    expected = by_little_cms(Image.open(io.BytesIO(body)), LINEAR)
    assert np.abs(stored(body).astype(int) - expected).max() <= LEVELS
    assert np.abs(stored(body).astype(int) - np.asarray(image.convert("RGB"))[:, :, ::-1]).max() > 20


def by_little_cms_grey(grey: Image.Image) -> Pixels:
    source = ImageCms.ImageCmsProfile(io.BytesIO(WIDE_GREY))
    converted = ImageCms.profileToProfile(grey, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None
    return np.asarray(converted)


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_is_converted_with_alpha_and_in_16_bits_too(mode: str, name: str) -> None:
    grey = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    expected = by_little_cms_grey(Image.fromarray(grey)).astype(float)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "LA":
        image = Image.merge("LA", [Image.fromarray(grey), Image.new("L", (256, 8), 200)])
        expected = 255 - (255 - expected) * 200 / 255
    else:
        image = Image.fromarray(grey)
    assert np.abs(stored(saved(image, WIDE_GREY, name)) - expected).max() <= LEVELS


def test_cmyk_without_a_profile_of_cmyk_is_as_without_a_profile() -> None:
    image = ramp("RGB").convert("CMYK")
    plain = stored(saved(image, b"", "TIFF"))
    assert np.array_equal(stored(saved(image, LINEAR, "TIFF")), plain)


def test_the_collection_is_shown_as_little_cms_shows_it(collection: Path) -> None:
    """Those of its pictures with a profile that Little CMS accepts, at most 4 megapixels."""
    compared = 0
    with (collection / "INDEX.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["pillow13_status"] == "OK" and int(row["icc"])]
    for path in (collection / name for name in names):
        with Image.open(path) as opened:
            image, icc = ImageOps.exif_transpose(opened), opened.info.get("icc_profile")
        if not icc or image.mode not in ("RGB", "RGBA", "P") or image.width * image.height > 4_000_000:
            continue
        try:
            expected = by_little_cms(image, icc)
        except ImageCms.PyCMSError:
            continue
        assert np.abs(stored(path.read_bytes()).astype(int) - expected).max() <= LEVELS + 2, path
        compared += 1
    assert compared
