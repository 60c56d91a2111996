"""IIIF's Image API 2 and 3: the size is a part of the path (https://iiif.io/api/image/3.0/#42-size).

`!w,h` is the largest picture that fits. A server that only offers fixed sizes answers 404, and one that must not
enlarge answers 400 if the picture is smaller; then the listed URL is requested.
"""

from __future__ import annotations

import re

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
    return Rendition(f"iiif {size}", f"{found[1]}{found[2]}/{size}{found[4]}") if found and size else None


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
