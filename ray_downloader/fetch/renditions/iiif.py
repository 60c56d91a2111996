"""IIIF's Image API 2 and 3: the size is a part of the path (https://iiif.io/api/image/3.0/#42-size).

`!w,h` is the largest picture that fits. Servers of level 2 have it. Others refuse it, and so do those that must not
enlarge a small picture: then the picture's `info.json` says which sizes there are (a server of level 0 has only those
that are listed there, one of level 1 any width), and how large a picture it gives at all.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ray_downloader.fetch.renditions.model import Rendition

_IMAGE = re.compile(
    r"(https?://[^?#]+/)(full|square|\d+,\d+,\d+,\d+|pct:[\d.]+,[\d.]+,[\d.]+,[\d.]+)/([^/?#]+)"
    r"(/!?(?:0|90|180|270)/(?:default|native|color|gray|grey|bitonal)\.(?:jpe?g|png|webp|tiff?)(?:\?[^#]*)?)",
    re.IGNORECASE,
)
_SIZE = re.compile(r"(full|max)|(\d+),|,(\d+)|(!?)(\d+),(\d+)", re.IGNORECASE)


def iiif(url: str, least_px: int) -> Rendition | None:
    """The same part of the picture, as large as needed; rotation, quality and format stay as they are."""
    found = _IMAGE.fullmatch(url)
    size = _smaller(found[2], found[3], least_px) if found else None
    if found is None or size is None:
        return None
    sizes_url = f"{found[1]}info.json" if found[2].lower() == "full" else ""
    return Rendition(f"iiif {size}", f"{found[1]}{found[2]}/{size}{found[4]}", sizes_url)


def iiif_by_info(url: str, info: bytes, least_px: int) -> Rendition | None:
    """The version of the picture at `url` to request according to its `info.json`; None if that names none."""
    found = _IMAGE.fullmatch(url.partition("#")[0])
    try:
        document = json.loads(info)
    except (ValueError, RecursionError):
        return None
    if found is None or not isinstance(document, dict):
        return None
    size = _size_of(document, least_px)
    is_listed = size is not None and size == found[3].lower()
    if size is None or is_listed:
        return None
    return Rendition(f"iiif {size}", f"{found[1]}{found[2]}/{size}{found[4]}", shrinks_by=_shrinks_by(document, size))


def _shrinks_by(info: Mapping[str, Any], size: str) -> float:
    width = size.partition(",")[0]
    return info["width"] / int(width) if width.isdigit() else 0.0


def _size_of(info: Mapping[str, Any], least_px: int) -> str | None:
    """The size to request of a picture; None if it is smaller than that."""
    whole = _sides(info)
    if whole is None or max(whole) <= least_px:
        return None
    listed = sorted((sides for sides in _listed(info) if least_px <= max(sides) < max(whole)), key=max)
    level, is_3 = _level(info), _is_version_3(info)
    if listed and (level == 0 or max(listed[0]) <= 2 * least_px):
        width, height = listed[0]
        return f"{width},{height}" if is_3 else f"{width},"
    if level == 0:
        return None
    width = math.ceil(whole[0] * least_px / max(whole))
    height = math.ceil(whole[1] * least_px / max(whole))
    return f"{width}," if _is_within_limits(info, width, height) else "max"


def _sides(stated: object) -> tuple[int, int] | None:
    if not isinstance(stated, dict):
        return None
    sides = (stated.get("width"), stated.get("height"))
    return sides if all(isinstance(side, int) and side > 0 for side in sides) else None  # type: ignore[return-value] # checked


def _listed(info: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    sizes = info.get("sizes")
    for stated in sizes if isinstance(sizes, list) else ():
        if sides := _sides(stated):
            yield sides


def _profile(info: Mapping[str, Any]) -> list[Any]:
    """The level and, in version 2, what else the server can do and may do."""
    stated = info.get("profile")
    return stated if isinstance(stated, list) else [stated]


def _level(info: Mapping[str, Any]) -> int | None:
    """The level of compliance, if it is stated."""
    found = re.search(r"level([012])", " ".join(part for part in _profile(info) if isinstance(part, str)))
    return int(found[1]) if found else None


def _is_version_3(info: Mapping[str, Any]) -> bool:
    return "image/3" in json.dumps(info.get("@context")) or info.get("type") == "ImageService3"


def _is_within_limits(info: Mapping[str, Any], width: int, height: int) -> bool:
    for stated in (info, *_profile(info)):
        if isinstance(stated, dict):
            limits = [stated.get(name) for name in ("maxWidth", "maxHeight", "maxArea")]
            most_width, most_height, most_area = (
                limit if isinstance(limit, int) and limit > 0 else None for limit in limits
            )
            if width > (most_width or width) or height > (most_height or most_width or height):
                return False
            if width * height > (most_area or width * height):
                return False
    return True


def _smaller(region: str, size: str, least_px: int) -> str | None:
    """The size to request; None if the listed one may not be larger, or is not one that we know."""
    found = _SIZE.fullmatch(size)
    if found is None:
        return None
    whole, width, height, confined, box_width, box_height = found.groups()
    confining = f"!{least_px},{least_px}"
    if whole:
        region_px = (
            max(map(int, region.split(",")[2:]), default=None) if "," in region and "pct" not in region else None
        )
        return confining if region_px is None or region_px > least_px else None
    if box_width and not confined:  # it may distort the picture, and so must what replaces it
        longest_px = max(int(box_width), int(box_height))
        sides = (max(1, round(int(side) * least_px / longest_px)) for side in (box_width, box_height))
        return ",".join(map(str, sides)) if longest_px > least_px else None
    at_least_px = min(int(box_width), int(box_height)) if confined else int(width or height)
    return confining if at_least_px > least_px else None
