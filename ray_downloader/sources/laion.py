"""LAION's tables (parquet: URL, TEXT, ...) and those like them, such as COYO, DataComp and Re-LAION.

`hash` and `md5` in some of them describe other bytes than are served today, so nothing is compared unless
`dataset.columns={md5: ...}` says so.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source


@SOURCES.register("laion")
def laion(settings: DatasetSettings) -> Source:
    """All rows; a licence of `?` counts as none."""
    return Source(
        columns={
            "identifier": Column(("URL", "url", "image_url"), required=True),
            "source_id": Column(("SAMPLE_ID", "sample_id", "uid", "id", "key", "hash")),
            "license": Column(("LICENSE",)),
            "title": Column(("TEXT", "caption", "top_caption", "alt_text")),
            "uuid": Column(("uuid",)),
        },
        rejects=(RejectRule("no_identifier", "identifier IS NULL"),),
        values={"license": "nullif(license, '?')"},
        stated_license=settings.license,
        known_by=(
            ("URL", "TEXT", "SAMPLE_ID"),
            ("URL", "TEXT", "similarity"),
            ("URL", "TEXT", "pwatermark"),
            ("URL", "TEXT", "WIDTH", "HEIGHT"),
            ("url", "text", "clip_b32_similarity_score"),
            ("url", "text", "clip_similarity_vitb32"),
        ),
        missing_hint="LAION's tables have the columns URL and TEXT",
    )
