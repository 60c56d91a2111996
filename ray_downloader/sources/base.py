"""What a dataset states about its lists: columns, the values taken from them, and which rows are rejected and why.

A source is data. Its SQL expressions refer to columns by their *role* (the keys of `columns`), trimmed, with NULL for
an empty cell or a column that the file lacks; the partition stage executes them. To add a dataset, add one file here
that registers a function, and one yaml below `conf/dataset/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ray_downloader.config.settings import DatasetSettings
from ray_downloader.registry import Registry

#: Columns of an accepted row for which a source gives a value; `schemas.URL_SCHEMA` has the rest.
VALUE_COLUMNS = ("uuid", "source_id", "identifier", "license", "source", "title", "creator", "mirrors")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the input: the first of `names` that the file has, in any letter case and spelling.

    Args:
        names: The names it may have.
        required: Whether a list without it is rejected.
        others: Further names, which messages do not mention.
        by_content: Whether a column may be recognized by what its cells look like if none has a known name.
    """

    names: tuple[str, ...]
    required: bool = False
    others: tuple[str, ...] = ()
    by_content: bool = False


#: Columns that every list may have: what it states about the bytes. A list's own column of that name is read only if
#: the dataset or `dataset.columns` names it, as it may well be the checksum of something else.
LISTED_COLUMNS = ("md5", "sha1", "sha256", "bytes")


@dataclass(frozen=True, slots=True)
class RejectRule:
    """Rows for which the SQL condition `when` is true are rejected as `reason`; the first rule that is true decides."""

    reason: str
    when: str


@dataclass(frozen=True, slots=True)
class Companion:
    """A second table beside the media, such as a Darwin Core Archive's `occurrence.txt`: it describes what is pictured.

    The row that belongs to a media row supplies its licence and the columns of `dataset.keep` if the media table lacks
    them. Conditions of `RejectRule` refer to its `label` as `companion_label`.

    Args:
        stems: Names of its file without the ending, for archives whose descriptor names none.
        columns: Its columns by role; `core_id`, the key, and, if it states one, `license` among them.
        match: SQL over the roles of the media table that gives the key.
        label: SQL over its roles.
        global_column: If the table has this column, its keys mean the same in every archive; otherwise only in its own.
    """

    stems: tuple[str, ...]
    columns: Mapping[str, Column]
    match: str
    label: str = "NULL"
    global_column: str | None = None


@dataclass(frozen=True, slots=True)
class VariantRows:
    """How a table is read that has one row per variant of a medium (Audubon Core): only the best of each is kept.

    Args:
        role: The column that says which variant a row is; tables without it are not affected.
        medium: SQL over the roles for what the variants of one medium have in common.
        rank: SQL over the roles: the lower, the better; NULL for rows that are no variant.
    """

    role: str
    medium: str
    rank: str


@dataclass(frozen=True, slots=True)
class Source:
    """One dataset's lists.

    Args:
        columns: Columns by role.
        rejects: Why a row is not downloaded, in order of precedence. (That a cell is not a URL is found later.)
        values: SQL over the roles for those of `VALUE_COLUMNS` that are not simply the role of that name (nor, where
            there is no such role, NULL). `mirrors` is a list of text.
        derived: SQL for further roles, in order: each may use those before it, and `missing_columns`, the roles for
            which the table has no column; it is evaluated once per row.
        companion: A second table to look rows up in.
        url_roles: Columns with URLs that are used before `identifier`, in order of preference.
        variants: How rows that are variants of one medium are told apart.
        keeps: Columns that are carried along whether or not `dataset.keep` names them, if the list has them.
        stated_license: The licence of rows for which no table states one.
        media_stems: Names, without the ending, of the files that list the media if no descriptor names them.
        core: How the core of an archive is read if it lists media itself (`associatedMedia`).
        known_by: Sets of columns that identify its lists: a list fits if it has every column of one set.
        headerless: Names of the columns of a list without a header row, by how many there are.
        quoted_tabs: Tab-separated text obeys CSV quoting; otherwise `"` is a character like any other.
        missing_hint: What the message for a missing required column says in addition.
    """

    columns: Mapping[str, Column]
    rejects: tuple[RejectRule, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)
    companion: Companion | None = None
    url_roles: tuple[str, ...] = ()
    variants: VariantRows | None = None
    keeps: tuple[str, ...] = ()
    stated_license: str | None = None
    media_stems: tuple[str, ...] = ("multimedia",)
    core: Source | None = None
    known_by: tuple[tuple[str, ...], ...] = ()
    headerless: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    quoted_tabs: bool = True
    missing_hint: str = ""


#: Makes a source from what the configuration says about the dataset.
SourceFactory = Callable[[DatasetSettings], Source]

SOURCES: Registry[SourceFactory] = Registry("dataset", "ray_downloader.sources")
