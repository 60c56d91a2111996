"""IIIF: manifests, collections and `info.json` files, saved or listed by URL, or URLs of image services or images.

`dataset.size` is a size as the Image API spells it (`max`, `1024,`, `!512,512`, `pct:25`): the URL of each picture is
built with it. Without it a listed image is fetched as it is, and a service is asked for the whole picture. The URL of a
manifest or collection does not say which pictures there are: such rows are rejected as `iiif_manifest`, unless the
partition stage can read what they name (`manifests/`); then the pictures of that are rows in their place.
"""

from __future__ import annotations

import re

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.errors import UserError
from ray_downloader.sources.base import SOURCES, Column, RejectRule, Source
from ray_downloader.sql import literal

_SIZE = re.compile(r"\^?(?:max|full|\d+,|,\d+|!?\d+,\d+|pct:\d+(?:\.\d+)?)")
#: Region, size, rotation, quality and format after the address of a service.
_REQUEST = (
    r"/(full|square|[0-9.]+,[0-9.]+,[0-9.]+,[0-9.]+|pct:[0-9.,]+)/\^?[a-z0-9.,:!%]+/!?[0-9.]+/[a-z]+(\.[a-z0-9]+)?$"
)
#: Pictures, whatever else is in their URL.
_IMAGE_FILE = r"(?i)\.(jpe?g|png|gif|webp|tiff?|jp2|jpx|avif|heic|bmp)([?#].*)?$"
#: Words in the path of documents about pictures. There is no rule; these are the ways of the large libraries.
_DOCUMENT = r"(?i)^[^?#]*(/|[._-])(manifests?|collections?|presentation)([/._-][^?#]*)?([?#].*)?$|\.json([?#].*)?$"
#: The column from which the rows of fetched documents have the URL that the list names.
LISTED_COLUMN = "listed_manifest"
#: Why a document that a collection names could not be read.
PROBLEM_COLUMN = "manifest_problem"
#: The reason of rows that name a document instead of a picture.
MANIFEST_REASON = "iiif_manifest"
_ADDRESS = f"""
CASE WHEN service IS NOT NULL THEN regexp_replace(service, '/(info\\.json)?$', '')
     WHEN regexp_matches(identifier, '/info\\.json$') THEN regexp_replace(identifier, '/info\\.json$', '')
     WHEN regexp_matches(identifier, {literal(_REQUEST)}) THEN regexp_replace(identifier, {literal(_REQUEST)}, '')
END
"""
#: Whether a row names a document: by the look of its URL, or because that is in the column of manifests.
_IS_DOCUMENT = f"""
service IS NULL AND identifier IS NOT NULL AND address IS NULL
    AND canvas IS NULL AND NOT regexp_matches(identifier, {literal(_IMAGE_FILE)})
    AND (regexp_matches(identifier, {literal(_DOCUMENT)}) OR url_of_cell(manifest) = identifier)
    OR document IS NOT NULL
"""
_MANIFEST_NAMES = ("manifest", "iiif_manifest", "manifest_url")
_VERSION = "coalesce(version, CASE WHEN regexp_matches(address, '/iiif/3/|/v3/') THEN '3' ELSE '2' END)"


@SOURCES.register("iiif")
def iiif(settings: DatasetSettings) -> Source:
    """Each picture, in the configured size.

    Raises:
        UserError: The Image API has no such size.
    """
    size = settings.size
    if size and not _SIZE.fullmatch(size):
        raise UserError(f"dataset.size={size} is not a size of IIIF's Image API; write it as max or 1024, or !512,512")
    whole = "CASE WHEN api = '3' THEN 'max' ELSE 'full' END"
    quality = "CASE WHEN api = '1' THEN 'native' ELSE 'default' END"
    built = f"address || '/full/' || {literal(size) if size else whole} || '/0/' || {quality} || '.jpg'"
    is_as_wanted = "false" if size else f"service IS NULL AND regexp_matches(identifier, {literal(_REQUEST)})"
    return Source(
        columns={
            "identifier": Column(
                ("image_url", "url", "identifier", "info", "iiif_url", "service", *_MANIFEST_NAMES),
                required=True,
                by_content=True,
            ),
            "service": Column(("service", "iiif_service")),
            "manifest": Column(_MANIFEST_NAMES),
            "canvas": Column(("canvas",)),
            "document": Column(("document",)),
            "listed": Column((LISTED_COLUMN,)),
            "detail": Column((PROBLEM_COLUMN,)),
            "version": Column(("version",)),
            "source_id": Column(("canvas", "source_id", "id")),
            "license": Column(("rights", "license")),
            "source": Column((*_MANIFEST_NAMES, "source")),
            "title": Column(("label", "title")),
            "creator": Column(("attribution", "creator")),
            "uuid": Column(("uuid",)),
        },
        rejects=(
            RejectRule("no_identifier", "coalesce(service, identifier) IS NULL"),
            RejectRule(MANIFEST_REASON, f"detail IS NOT NULL OR ({_IS_DOCUMENT})"),
        ),
        values={"identifier": f"CASE WHEN {is_as_wanted} THEN identifier ELSE coalesce({built}, identifier) END"},
        derived={"address": _ADDRESS, "api": _VERSION},
        stated_license=settings.license,
        known_by=(("image_url", "service", "canvas", "manifest"),),
        missing_hint="a list of IIIF images has a column url with addresses of images, image services or manifests",
    )
