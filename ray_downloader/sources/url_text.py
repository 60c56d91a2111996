"""What text looks like a URL, or like the name of a column: the basis for detecting a list's form. Pure."""

from __future__ import annotations

import re

from ray_downloader.sources.names import KNOWN_NAMES, bare

_OPENING = r"[\s\"'<“”„«‘\ufeff]*"
_URL = re.compile(rf"{_OPENING}(?:https?:|//[\w-]+(?:\.[\w-]+)+/)", re.IGNORECASE)
#: Text that names a location, though not one that can be fetched over http: s3, data, a path, a bare host, an e-mail
#: address; or that has a URL in it.
_LOCATION = re.compile(
    rf"{_OPENING}(?:[a-z][a-z0-9+.-]*:/|(?:ark|blob|cid|data|doi|hdl|magnet|mailto|tel|urn):|/|\./|www\."
    r"|[\w-]+(?:\.[\w-]+)+/)|.*(?:://|\S@\S+\.\w)",
    re.IGNORECASE,
)
_IMAGE = re.compile(r"\.(?:jpe?g|png|gif|tiff?|webp|bmp|jp2|heic|avif)(?:[\"'>?#\s]|$)", re.IGNORECASE)
_NUMBER = re.compile(r"\s*[\"']?[-+]?[\d.,]+(?:e[-+]?\d+)?[\"']?\s*", re.IGNORECASE)
_NO_VALUE = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", "\\n"})
#: Vocabularies whose terms are URLs and occur in headers of Darwin Core tables.
_TERM = re.compile(
    r"\s*[\"']?https?://(?:rs\.tdwg\.org|purl\.org|rs\.gbif\.org|ns\.adobe\.com|iptc\.org)/", re.IGNORECASE
)
_MAX_NAME_LENGTH = 80


def is_url(cell: str) -> bool:
    """Whether a cell begins like an http(s) URL, possibly in quotes or brackets."""
    return bool(_URL.match(cell))


def names_image(cell: str) -> bool:
    """Whether a URL has the ending of an image file."""
    return bool(_IMAGE.search(cell))


def ends_as_image(cell: str) -> bool:
    """Whether it ends like an image file, so that no query follows."""
    return bool(_IMAGE.search(f"{cell.rstrip()} ")) and not re.search(r"[?#]", cell)


def is_number(cell: str) -> bool:
    """Whether a cell is a number."""
    return bool(_NUMBER.fullmatch(cell))


def is_known_name(cell: str) -> bool:
    """Whether a cell is a common name of a column in lists."""
    return bare(cell) in KNOWN_NAMES


def may_be_name(cell: str) -> bool:
    """Whether a cell could be the name of a column, rather than a value."""
    text = cell.strip(" \t\r\n\ufeff\"'")
    if _TERM.match(cell):
        return True
    return (
        text.casefold() not in _NO_VALUE
        and len(text) <= _MAX_NAME_LENGTH
        and not _LOCATION.match(text)
        and not is_number(text)
        and not names_image(text)
    )


def continues_url(url: str, following: str) -> bool:
    """Whether a cell looks like the rest of the URL in the cell before it: `.../u=179` and `175&fm=15`."""
    return (
        is_url(url)
        and not names_image(url)
        and "://" not in following
        and bool(
            re.fullmatch(r"[^\s\"]*(?:[&=%]|/\d|\.(?:jpe?g|png|gif|tiff?|webp)$)[^\s\"]*", following, re.IGNORECASE)
        )
    )
