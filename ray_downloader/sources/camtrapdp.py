"""Camtrap DP's `media.csv` and other media in Audubon Core: `filePath` or `accessURI` says where the bytes are.

`identifier` only names a medium in these tables. Paths of files that are not on the web, pictures that are not public
and media that are not still images are rejected, each with its reason. Camtrap DP states the licence of all media in
its descriptor; give it as `dataset.license`.
"""

from __future__ import annotations

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source
from ray_downloader.sources.credit import credit_sql
from ray_downloader.sources.still_images import is_still_image_sql

_IS_IMAGE = is_still_image_sql(unknown="true")


@SOURCES.register("camtrapdp")
def camtrapdp(settings: DatasetSettings) -> Source:
    """Media that can be fetched from the web."""
    return Source(
        columns={
            "identifier": Column(("filePath", "accessURI", "identifier"), required=True),
            "source_id": Column(("mediaID", "providerManagedID", "coreid", "gbifID", "id", "_id")),
            "format": Column(("fileMediatype", "format")),
            "type": Column(("type",)),
            "public": Column(("filePublic",)),
            "license": Column(("license", "rights", "UsageTerms", "WebStatement")),
            "source": Column(("source", "furtherInformationURL", "providerLiteral", "hasServiceAccessPoint")),
            "title": Column(("title", "fileName")),
            "creator": Column(("creator",)),
            "owner": Column(("rightsHolder", "Owner", "Credit")),
            "uuid": Column(("uuid",)),
        },
        rejects=(
            RejectRule("no_identifier", "identifier IS NULL"),
            RejectRule("not_an_image", f"NOT ({_IS_IMAGE})"),
            RejectRule("not_public", "lower(public) IN ('false', '0', 'no')"),
            RejectRule("local_path", "NOT regexp_matches(identifier, '^[A-Za-z][A-Za-z0-9+.-]*:')"),
        ),
        known_by=(("mediaID", "deploymentID", "filePath"),),
        values={"creator": credit_sql("owner")},
        stated_license=settings.license,
        missing_hint="Camtrap DP's media.csv has the column filePath, Audubon Core accessURI",
    )
