"""Names that columns of lists have, and when two spellings are the same name. Pure."""

from __future__ import annotations

import re

#: Names of columns with image URLs, the most specific first. Audubon Core's `accessURI` comes before `identifier`,
#: which names the media item there and may be a bare UUID. Pages (`page_url`, `OriginalLandingURL`) are left out.
URL_NAMES = (
    "accessURI", "identifier", "url", "image_url", "image_urls", "img_url", "photo_url", "picture_url", "media_url",
    "file_url", "download_url", "original_url", "source_url", "coco_url", "flickr_url", "url_o", "image_link", "uri",
    "associatedMedia", "image_uri", "img_src", "src", "link", "urls", "href", "filePath", "image", "images", "img",
    "photo", "picture", "media",
)  # fmt: skip
#: Names of columns that identify a row, in order of preference.
ID_NAMES = (
    "source_id", "id", "image_id", "img_id", "photo_id", "media_id", "sample_id", "key",
    "coreid", "gbifID", "occurrenceID", "catalogNumber",
)  # fmt: skip
_OTHER_NAMES = (
    "uuid", "license", "licence", "source", "title", "caption", "text", "creator", "type", "format", "filename",
    "file_name", "name", "label", "class", "species", "scientificName", "width", "height", "md5", "sha1", "sha256",
)  # fmt: skip

_NAMESPACE = re.compile(r"^(?:https?://\S+[/#](?=\w)|[A-Za-z][\w-]{0,20}:)")


def plain(name: str) -> str:
    """A name without letter case, surrounding blanks and quotes."""
    return re.sub(r"\s+", " ", name.strip(" \t\r\n\ufeff\"'#")).casefold()


def bare(name: str) -> str:
    """A name without its namespace (`ac:accessURI`) and without the characters between its words (`Image URL`)."""
    return re.sub(r"[\W_]+", "", _NAMESPACE.sub("", plain(name)))


KNOWN_NAMES = frozenset(map(bare, (*URL_NAMES, *ID_NAMES, *_OTHER_NAMES)))
