"""IIIF's Image API 2 and 3: the size is a part of the path (https://iiif.io/api/image/3.0/#42-size).

`!w,h` is the largest picture that fits. A server that only offers fixed sizes answers 404, and one that must not
enlarge answers 400 if the picture is smaller; then the listed URL is requested.
"""

from __future__ import annotations

import re

from ray_downloader.fetch.renditions.model import Rendition

_WHOLE = re.compile(
    r"(https?://[^?#]+/full/)(?:full|max)(/0/(?:default|native|color)\.(?:jpe?g|png|webp))", re.IGNORECASE
)


def iiif(url: str, least_px: int) -> Rendition | None:
    """The whole picture, as large as needed."""
    found = _WHOLE.fullmatch(url)
    if found is None:
        return None
    size = f"!{least_px},{least_px}"
    return Rendition(f"iiif {size}", f"{found[1]}{size}{found[2]}")
