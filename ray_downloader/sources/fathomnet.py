"""FathomNet: its image table (csv with uuid, url, valid), or a data set in COCO's JSON, whose images have a `coco_url`.

The licence is the one that FathomNet states for all its images; `dataset.license` overrides it.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source

_LICENSE = "https://creativecommons.org/licenses/by-nc-nd/4.0/legalcode.en"


@SOURCES.register("fathomnet")
def fathomnet(settings: DatasetSettings) -> Source:
    """FathomNet's images that are marked as valid; all images if the table has no such mark."""
    return Source(
        columns={
            "id": Column(("id",)),
            "identifier": Column(("url", "coco_url"), required=True),
            "uuid": Column(("uuid",)),
            "valid": Column(("valid",)),
            "creator": Column(("contributors_email", "contributorsEmail")),
        },
        rejects=(
            RejectRule("no_source_id", "coalesce(uuid, id) IS NULL"),
            RejectRule("no_identifier", "identifier IS NULL"),
            RejectRule("not_valid", "valid IS NOT NULL AND NOT coalesce(TRY_CAST(valid AS BOOLEAN), false)"),
        ),
        values={"source_id": "coalesce(uuid, id)", "source": "'FathomNet'"},
        stated_license=settings.license or _LICENSE,
        known_by=(("uuid", "url", "valid"), ("coco_url", "file_name")),
        missing_hint="FathomNet's image table has the columns uuid, url and valid",
    )
