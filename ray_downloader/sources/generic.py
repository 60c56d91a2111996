"""Any list with a column of URLs: `identifier` or `url`, and whichever of the other columns it has.

`accessURI` takes precedence over `identifier`: a list that has it is Audubon Core, where `identifier` names the media
item and may be a bare UUID, while `accessURI` is where its bytes are.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source
from ray_downloader.sources.names import ID_NAMES, URL_NAMES


@SOURCES.register("auto")
@SOURCES.register("generic")
def generic(settings: DatasetSettings) -> Source:
    """A list whose columns the configuration may name (`dataset.columns`)."""
    return Source(
        columns={
            "identifier": Column(URL_NAMES[:3], required=True, others=URL_NAMES[3:], by_content=True),
            "source_id": Column(ID_NAMES[:1], others=ID_NAMES[1:], by_content=True),
            "license": Column(
                ("license",), others=("licence", "license_url", "licence_url", "license_name", "usage_terms", "rights")
            ),
            "source": Column(("source",)),
            "title": Column(("title",)),
            "creator": Column(("creator",), others=("author", "photographer")),
            "uuid": Column(("uuid",)),
        },
        rejects=(RejectRule("no_identifier", "identifier IS NULL"),),
        stated_license=settings.license,
    )
