"""Flickr: the suffix of the name is the size (https://www.flickr.com/services/api/misc.urls.html).

Sizes up to 1024 share the secret in the name. Larger ones and the original have others:
nothing can be derived from their names.
"""

from __future__ import annotations

import re

from ray_downloader.fetch.renditions.model import Rendition, smallest

#: Longer sides by suffix; none is 500. Squares (`s`, `q`) are cut off and never used.
_SIZES_PX = {"t": 100, "m": 240, "n": 320, "w": 400, "": 500, "z": 640, "c": 800, "b": 1024}
_PHOTO = re.compile(
    r"(https?://(?:(?:live|farm\d+|c\d+)\.)?static\.?flickr\.com/(?:\d+/)?\d+/\d+_[0-9a-f]+)"
    r"(?:_([tmnwzcb]))?((?:_d)?\.jpg(?:\?[^#]*)?)",
    re.IGNORECASE,
)


def flickr(url: str, least_px: int) -> Rendition | None:
    """A smaller size of the same photo."""
    found = _PHOTO.fullmatch(url)
    if found is None:
        return None
    listed_px = _SIZES_PX[(found[2] or "").lower()]
    suffix = smallest(_SIZES_PX, least_px, below=listed_px)
    if suffix is None:
        return None
    url = f"{found[1]}{f'_{suffix}' if suffix else ''}{found[3]}"
    return Rendition(f"flickr {suffix or '500'}", url, shrinks_by=listed_px / _SIZES_PX[suffix])
