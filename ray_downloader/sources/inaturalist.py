"""iNaturalist's open data: `photos.csv`, with `observations.csv` beside it if columns of the latter are wanted.

The table has no URL; it is built from `photo_id` and `extension`. `dataset.size` is one of the sizes that iNaturalist
serves: original (2048 pixels at most), large (1024), medium (500), small (240), thumb (100), square (75).
https://github.com/inaturalist/inaturalist-open-data
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.errors import UserError
from ray_downloader.sources.base import SOURCES, Column, Companion, RejectRule, Source
from ray_downloader.sql import literal

SIZES = ("original", "large", "medium", "small", "thumb", "square")
_BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos/"
_PAGE = "https://www.inaturalist.org/photos/"
_OBSERVER = "https://www.inaturalist.org/people/"


@SOURCES.register("inaturalist")
def inaturalist(settings: DatasetSettings) -> Source:
    """All photos.

    Raises:
        UserError: iNaturalist does not serve this size.
    """
    size = settings.size or SIZES[0]
    if size not in SIZES:
        raise UserError(f"dataset.size={size} is not a size that iNaturalist serves; those are: {', '.join(SIZES)}")
    return Source(
        columns={
            "source_id": Column(("photo_id",), required=True),
            "extension": Column(("extension",), required=True),
            "core_id": Column(("observation_uuid",)),
            "license": Column(("license",)),
            "observer": Column(("observer_id",)),
            "uuid": Column(("uuid",)),
        },
        rejects=(
            RejectRule("no_source_id", "source_id IS NULL"),
            RejectRule("no_identifier", "extension IS NULL"),
        ),
        values={
            "identifier": f"{literal(_BUCKET)} || source_id || {literal(f'/{size}.')} || extension",
            "source": f"{literal(_PAGE)} || source_id",
            "creator": f"{literal(_OBSERVER)} || observer",
        },
        companion=Companion(
            stems=("observations",),
            columns={"core_id": Column(("observation_uuid",), required=True)},
            match="core_id",
            global_column="observation_uuid",
        ),
        media_stems=("photos",),
        known_by=(("photo_id", "observation_uuid", "extension"),),
        stated_license=settings.license,
        missing_hint="iNaturalist's photos.csv has the columns photo_id, observation_uuid and extension",
    )
