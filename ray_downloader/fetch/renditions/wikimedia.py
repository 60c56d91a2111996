"""Wikimedia's thumbnails, in the widths that it serves; it answers 429 to others.

https://www.mediawiki.org/wiki/Common_thumbnail_sizes, https://phabricator.wikimedia.org/T414805
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote_to_bytes

from ray_downloader.fetch.renditions.model import Rendition, smallest

WIDTHS_PX = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)
_WIDTHS = {width: width for width in WIDTHS_PX}
#: A longer name is replaced by `thumbnail` in the name of a thumbnail (`abbrvThreshold` of the repository).
_MOST_NAME_BYTES = 160
#: Formats whose thumbnails have another one.
_THUMBNAIL_FORMATS = {"webp": ".png", "svg": ".png", "tif": ".jpg", "tiff": ".jpg"}
_FILE = re.compile(
    r"(https?://upload\.wikimedia\.org/\w+/[\w-]+/)(?!thumb/)"
    r"([0-9a-f]/[0-9a-f]{2}/([^/?#]+\.(jpe?g|png|gif|webp|svg|tiff?)))(?:\?[^#]*)?",
    re.IGNORECASE,
)
#: What is before the width are parameters such as `lossy-page1-` and `langde-`.
_THUMBNAIL = re.compile(
    r"(https?://upload\.wikimedia\.org/\w+/[\w-]+/thumb/[^?#]+/(?:[a-z0-9,-]+-)??)(\d+)(px-[^/?#]+)(?:\?[^#]*)?",
    re.IGNORECASE,
)
_FILE_PATH = re.compile(
    r"(https?://[\w.-]+\.wiki[mp]edia\.org/(?:wiki/|w/index\.php/)"
    r"Special(?::|%3A)(?:FilePath|Redirect/file)/[^?#]+)(?:\?([^#]*))?",
    re.IGNORECASE,
)


def wikimedia(url: str, least_px: int) -> Rendition | None:
    """A thumbnail that is as wide as the longer side must be."""
    if found := _THUMBNAIL.fullmatch(url):
        width = _width(least_px, listed=int(found[2]))
        return _named(width, f"{found[1]}{width}{found[3]}", listed=int(found[2]))
    if found := _FILE.fullmatch(url):
        width = _width(least_px)
        return _named(width, f"{found[1]}thumb/{found[2]}/{_thumbnail_name(found[3], found[4], width)}")
    if found := _FILE_PATH.fullmatch(url):
        stated = parse_qs(found[2] or "").get("width", ["0"])[0]
        listed = int(stated) if stated.isascii() and stated.isdigit() else 0
        width = _width(least_px, listed)
        return _named(width, f"{found[1]}?width={width}", listed)
    return None


def _width(least_px: int, listed: int = 0) -> int | None:
    """The width to request; of a listed one that is not served, the next that is, as it would be refused."""
    if listed and listed not in _WIDTHS:
        return smallest(_WIDTHS, min(least_px, listed))
    return smallest(_WIDTHS, least_px, below=listed or None)


def _thumbnail_name(name: str, extension: str, width: int | None) -> str:
    """What a thumbnail of a file is called."""
    extension = extension.lower()
    if len(unquote_to_bytes(name)) > _MOST_NAME_BYTES:
        name = f"thumbnail.{extension}"
    page = "lossy-page1-" if extension.startswith("tif") else ""
    return f"{page}{width}px-{name}{_THUMBNAIL_FORMATS.get(extension, '')}"


def _named(width: int | None, url: str, listed: int = 0) -> Rendition | None:
    return Rendition(f"wikimedia {width}px", url, shrinks_by=listed / width) if width else None
