"""What a dataset states about its lists: columns, the values taken from them, and which rows are rejected and why.

A source is data. Its SQL expressions see the columns by their *role* (the keys of `columns`), trimmed, with NULL for
an empty cell or a column that the file lacks; the partition stage executes them. To add a dataset, add one file here
that registers a function, and one yaml below `conf/dataset/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.registry import Registry

#: Columns of an accepted row that a source gives a value to; `records.URL_SCHEMA` has the rest.
VALUE_COLUMNS = ("uuid", "source_id", "identifier", "license", "source", "title", "creator", "mirrors")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the input: the first of `names` that the file has, in any letter case."""

    names: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True, slots=True)
class RejectRule:
    """Rows for which the SQL condition `when` is true are rejected as `reason`; the first rule that holds counts."""

    reason: str
    when: str


@dataclass(frozen=True, slots=True)
class Companion:
    """A second table beside the media file, such as a Darwin Core Archive's `occurrence.txt`.

    Of its rows those where the SQL condition `where` holds are kept, as a table `companion(key, label)` that the
    conditions of `RejectRule` can ask: `source_id IN (SELECT key FROM companion WHERE label = 'x')`.

    Args:
        stem: Name of its file without the ending.
        columns: Its columns by role.
        key: SQL for `key`, over the roles.
        label: SQL for `label`, over the roles.
        where: Which rows are of interest.
    """

    stem: str
    columns: Mapping[str, Column]
    key: str
    label: str
    where: str


@dataclass(frozen=True, slots=True)
class Source:
    """One dataset's lists.

    Args:
        columns: Columns by role.
        rejects: Why a row is not downloaded, in order of precedence. (That a URL is none is found later.)
        values: SQL over the roles for those of `VALUE_COLUMNS` that are not simply the role of that name (nor, where
            there is no such role, NULL). `mirrors` is a list of text.
        companion: A second table to look rows up in.
        quoted_tabs: Tab-separated text obeys CSV quoting; otherwise `"` is a character like any other.
        missing_hint: What to say besides, where a required column is missing.
    """

    columns: Mapping[str, Column]
    rejects: tuple[RejectRule, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    companion: Companion | None = None
    quoted_tabs: bool = True
    missing_hint: str = ""


#: Makes a source from what the configuration says about the dataset.
SourceFactory = Callable[[DatasetSettings], Source]

SOURCES: Registry[SourceFactory] = Registry("dataset", "ray_downloader.sources")
