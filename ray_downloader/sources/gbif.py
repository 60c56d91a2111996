"""GBIF downloads: `multimedia.txt`, alone or with `occurrence.txt` beside it (Darwin Core Archive).

Tab separated, never quoted: titles hold stray `"`. Columns are found by name, as their order changed over the years.
"""

from __future__ import annotations

import re

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, Companion, RejectRule, Source
from ray_downloader.sql import literal, literals

#: Kinds of record whose pictures are mostly of publications.
_DROPPED = ("MATERIAL_CITATION",)

#: Rows are images by their `type`. Where it says StillImage the format is not asked: of 755 rows of a real list 61 have
#: that type and no format. Where there is no type, a format of images decides; publishers also write bare subtypes
#: ("jpeg": 7 rows of that list), which the older rule "format contains image" would lose. Neither: not an image, as
#: nothing says it is one (the 11 such rows of that list have no URL either).
_IS_IMAGE = r"""
CASE WHEN type IS NULL
     THEN regexp_matches(coalesce(format, ''), '(?i)image|^\.?(jpe?g|png|gif|tiff?|webp|bmp|jp2|heic|avif)$')
     ELSE regexp_matches(type, '(?i)^(.*/)?still ?image$') END
"""

_SIMPLE_CSV_HINT = (
    "a list of GBIF's media URLs is the multimedia.txt of a download in the format 'Darwin Core Archive'; "
    "the formats 'Simple' and 'Species list' have no media"
)


@SOURCES.register("gbif")
def gbif(settings: DatasetSettings) -> Source:
    """GBIF's multimedia rows, without the kinds of record that `dataset.drop_basis_of_record` names."""
    dropped = _DROPPED if settings.drop_basis_of_record is None else settings.drop_basis_of_record
    drops = {_letters(basis): _reason(basis) for basis in dropped}
    return Source(
        columns={
            "source_id": Column(("gbifID",), required=True),
            "identifier": Column(("identifier",), required=True),
            "type": Column(("type",)),
            "format": Column(("format",)),
            "license": Column(("license",)),
            "source": Column(("source",)),
            "title": Column(("title",)),
            "creator": Column(("creator",)),
            "rights_holder": Column(("rightsHolder",)),
            "uuid": Column(("uuid",)),
            "basis": Column(("basisOfRecord",)),  # lists that were joined with occurrence.txt beforehand
        },
        rejects=(
            RejectRule("no_source_id", "source_id IS NULL"),
            RejectRule("no_identifier", "identifier IS NULL"),
            RejectRule("not_an_image", f"NOT ({_IS_IMAGE})"),
            *(_drop_rule(letters, reason) for letters, reason in drops.items()),
        ),
        values={"creator": "coalesce(creator, rights_holder)"},
        companion=_occurrences(drops),
        keeps=("gbifID", "datasetKey"),
        quoted_tabs=False,
        missing_hint=_SIMPLE_CSV_HINT,
    )


def _occurrences(drops: dict[str, str]) -> Companion:
    return Companion(
        stem="occurrence",
        columns={
            "key": Column(("gbifID",), required=True),
            "basis": Column(("basisOfRecord",), required=bool(drops)),
            "license": Column(("license",)),
        },
        match="source_id",
        label=f"CASE WHEN {_LETTERS_SQL} IN ({literals(drops)}) THEN {_LETTERS_SQL} END" if drops else "NULL",
        global_column="gbifID",
    )


def _drop_rule(letters: str, reason: str) -> RejectRule:
    label = literal(letters)
    return RejectRule(
        reason,
        f"coalesce({_LETTERS_SQL} = {label}, companion_label = {label}, false)",
    )


#: `_letters` in SQL: "Material Citation", "MATERIAL_CITATION" and "MaterialCitation" are one thing.
_LETTERS_SQL = "regexp_replace(upper(basis), '[^A-Z]', '', 'g')"


def _letters(basis: str) -> str:
    return re.sub("[^A-Z]", "", basis.upper())


def _reason(basis: str) -> str:
    """`material_citation` for any spelling of it."""
    return re.sub(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])", "_", basis.strip()).lower()
