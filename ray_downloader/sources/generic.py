"""Any list with a column of URLs: `identifier` or `url`, and whatever it has of the other columns.

`accessURI` is read before `identifier`: a list that has it is Audubon Core, where `identifier` names the media item and
may be a bare UUID, while `accessURI` is where its bytes are.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source


@SOURCES.register("auto")
@SOURCES.register("generic")
def generic(settings: DatasetSettings) -> Source:
    """A list whose columns the configuration may name (`dataset.columns`)."""
    return Source(
        columns={
            "identifier": Column(("accessURI", "identifier", "url"), required=True),
            "source_id": Column(("source_id",)),
            "license": Column(("license",)),
            "source": Column(("source",)),
            "title": Column(("title",)),
            "creator": Column(("creator",)),
            "uuid": Column(("uuid",)),
        },
        rejects=(RejectRule("no_identifier", "identifier IS NULL"),),
        stated_license=settings.license,
    )
