"""Pictures made on the spot, and the collection of odd ones by others where it lies beside the checkout."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ray_downloader.image.model import Pixels

Saver = Callable[..., bytes]


@pytest.fixture(scope="session")
def photo() -> Pixels:
    """A smooth random picture, 300 high and 400 wide, BGR."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (400, 300), interpolation=cv2.INTER_LINEAR))


@pytest.fixture(scope="session")
def save() -> Saver:
    """`save(bgr, "JPEG", exif orientation, **Pillow's options)` -> bytes."""

    def saver(pixels: Pixels, image_format: str, orientation: int | None = None, **options: object) -> bytes:
        if orientation is not None:
            exif = Image.Exif()
            exif[0x0112] = orientation
            options["exif"] = exif
        buffer = io.BytesIO()
        Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)).save(buffer, image_format, **options)
        return buffer.getvalue()

    return saver


@pytest.fixture(scope="session")
def collection() -> Path:
    """Folder of pictures by others, with `INDEX.csv`."""
    folder = Path(__file__).parents[3].parent / "shared" / "data" / "images"
    if not (folder / "INDEX.csv").exists():
        pytest.skip("the picture collection is not beside this checkout")
    return folder
