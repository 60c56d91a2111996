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
#: Where a picture is this many times its target or more, the way over a multiple costs more than it saves.
_MOST_GAP = 4


def resize(picture: Picture, geometry: Geometry, decode: str) -> Pixels:
    """The upright pixels of size `geometry.final`; `decode` is that of the settings."""
    pixels = picture.pixels
    target = upright(geometry.scaled, picture.orientation)
    if pixels.shape[:2] != target:
        pixels = shrink_fast(pixels, target) if decode == "fast" else shrink(pixels, target)
    return _fit(turn(pixels, picture.orientation), geometry.final)


def shrink(pixels: Pixels, size: Size) -> Pixels:
    """Average the area of each pixel."""
    small: Pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
    return small


def shrink_fast(pixels: Pixels, size: Size) -> Pixels:
    """About what `shrink` gives, three times as fast: OpenCV averages whole multiples with vector instructions.

    Bilinear interpolation to the nearest smaller multiple (at least 2) shrinks by less than 1.5, so hardly any aliasing
    arises. `benchmarks/image/quality.py` compares both with exact averages.
    """
    gap = min(there / wanted for there, wanted in zip(pixels.shape[:2], size, strict=True))
    times = max(2, int(gap))
    if gap < _MOST_GAP and gap != times:
        pixels = cv2.resize(pixels, (size[1] * times, size[0] * times), interpolation=cv2.INTER_LINEAR)
    return shrink(pixels, size)


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
