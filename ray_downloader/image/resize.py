"""Applies a `Geometry`: shrinks, puts upright, then crops or pads. To rotate the small picture is the cheap order."""

from __future__ import annotations

from ray_downloader.image.geometry import Geometry
from ray_downloader.image.model import Picture, Pixels, Size, upright
from ray_downloader.image.opencv import cv2

#: EXIF orientation -> (cv2.flip code or None, cv2.rotate code or None), applied in this order.
_TURNS: dict[int, tuple[int | None, int | None]] = {
    1: (None, None),
    2: (1, None),
    3: (None, cv2.ROTATE_180),
    4: (0, None),
    5: (1, cv2.ROTATE_90_COUNTERCLOCKWISE),
    6: (None, cv2.ROTATE_90_CLOCKWISE),
    7: (1, cv2.ROTATE_90_CLOCKWISE),
    8: (None, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
_WHITE = (255, 255, 255)


def resize(picture: Picture, geometry: Geometry) -> Pixels:
    """The upright pixels of size `geometry.final`."""
    pixels = picture.pixels
    height, width = upright(geometry.scaled, picture.orientation)
    if pixels.shape[:2] != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return _fit(turn(pixels, picture.orientation), geometry.final)


def turn(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation."""
    flip, rotation = _TURNS[orientation]
    if flip is not None:
        pixels = cv2.flip(pixels, flip)
    return pixels if rotation is None else cv2.rotate(pixels, rotation)


def _fit(pixels: Pixels, final: Size) -> Pixels:
    """Crop, or pad with white, around the centre."""
    height, width = pixels.shape[:2]
    if (height, width) == final:
        return pixels
    top, left = max(0, height - final[0]) // 2, max(0, width - final[1]) // 2
    pixels = pixels[top : top + final[0], left : left + final[1]]
    above, before = (final[0] - pixels.shape[0]) // 2, (final[1] - pixels.shape[1]) // 2
    below, after = final[0] - pixels.shape[0] - above, final[1] - pixels.shape[1] - before
    padded: Pixels = cv2.copyMakeBorder(pixels, above, below, before, after, cv2.BORDER_CONSTANT, value=_WHITE)
    return padded
