"""Wikimedia's thumbnails, in the widths that it serves; it answers 429 to others.

https://www.mediawiki.org/wiki/Common_thumbnail_sizes, https://phabricator.wikimedia.org/T414805
"""

from __future__ import annotations

import re

from ray_downloader.fetch.renditions.model import Rendition, smallest

WIDTHS_PX = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)
_WIDTHS = {width: width for width in WIDTHS_PX}
_FILE = re.compile(
    r"(https?://upload\.wikimedia\.org/wikipedia/[\w-]+/)(?!thumb/)([0-9a-f]/[0-9a-f]{2}/([^/?#]+\.(?:jpe?g|png|webp)))",
    re.IGNORECASE,
)
_THUMBNAIL = re.compile(
    r"(https?://upload\.wikimedia\.org/wikipedia/[\w-]+/thumb/[^?#]+/)(\d+)(px-[^/?#]+)", re.IGNORECASE
)
_FILE_PATH = re.compile(
    r"(https?://commons\.wikimedia\.org/(?:wiki/|w/index\.php/)Special:(?:FilePath|Redirect/file)/[^?#]+)",
    re.IGNORECASE,
)


def wikimedia(url: str, least_px: int) -> Rendition | None:
    """A thumbnail that is as wide as the longer side must be."""
    if found := _THUMBNAIL.fullmatch(url):
        width = smallest(_WIDTHS, least_px, below=int(found[2]))
        return _named(width, f"{found[1]}{width}{found[3]}")
    width = smallest(_WIDTHS, least_px)
    if found := _FILE.fullmatch(url):
        return _named(width, f"{found[1]}thumb/{found[2]}/{width}px-{found[3]}")
    if found := _FILE_PATH.fullmatch(url):
        return _named(width, f"{found[1]}?width={width}")
    return None


def _named(width: int | None, url: str) -> Rendition | None:
    return Rendition(f"wikimedia {width}px", url) if width else None
