"""Which dataset a list is of: `dataset=auto` names the one that fits, and an archive is none of just any URLs.

A dataset states the columns that tell its lists (`Source.known_by`), or how many columns they have and where among them
the URL is, if they have no header row (`Source.headerless`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.sources.base import SOURCES, Source
from ray_downloader.sources.tables import MediaInput, Table, has_column

#: Names under which nothing is known of a list before it is opened.
UNDECIDED = ("auto", "generic")
_ARCHIVES = "dwca"


def opening_source(settings: DatasetSettings) -> Source:
    """What is known before the list is opened; where that is nothing, it may be an archive."""
    return SOURCES.get(_ARCHIVES if settings.name in UNDECIDED else settings.name)(settings)


def choose_source(
    settings: DatasetSettings, inputs: Sequence[MediaInput], report: Callable[[str], None]
) -> tuple[str, Source]:
    """The dataset as which the inputs are read, by name.

    Args:
        settings: As given; a dataset that is named is taken, except that `generic` has archives read as archives.
        inputs: The opened lists.
        report: Told what is chosen.
    """
    name = settings.name
    is_archive = all(one.media.scope or one.companions or one.core_lists for one in inputs)
    if name == "auto":
        name = _best_fit(settings, inputs[0].media) or (_ARCHIVES if is_archive else "generic")
        report(f"dataset=auto: {inputs[0].media.shown} is read as dataset={name}")
    elif name == "generic" and is_archive:
        name = _ARCHIVES
        report(f"{inputs[0].media.shown} is of a Darwin Core Archive and is read as dataset={name}")
    return name, SOURCES.get(name)(settings)


def _best_fit(settings: DatasetSettings, table: Table) -> str | None:
    """The dataset of which most telling columns are there."""
    fits = {name: _fit(SOURCES.get(name)(settings), table) for name in SOURCES if name not in UNDECIDED}
    best = max(fits, key=lambda name: fits[name])
    return best if fits[best] else None


def _fit(source: Source, table: Table) -> int:
    return max(
        (len(columns) for columns in source.known_by if all(has_column(table, name) for name in columns)), default=0
    )
