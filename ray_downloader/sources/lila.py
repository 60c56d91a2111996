"""LILA BC: the list of all images (csv), in which each image is stored in up to three clouds.

The first cloud that a row names is its `identifier` and decides its uuid; the others are mirrors, tried in this order
if it fails. A picture of several animals has several rows; it is fetched once and written for each.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source

_CLOUDS = ("url_gcp", "url_aws", "url_azure")

_URLS = f"list_filter([{', '.join(_CLOUDS)}], lambda url: url IS NOT NULL)"


@SOURCES.register("lila")
def lila(settings: DatasetSettings) -> Source:
    """LILA's images, without those whose label says that they are empty."""
    return Source(
        columns={
            "source_id": Column(("image_id",), required=True),
            **{cloud: Column((cloud,)) for cloud in _CLOUDS},
            "label": Column(("original_label",)),
            "license": Column(("license",)),
            "source": Column(("dataset_name", "source")),
            "title": Column(("title",)),
            "uuid": Column(("uuid",)),
        },
        rejects=(
            RejectRule("no_identifier", f"len({_URLS}) = 0"),
            RejectRule("empty_picture", "lower(label) = 'empty'"),
        ),
        values={
            "identifier": f"{_URLS}[1]",
            "mirrors": f"nullif({_URLS}[2:], [])",
        },
        known_by=(("image_id", "url_gcp"), ("image_id", "url_aws"), ("image_id", "url_azure")),
        stated_license=settings.license,
        missing_hint="LILA's list of all images has the columns image_id, url_gcp, url_aws, url_azure, original_label",
    )
