"""Conceptual Captions: cc3m (caption, URL) and cc12m (URL, caption), tab separated and without a header row.

Captions begin with quotes or contain one, so no cell is quoted. The caption is `title`.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source


@SOURCES.register("cc3m")
def cc3m(settings: DatasetSettings) -> Source:
    """Caption first."""
    return _captions(settings, ("caption", "url"))


@SOURCES.register("cc12m")
def cc12m(settings: DatasetSettings) -> Source:
    """URL first."""
    return _captions(settings, ("url", "caption"))


def _captions(settings: DatasetSettings, columns: tuple[str, str]) -> Source:
    return Source(
        columns={
            "identifier": Column(("url", "image_url"), required=True),
            "title": Column(("caption", "text")),
            "source_id": Column(("source_id", "key")),
            "license": Column(("license",)),
            "uuid": Column(("uuid",)),
        },
        rejects=(RejectRule("no_identifier", "identifier IS NULL"),),
        headerless={2: columns},
        stated_license=settings.license,
        quoted_tabs=False,
        missing_hint=f"a list of two columns without a header row has {columns[0]} and {columns[1]}",
    )
