"""Which dataset a list belongs to: `dataset=auto` picks the one that fits; an archive is never read as a plain list.

A dataset states the columns that identify its lists (`Source.known_by`), or how many columns they have and which of
them has the URL if there is no header row (`Source.headerless`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.archive import TableNames
from ray_downloader.sources.base import SOURCES, Source
from ray_downloader.sources.tables import MediaInput, Table, has_column

#: Datasets that say nothing about a list before it is opened.
UNDECIDED = ("auto", "generic")
_ARCHIVES = "dwca"
#: Share of the cells of a column that must be URLs.
_MOST = 0.9


def opening_source(settings: DatasetSettings) -> Source:
    """What is known before the list is opened; if that is nothing, it may be an archive."""
    return SOURCES.get(_ARCHIVES if settings.name in UNDECIDED else settings.name)(settings)


def table_names(settings: DatasetSettings) -> TableNames:
    """What the dataset's tables are called; for `auto`, the names of every dataset's tables."""
    of_any_size = settings.model_copy(update={"size": None})
    sources = [SOURCES.get(name)(of_any_size) for name in (SOURCES if settings.name == "auto" else ())]
    sources = sources or [opening_source(settings)]
    media = dict.fromkeys(stem for one in sources for stem in one.media_stems)
    beside = dict.fromkeys(stem for one in sources if one.companion for stem in one.companion.stems)
    return TableNames(tuple(media), tuple(beside))


def choose_sources(
    settings: DatasetSettings, inputs: Sequence[MediaInput], report: Callable[[str], None]
) -> dict[str, tuple[Source, list[MediaInput]]]:
    """The datasets as which the inputs are read, by name, and their inputs with names for columns that have none.

    Args:
        settings: As given; a named dataset is used as it is, except that `generic` reads archives as archives.
        inputs: The opened lists; `auto` judges each by itself.
        report: Called with a sentence about the choice.
    """
    found: dict[str, tuple[Source, list[MediaInput]]] = {}
    for one in inputs:
        name = _dataset_of(settings, one)
        source, chosen = found.setdefault(name, (SOURCES.get(name)(settings), []))
        chosen.append(replace(one, media=_with_names(source, one.media)))
    for name, (_, chosen) in found.items():
        more = f" and {len(chosen) - 1} more" if chosen[1:] else ""
        if settings.name == "auto":
            report(f"dataset=auto: {chosen[0].media.shown}{more} is read as dataset={name}")
        elif name != settings.name:
            report(f"{chosen[0].media.shown}{more} is of a Darwin Core Archive and is read as dataset={name}")
    return found


def _dataset_of(settings: DatasetSettings, one: MediaInput) -> str:
    is_archive = bool(one.media.scope or one.companions or one.core_lists)
    if settings.name == "auto":
        return _best_fit(settings, one.media) or (_ARCHIVES if is_archive else "generic")
    return _ARCHIVES if settings.name == "generic" and is_archive else settings.name


def _with_names(source: Source, table: Table) -> Table:
    names = source.headerless.get(len(table.columns))
    return replace(table, columns=names) if names and not table.has_header else table


def _best_fit(settings: DatasetSettings, table: Table) -> str | None:
    """The dataset with the most identifying columns in the table."""
    of_any_size = settings.model_copy(update={"size": None})  # each dataset has its own sizes
    fits = {name: _fit(SOURCES.get(name)(of_any_size), table) for name in SOURCES if name not in UNDECIDED}
    best = max(fits, key=lambda name: fits[name])
    return best if fits[best] else None


def _fit(source: Source, table: Table) -> int:
    """How many columns identify the table as one of the dataset."""
    if not table.has_header:
        return _fit_without_header(source, table)
    fitting = (columns for columns in source.known_by if all(has_column(table, name) for name in columns))
    return max(map(len, fitting), default=0)


def _fit_without_header(source: Source, table: Table) -> int:
    """Fits if the number of columns is right and the URL column has URLs; the columns beside it have words, not ids."""
    names = source.headerless.get(len(table.columns))
    if not names:
        return 0
    wanted = source.columns["identifier"].names
    places = [index for index, name in enumerate(names) if name in wanted]
    if not places or not table.evidence or table.evidence[places[0]].urls < _MOST:
        return 0
    first_other = table.evidence[0 if places[0] else 1]
    return len(names) if len(names) > 2 or not (first_other.ids or first_other.urls) else 0
