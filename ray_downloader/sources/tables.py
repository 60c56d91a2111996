"""A table of the input: where it is, how its text is split into cells, and which role each of its columns has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ray_downloader.errors import UserError
from ray_downloader.sources.base import Column
from ray_downloader.sources.names import bare, plain

#: The role whose column is named by its position in an archive's descriptor.
CORE_ID = "core_id"
#: How many columns a message lists at most; occurrence.txt has more than 200.
_MAX_NAMES = 30
#: Share of a column's cells that must be URLs for it to count as a column of URLs.
_LEAST_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How text becomes cells.

    Args:
        delimiter: One character between cells.
        quote: `"` where cells obey CSV quoting, else empty.
        skip_lines: Lines and, in quoted text, rows before the first row, as DuckDB counts them.
        escape: What comes before a quote within a quoted cell; empty: another quote.
        has_mirrors: A line is one cell, in which a record separator separates the URL from its mirrors.
        is_json: A line is one JSON object, whose keys are the columns.
    """

    delimiter: str
    quote: str
    skip_lines: int
    escape: str = ""
    has_mirrors: bool = False
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a column looks like in a sample: shares of URLs, URLs of image files, and (0 or 1) distinct words."""

    urls: float = 0.0
    images: float = 0.0
    ids: float = 0.0


@dataclass(frozen=True, slots=True)
class LinePlaces:
    """Where the rows of a text are.

    Args:
        lines: Number of lines of the file.
        first: The first line (0-based) after the header.
        passed_over: Lines (0-based, ascending) that begin no row: they are empty or continue the previous row.
    """

    lines: int
    first: int
    passed_over: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Table:
    """One table to read.

    Args:
        path: The file that is read: UTF-8 text or parquet, possibly an unpacked copy.
        shown: The name by which the user knows it.
        columns: Names in the file's order; `column1`, ... if the file has no header row.
        text: How it is read, or None for parquet.
        types: The types of a parquet file's columns; tables with other types are read separately.
        evidence: What each column looks like; empty if nothing was sampled.
        read_as: What was detected about its form, in words.
        places: Where the rows of a text are.
        core_id: Position of the column that links the tables of a Darwin Core Archive.
        scope: The archive to which it belongs, if core ids are only unique within their own archive.
        defaults: By name of the column, what an archive's descriptor states for cells that are empty or missing.
    """

    path: Path
    shown: str
    columns: tuple[str, ...]
    text: TextFormat | None
    types: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    read_as: tuple[str, ...] = ()
    places: LinePlaces | None = field(default=None, compare=False)
    core_id: int | None = None
    scope: str = ""
    defaults: tuple[tuple[str, str], ...] = ()

    @property
    def has_header(self) -> bool:
        """Whether the columns have names of their own."""
        return not all(name == _number_name(index) for index, name in enumerate(self.columns))


@dataclass(frozen=True, slots=True)
class MediaInput:
    """A table of media rows, and the tables beside it that describe what is pictured (`Source.companion`), if any.

    Args:
        core_lists: Set if the table is an archive's core that lists media itself: whether all its rows count, or only
            the rest, those that no table of media has.
    """

    media: Table
    companions: tuple[Table, ...] = ()
    core_lists: Literal["all", "the rest"] | None = None


def numbered(count: int) -> tuple[str, ...]:
    """`column1`, `column2`, ...: names for columns that have none."""
    return tuple(map(_number_name, range(count)))


def find_columns(
    wanted: Mapping[str, Column], overrides: Mapping[str, tuple[str, ...]] | None, table: Table, hint: str = ""
) -> dict[str, int | None]:
    """Position of the column for each role; None if an optional one is missing.

    Args:
        wanted: Columns by role.
        overrides: Names by role that replace those of `wanted`; a column named there must exist.
        table: Where to look.
        hint: Appended to the message for a missing column.

    Raises:
        UserError: A column is missing, or `overrides` has a role that does not exist.
    """
    overrides = overrides or {}
    for role in overrides.keys() - wanted.keys():
        raise UserError(f"dataset.columns.{role} is not a column that is read; those are: {', '.join(wanted)}")
    found: dict[str, int | None] = {}
    for role, column in wanted.items():
        names = overrides.get(role, (*column.names, *column.others))
        index = table.core_id if role == CORE_ID and table.core_id is not None else _named(names, table)
        if index is not None and role == "identifier" and role not in overrides and _holds_no_url(index, column, table):
            urls = url_columns(table)
            index = _named([name for name in names if _named((name,), table) in urls], table)
        if index is None and column.by_content and role not in overrides:
            index = _by_content(role, table, found)
        if index is None and (column.required or role in overrides):
            raise UserError(
                _missing(
                    role,
                    overrides.get(role, column.names),
                    table,
                    hint,
                    url_columns(table) if column.by_content else [],
                )
            )
        found[role] = index
    return found


def defaults_of(wanted: Mapping[str, Column], roles: Mapping[str, int | None], table: Table) -> dict[str, str]:
    """What empty cells of a role mean: the values that the descriptor states for its column, or for a possible one."""
    stated = {bare(name): value for name, value in table.defaults}
    found: dict[str, str] = {}
    for role, index in roles.items():
        names = (table.columns[index],) if index is not None else (*wanted[role].names, *wanted[role].others)
        values = [stated[bare(name)] for name in names if bare(name) in stated]
        found |= {role: values[0]} if values else {}
    return found


def has_column(table: Table, name: str) -> bool:
    """Whether `find_columns` would find a column by this name."""
    return _named((name,), table) is not None


def how_read(
    tables: Sequence[Table],
    roles: Mapping[str, int | None],
    wanted: Mapping[str, Column],
    url_roles: Sequence[str] = (),
) -> str:
    """How tables that look alike are read, in a sentence: `a.csv read as: UTF-8, comma, no header, URL in column 2`.

    Args:
        url_roles: Columns with URLs that are used before `identifier`, in order of preference.
    """
    table = tables[0]
    parts = [*table.read_as]
    before = [_column_words(index, table) for role in url_roles if (index := roles.get(role)) is not None]
    for role, index in roles.items():
        if index is None or role not in {"identifier", "source_id", "uuid"}:
            continue
        what = {"identifier": "URL", "uuid": "uuid"}.get(role, "id")
        if role == "identifier" and before:
            parts.append("URL in " + ", else ".join(dict.fromkeys((*before, _column_words(index, table)))))
            continue
        others = ", ".join(_others_of(index, wanted[role], table)) if role == "identifier" else ""
        parts.append(f"{what} in {_column_words(index, table)}" + (f" (not {others})" if others else ""))
    more = f" and {len(tables) - 1} like it" if tables[1:] else ""
    return f"{Path(table.shown).name}{more} read as: {', '.join(parts)}"


def plain_words(name: str) -> str:
    """A name on one line: those of spreadsheets may have breaks."""
    return " ".join(name.split())


def _column_words(index: int, table: Table) -> str:
    return f"column {plain_words(table.columns[index])}" if table.has_header else f"column {index + 1}"


def _others_of(index: int, column: Column, table: Table) -> list[str]:
    """Further columns that have a name of the role, or whose cells are URLs, but that are not used."""
    names = {bare(name) for name in (*column.names, *column.others)}
    alike = {other for other, name in enumerate(table.columns) if bare(name) in names} | set(url_columns(table))
    return [plain_words(table.columns[other]) for other in sorted(alike - {index})]


def url_columns(table: Table) -> list[int]:
    """Columns whose cells are mostly URLs; if some of these have images, only those."""
    urls = [index for index, one in enumerate(table.evidence) if one.urls >= _LEAST_SHARE]
    inner = {table.columns[index].rpartition(".")[0] for index in urls}  # `image.url` is what `image` has
    urls = [index for index in urls if table.columns[index] not in inner]
    images = [index for index in urls if table.evidence[index].images >= _LEAST_SHARE]
    return images or urls


def _named(names: Sequence[str], table: Table) -> int | None:
    """The column with the first of the names that is there: exactly, in other letter case, or spelled differently."""
    spellings = [_positions(table.columns), _positions(map(plain, table.columns)), _positions(map(bare, table.columns))]
    for name in names:
        for index in (spellings[0].get(name), spellings[1].get(plain(name)), spellings[2].get(bare(name) or name)):
            if index is not None:
                return index
    return None


def _holds_no_url(index: int, column: Column, table: Table) -> bool:
    """Whether a column has the right name but no URLs, while another one has URLs."""
    return column.by_content and bool(table.evidence) and not table.evidence[index].urls and bool(url_columns(table))


def _positions(names: Iterable[str]) -> dict[str, int]:
    return {name: index for index, name in reversed(list(enumerate(names)))}


def _by_content(role: str, table: Table, found: Mapping[str, int | None]) -> int | None:
    """The only column of URLs; in a table without names the first one, and the column of ids before it."""
    candidates = url_columns(table)
    if role == "identifier":
        if len(table.columns) == 1:
            return 0  # a list of one column is a list of URLs, whatever its header says
        return candidates[0] if len(candidates) == 1 or (candidates and not table.has_header) else None
    url_at = found.get("identifier")
    if role != "source_id" or table.has_header or url_at is None:
        return None
    return next((index for index in range(url_at) if table.evidence and table.evidence[index].ids == 1.0), None)


def _missing(role: str, names: Sequence[str], table: Table, hint: str, candidates: Sequence[int]) -> str:
    if role == "identifier" and len(candidates) > 1:
        listed = ", ".join(table.columns[index] for index in candidates)
        return (
            f"{table.shown} has several columns of URLs: {listed}; say which one with "
            f"dataset.columns={{{role}: {table.columns[candidates[0]]}}}"
        )
    there = ", ".join(table.columns[:_MAX_NAMES]) + (", ..." if len(table.columns) > _MAX_NAMES else "")
    wanted = " or ".join(map(repr, names))
    return (
        f"{table.shown} has no column {wanted}; its columns are: {there} "
        f"({hint or f'name it with dataset.columns={{{role}: ...}}'})"
    )


def _number_name(index: int) -> str:
    return f"column{index + 1}"
