"""WIT, the Wikipedia-based Image Text dataset (tsv, also gzipped): many rows, one per language, have the same image.

`image_url` is the image, `page_url` the article. An image is fetched once for all its rows. The title is the page's.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source


@SOURCES.register("wit")
def wit(settings: DatasetSettings) -> Source:
    """All rows."""
    return Source(
        columns={
            "identifier": Column(("image_url",), required=True),
            "source_id": Column(("source_id", "id")),
            "license": Column(("license",)),
            "source": Column(("page_url",)),
            "title": Column(("page_title", "caption_reference_description")),
            "uuid": Column(("uuid",)),
        },
        rejects=(RejectRule("no_identifier", "identifier IS NULL"),),
        stated_license=settings.license,
        known_by=(("image_url", "page_url", "page_title"), ("language", "page_url", "image_url")),
        quoted_tabs=False,
        missing_hint="WIT has the columns image_url, page_url and page_title",
    )
