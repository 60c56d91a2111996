"""Optional columns: each is computed from what it needs, and from nothing else."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from ray_downloader.image.columns import ColumnSource, extra_columns, needs_pixels
from ray_downloader.image.model import ImageOptions, Pixels


def gradient(*, is_mirrored: bool = False) -> Pixels:
    row = np.linspace(0, 255, 64).astype(np.uint8)
    pixels = np.repeat(np.tile(row[::-1] if is_mirrored else row, (48, 1))[:, :, None], 3, axis=2)
    pixels[10:20, 5:30, 2] = 200  # red, so that the order of the channels matters
    return pixels


def exif_of(model: str) -> bytes:
    exif = Image.Exif()
    exif[0x0110] = model
    return exif.tobytes().removeprefix(b"Exif\0\0")


def test_columns_come_in_the_configured_order() -> None:
    options = ImageOptions(extra_columns=("sha256", "exif"))
    values = extra_columns(ColumnSource(b"bytes", exif_of("Camera"), None), options)
    assert list(values) == ["sha256", "exif"]
    assert values["sha256"] == hashlib.sha256(b"bytes").hexdigest()
    assert "Camera" in json.loads(values["exif"] or "").values()


def test_nothing_is_computed_that_is_not_asked_for() -> None:
    assert extra_columns(ColumnSource(b"", b"", None), ImageOptions()) == {}


@pytest.mark.parametrize(
    ("columns", "needed"), [((), False), (("exif", "sha256"), False), (("phash",), True), (("exif", "phash"), True)]
)
def test_only_a_hash_of_the_picture_needs_its_pixels(columns: tuple[str, ...], needed: bool) -> None:
    assert needs_pixels(ImageOptions(extra_columns=columns)) is needed


def test_the_hash_is_of_the_picture_as_it_is_shown() -> None:
    imagehash = pytest.importorskip("imagehash")
    options = ImageOptions(extra_columns=("phash",))
    shown = Image.fromarray(np.ascontiguousarray(gradient()[:, :, ::-1]))
    value = extra_columns(ColumnSource(b"", b"", gradient()), options)["phash"]
    assert value == str(imagehash.phash(shown))
    assert len(value) == 16
    assert value != extra_columns(ColumnSource(b"", b"", gradient(is_mirrored=True)), options)["phash"]
    assert extra_columns(ColumnSource(b"", b"", None), options) == {"phash": None}
