"""Open Images: the lists of images with `ImageID`, `OriginalURL` and `Thumbnail300KURL` (csv, storage.googleapis.com).

The original is at Flickr, and the MD5 (in base64) and size in the list describe it; `dataset.variant=thumbnail` uses
the copy of about 300 kB if there is one.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source


@SOURCES.register("openimages")
def openimages(settings: DatasetSettings) -> Source:
    """All images."""
    is_original = settings.variant == "best"
    listed = {"md5": Column(("OriginalMD5",)), "bytes": Column(("OriginalSize",))} if is_original else {}
    return Source(
        columns={
            "source_id": Column(("ImageID",), required=True),
            "identifier": Column(("OriginalURL",), required=True),
            "thumbnail": Column(("Thumbnail300KURL",)),
            "license": Column(("License",)),
            "source": Column(("OriginalLandingURL",)),
            "title": Column(("Title",)),
            "creator": Column(("Author",)),
            "uuid": Column(("uuid",)),
            **listed,
        },
        rejects=(RejectRule("no_identifier", "identifier IS NULL AND thumbnail IS NULL"),),
        values={"identifier": "identifier" if is_original else "coalesce(thumbnail, identifier)"},
        known_by=(("ImageID", "OriginalURL", "OriginalLandingURL"),),
        stated_license=settings.license,
        missing_hint="a list of Open Images has the columns ImageID and OriginalURL",
    )
