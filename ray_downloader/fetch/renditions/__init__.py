"""Smaller versions of a picture that its host serves under other URLs: one pure function per scheme, each in a file.

`image.renditions=auto` requests the smallest version that still has enough pixels. If it cannot be had, the listed URL
is requested (`worker/row.py`). `docs/renditions.md` has the table of schemes and their sources.
"""

from __future__ import annotations

from ray_downloader.fetch.renditions.flickr import flickr
from ray_downloader.fetch.renditions.iiif import iiif, iiif_by_info
from ray_downloader.fetch.renditions.inaturalist import inaturalist
from ray_downloader.fetch.renditions.model import Rendition
from ray_downloader.fetch.renditions.wikimedia import wikimedia

__all__ = ["Rendition", "find_rendition", "iiif_by_info"]

_SCHEMES = (inaturalist, iiif, wikimedia, flickr)


def find_rendition(url: str, least_px: int) -> Rendition | None:
    """The smallest version of the picture at `url` whose longer side has at least `least_px` pixels, if it is smaller.

    Args:
        url: As listed; a fragment is no part of what is requested.
        least_px: What the stored picture needs.
    """
    requested = url.partition("#")[0]
    return next((found for scheme in _SCHEMES if (found := scheme(requested, least_px))), None)
