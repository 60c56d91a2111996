"""A contact sheet: some stored pictures side by side in one JPEG."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ray_downloader.image.model import ImageError, Pixels
from ray_downloader.image.opencv import cv2
from ray_downloader.image.stored import StoredImage, pixels_of

_CELL = 128
_COLUMNS = 8
_QUALITY = 85
_WHITE = 255


def contact_sheet(images: Iterable[StoredImage]) -> bytes:
    """The pictures in rows of eight, each within its square; those that cannot be decoded are blank."""
    cells = [_cell(image) for image in images] or [_blank()]
    cells += [_blank()] * (-len(cells) % _COLUMNS)
    rows = [np.hstack(cells[start : start + _COLUMNS]) for start in range(0, len(cells), _COLUMNS)]
    return bytes(cv2.imencode(".jpg", np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())


def _cell(image: StoredImage) -> Pixels:
    cell = _blank()
    try:
        pixels = pixels_of(image)
    except ImageError:
        return cell
    scale = (_CELL - 4) / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    top, left = (_CELL - size[1]) // 2, (_CELL - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = small
    return cell


def _blank() -> Pixels:
    return np.full((_CELL, _CELL, 3), _WHITE, np.uint8)
