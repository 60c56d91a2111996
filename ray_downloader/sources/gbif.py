"""GBIF downloads: `multimedia.txt`, alone or with `occurrence.txt` beside it (Darwin Core Archive).

Tab separated, never quoted: titles contain stray `"`. Columns are found by name, as their order changed over the years.
Archives that publishers made themselves, before GBIF joined them, are read as `dwca` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, RejectRule, Source
from ray_downloader.sources.dwca import darwin_core
from ray_downloader.sql import literal, literals

#: Kinds of record whose pictures mostly show publications.
_DROPPED = ("MATERIAL_CITATION",)

_SIMPLE_CSV_HINT = (
    "a list of GBIF's media URLs is the multimedia.txt of a download in the format 'Darwin Core Archive'; "
    "the formats 'Simple' and 'Species list' have no media"
)


@SOURCES.register("gbif")
def gbif(settings: DatasetSettings) -> Source:
    """GBIF's multimedia rows, without the kinds of record that `dataset.drop_basis_of_record` names."""
    dropped = _DROPPED if settings.drop_basis_of_record is None else settings.drop_basis_of_record
    drops = {_letters(basis): _reason(basis) for basis in dropped}
    rules = [_drop_rule(letters, reason) for letters, reason in drops.items()]
    source = darwin_core(settings, rules, _label_sql(drops))
    return replace(
        source,
        rejects=(RejectRule("no_source_id", "source_id IS NULL"), *source.rejects),
        keeps=("gbifID", "datasetKey"),
        known_by=(
            ("gbifID", "identifier", "type", "format"),
            ("gbifID", "identifier", "type"),
            ("gbifID", "identifier", "format"),
            ("gbifID", "datasetKey"),  # a download that has no media, which is said then
        ),
        missing_hint=_SIMPLE_CSV_HINT,
    )


def _label_sql(drops: Mapping[str, str]) -> str:
    """The kind of record, if it is one that is dropped."""
    return f"CASE WHEN {_LETTERS_SQL} IN ({literals(drops)}) THEN {_LETTERS_SQL} END" if drops else "NULL"


def _drop_rule(letters: str, reason: str) -> RejectRule:
    label = literal(letters)
    return RejectRule(reason, f"coalesce({_LETTERS_SQL} = {label}, companion_label = {label}, false)")


#: `_letters` in SQL: "Material Citation", "MATERIAL_CITATION" and "MaterialCitation" are the same kind.
_LETTERS_SQL = "regexp_replace(upper(basis), '[^A-Z]', '', 'g')"


def _letters(basis: str) -> str:
    return re.sub("[^A-Z]", "", basis.upper())


def _reason(basis: str) -> str:
    """`material_citation` for any spelling of it."""
    return re.sub(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])", "_", basis.strip()).lower()
