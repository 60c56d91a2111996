"""Sizes of the stored picture: pure arithmetic, one function per resize mode.

Pictures are never enlarged, so a small picture may stay smaller than `image_size`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ray_downloader.image.model import ImageOptions, Size


@dataclass(frozen=True, slots=True)
class Geometry:
    """Shrink to `scaled`, then crop or pad around the centre to `final`; sizes are (height, width), upright."""

    scaled: Size
    final: Size


def plan_geometry(size: Size, options: ImageOptions) -> Geometry:
    """How an upright picture of `size` is resized under `options`."""
    return _MODES[options.resize](size, options.image_size)


def scaled_to(size: Size, side: int, target: int) -> Size:
    """`size` shrunk so that `side` (one of the two) becomes `target`; halves round up, and no side is below 1."""
    if side <= target:
        return size
    height, width = (max(1, (2 * part * target + side) // (2 * side)) for part in size)
    return height, width


def _keep_ratio_longest(size: Size, target: int) -> Geometry:
    scaled = scaled_to(size, max(size), target)
    return Geometry(scaled, scaled)


def _keep_ratio_shortest(size: Size, target: int) -> Geometry:
    scaled = scaled_to(size, min(size), target)
    return Geometry(scaled, scaled)


def _center_crop(size: Size, target: int) -> Geometry:
    scaled = scaled_to(size, min(size), target)
    return Geometry(scaled, (min(scaled[0], target), min(scaled[1], target)))


def _border(size: Size, target: int) -> Geometry:
    return Geometry(scaled_to(size, max(size), target), (target, target))


def _none(size: Size, _target: int) -> Geometry:
    return Geometry(size, size)


_MODES: dict[str, Callable[[Size, int], Geometry]] = {
    "keep_ratio_longest": _keep_ratio_longest,
    "keep_ratio_shortest": _keep_ratio_shortest,
    "center_crop": _center_crop,
    "border": _border,
    "none": _none,
}
