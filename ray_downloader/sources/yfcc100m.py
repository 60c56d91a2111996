"""YFCC100M: `yfcc100m_dataset`, tab separated, no header row, no quotes, 23 columns or (numbered and hashed) 25.

The image's URL is the download URL, not that of the page. Videos (marker 1) are rejected. Titles and names are
percent-encoded, with `+` for a blank, and are decoded.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source

_COLUMNS = (
    "photoid", "uid", "unickname", "datetaken", "dateuploaded", "capturedevice", "title", "description", "usertags",
    "machinetags", "longitude", "latitude", "accuracy", "pageurl", "downloadurl", "licensename", "licenseurl",
    "serverid", "farmid", "secret", "secretoriginal", "ext", "marker",
)  # fmt: skip


@SOURCES.register("yfcc100m")
def yfcc100m(settings: DatasetSettings) -> Source:
    """All photos."""
    return Source(
        columns={
            "source_id": Column(("photoid",), required=True),
            "identifier": Column(("downloadurl",), required=True),
            "license": Column(("licenseurl", "licensename")),
            "source": Column(("pageurl",)),
            "title": Column(("title",)),
            "creator": Column(("unickname", "uid")),
            "marker": Column(("marker",)),
            "uuid": Column(("uuid",)),
        },
        rejects=(
            RejectRule("no_identifier", "identifier IS NULL"),
            RejectRule("not_an_image", "marker = '1'"),
        ),
        values={"title": _decoded("title"), "creator": _decoded("creator")},
        headerless={23: _COLUMNS, 24: ("line", *_COLUMNS), 25: ("line", _COLUMNS[0], "hash", *_COLUMNS[1:])},
        known_by=(("photoid", "downloadurl", "pageurl"),),
        quoted_tabs=False,
        stated_license=settings.license,
        missing_hint="yfcc100m_dataset has 23 or 25 columns without a header row",
    )


def _decoded(text: str) -> str:
    return f"coalesce(TRY(url_decode(replace({text}, '+', ' '))), {text})"
