"""Darwin Core Archives of every publisher, and their tables of media alone: Simple Multimedia, Audubon Core, EOL's.

The id of the core's row (specimen, observation) is `source_id`. Audubon Core has several URLs per medium;
`dataset.variant` says which one is used. An archive may list media in its core, too (`associatedMedia`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Column, Companion, RejectRule, Source, VariantRows
from ray_downloader.sources.credit import credit_sql
from ray_downloader.sources.still_images import has_image_ending_sql, has_other_ending_sql, is_still_image_sql
from ray_downloader.sql import literal

#: Columns by the quality of the file they lead to, best first; names that publishers use beside those of the standard.
_VARIANTS = {
    "best": ("accessURI", "bestQualityAccessURI", "originalURL", "mediaURL"),
    "good": ("goodQualityAccessURI",),
    "medium": ("mediumQualityAccessURI", "largeURL"),
    "lower": ("lowerQualityAccessURI",),
    "thumbnail": ("thumbnailAccessURI", "thumbnailURL"),
}
#: How `ac:variantLiteral` and the terms of http://rs.tdwg.org/acvariant/values/ spell the variants.
_VARIANT_WORDS = {
    "best": "best|original|v006$",
    "good": "good|v005$",
    "medium": "medium|preview|v004$",
    "lower": "lower|v003$",
    "thumbnail": "thumb|v001$",
}
#: Where the bytes are if none of those columns says so. `identifier` may be a URL, too, or merely a name.
_OTHER_URLS = ("url", "imageURL", "image_url", "media", "associatedMedia")
_CORE_IDS = ("coreid", "gbifID", "id", "_id", "occurrenceID", "occid", "observationID", "catalogNumber", "taxonID")
_LICENSES = ("license", "rights", "UsageTerms", "WebStatement")

_SAYS_NOTHING = (
    "gbif_id IS NULL OR (list_contains(missing_columns, 'type') AND list_contains(missing_columns, 'format'))"
)
#: Neither cell says what it is: in GBIF's lists it is not an image; elsewhere only the URL's ending can rule it out.
_UNKNOWN = f"({_SAYS_NOTHING}) AND NOT coalesce({has_other_ending_sql('found_url')}, false)"


@SOURCES.register("dwca")
def dwca(settings: DatasetSettings) -> Source:
    """Still images of an archive."""
    return darwin_core(settings, ())


def darwin_core(settings: DatasetSettings, more_rejects: Sequence[RejectRule], label: str = "NULL") -> Source:
    """Still images of an archive.

    Args:
        settings: Of the dataset.
        more_rejects: Further rules, after those for rows that are not images.
        label: What such rules need from the core, as `companion_label`; SQL over `basis`.
    """
    core_ids = Column(_CORE_IDS)
    others = [name for variant in _in_order(settings.variant) for name in _VARIANTS[variant]]
    return Source(
        columns={
            "core_id": core_ids,
            "source_id": core_ids,
            "identifier": Column(("identifier",), required=True, others=(*others, *_OTHER_URLS)),
            **{f"url_{name}": Column(names) for name, names in _VARIANTS.items()},
            "gbif_id": Column(("gbifID",)),
            "type": Column(("type",)),
            "format": Column(("format",)),
            **{name.lower(): Column((name,)) for name in _LICENSES},
            "source": Column(("source", "furtherInformationURL", "providerLiteral", "hasServiceAccessPoint")),
            "title": Column(("title", "caption")),
            "creator": Column(("creator", "photographer")),
            "rights_holder": Column(("rightsHolder", "Owner", "Credit")),
            "variant": Column(("variantLiteral", "variant")),
            "managed_id": Column(("providerManagedID",)),
            "references_url": Column(("references",)),
            "uuid": Column(("uuid",)),
            "basis": Column(("basisOfRecord",)),  # lists that were joined with the core beforehand
        },
        rejects=(
            RejectRule("no_identifier", "found_url IS NULL"),
            RejectRule("not_an_image", "NOT is_image"),
            *more_rejects,
        ),
        values={
            "source_id": "source_id" if "source_id" in (settings.columns or {}) else "core_id",
            "identifier": "found_url",
            "license": f"coalesce({', '.join(name.lower() for name in _LICENSES)})",
            "creator": credit_sql("rights_holder"),
        },
        derived={
            "variant_url": _variant_sql(settings),
            # `references` is a page, as a rule; some publishers name the picture there and nowhere else.
            "found_url": "CASE WHEN variant_url IS NOT NULL THEN url_of_cell(variant_url) WHEN identifier IS NOT NULL"
            f" THEN identifier WHEN {has_image_ending_sql('references_url')} THEN url_of_cell(references_url) END",
            "is_image": is_still_image_sql(_UNKNOWN),
        },
        companion=Companion(
            stems=("occurrence", "occurrences", "observations"),
            columns={"core_id": core_ids, "basis": Column(("basisOfRecord",)), "license": Column(_LICENSES[:2])},
            match="core_id",
            label=label,
            global_column="gbifID",
        ),
        core=_core(more_rejects),
        url_roles=_url_roles(settings),
        variants=None if settings.variant == "all" else VariantRows("variant", _MEDIUM, _rank_sql(settings.variant)),
        known_by=(
            ("coreid", "identifier"),
            ("coreid", "accessURI"),
            ("accessURI", "format"),
            ("identifier", "type", "format"),
        ),
        stated_license=settings.license,
        quoted_tabs=False,
        missing_hint="an archive's table of media has the column identifier or accessURI; name another one with "
        "dataset.columns={identifier: ...}",
    )


def _core(more_rejects: Sequence[RejectRule]) -> Source:
    """Rows of a core whose column `associatedMedia` has URLs."""
    return Source(
        columns={
            "core_id": Column(_CORE_IDS),
            "identifier": Column(("associatedMedia",), required=True),
            "license": Column(_LICENSES[:2]),
            "source": Column(("references", "institutionCode")),
            "title": Column(("scientificName",)),
            "creator": Column(("rightsHolder", "recordedBy")),
            "basis": Column(("basisOfRecord",)),
        },
        rejects=(
            RejectRule("no_identifier", "identifier IS NULL"),
            RejectRule("not_an_image", f"coalesce({has_other_ending_sql('identifier')}, false)"),
            *more_rejects,
        ),
        values={"source_id": "core_id"},
    )


#: What rows of one medium have in common, if its name is not merely the URL of the row.
_MEDIUM = "CASE WHEN identifier IS NOT NULL AND identifier <> found_url THEN identifier ELSE managed_id END"


def _rank_sql(variant: str) -> str:
    """The place of a row's variant in the order of preference; trailers and files that are offline come last."""
    whens = " ".join(
        f"WHEN regexp_matches(lower(variant), {literal(_VARIANT_WORDS[name])}) THEN {place}"
        for place, name in enumerate(_in_order(variant))
    )
    return f"CASE WHEN variant IS NULL THEN NULL {whens} ELSE {len(_VARIANT_WORDS)} END"


def _in_order(variant: str) -> list[str]:
    """Variants, the requested one first, then the better ones, then the others."""
    names = list(_VARIANTS)
    wanted = 0 if variant == "all" else names.index(variant)
    return [*names[wanted::-1], *names[wanted + 1 :]]


def _variant_sql(settings: DatasetSettings) -> str:
    """The first variant that has a URL, unless the configuration names the column."""
    urls = [f"CASE WHEN contains({role}, '//') THEN {role} END" for role in _url_roles(settings)]
    return f"coalesce({', '.join(urls)})" if urls else "NULL::VARCHAR"


def _url_roles(settings: DatasetSettings) -> tuple[str, ...]:
    if "identifier" in (settings.columns or {}):
        return ()
    return tuple(f"url_{name}" for name in _in_order(settings.variant))
