"""iNaturalist: the size is in the name of the file (https://github.com/inaturalist/inaturalist-open-data)."""

from __future__ import annotations

import re

from ray_downloader.fetch.renditions.model import Rendition, smallest

#: Longer sides; `square` (75) is cut off and never used.
_SIZES_PX = {"original": 2048, "large": 1024, "medium": 500, "small": 240, "thumb": 100}
_PHOTO = re.compile(
    r"(https?://(?:inaturalist-open-data\.s3[a-z0-9.-]*\.amazonaws\.com|s3[a-z0-9.-]*\.amazonaws\.com/inaturalist-open-data"
    r"|static\.inaturalist\.org)/photos/\d+/)"
    r"(original|large|medium|small|thumb)(\.\w+(?:\?[^#]*)?)",
    re.IGNORECASE,
)


def inaturalist(url: str, least_px: int) -> Rendition | None:
    """A smaller size of the same photo."""
    found = _PHOTO.fullmatch(url)
    if found is None:
        return None
    listed_px = _SIZES_PX[found[2].lower()]
    size = smallest(_SIZES_PX, least_px, below=listed_px)
    if size is None:
        return None
    return Rendition(f"inaturalist {size}", f"{found[1]}{size}{found[3]}", shrinks_by=listed_px / _SIZES_PX[size])
