"""A table of the input: where it lies, how its text is cut into cells, and which of its columns plays which role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ray_downloader.errors import UserError
from ray_downloader.sources.base import Column

#: The role whose column an archive's descriptor names by its position.
CORE_ID = "core_id"
#: Columns that a message lists at most; occurrence.txt has more than 200.
_MAX_NAMES = 30


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How text becomes cells.

    Args:
        delimiter: One character between cells.
        quote: `"` where cells obey CSV quoting, else empty.
        skip_lines: Lines before the first row.
    """

    delimiter: str
    quote: str
    skip_lines: int


@dataclass(frozen=True, slots=True)
class Table:
    """One table to read.

    Args:
        path: What is read: UTF-8 text or parquet, possibly an unpacked copy.
        shown: What the user knows it by.
        columns: Names in the file's order; `column1`, ... where the file has no header row.
        text: How it is read, or None for parquet.
        core_id: Position of the column that a Darwin Core Archive says links its tables.
        scope: The archive that it is of, where core ids mean something in their own archive only.
    """

    path: Path
    shown: str
    columns: tuple[str, ...]
    text: TextFormat | None
    core_id: int | None = None
    scope: str = ""


@dataclass(frozen=True, slots=True)
class MediaInput:
    """A table of media rows, and those beside it that describe what is pictured (`Source.companion`), if any.

    Args:
        core_lists: The table is an archive's core, which lists media itself: all of them, or the rest, those of rows
            that no table of media has.
    """

    media: Table
    companions: tuple[Table, ...] = ()
    core_lists: Literal["all", "the rest"] | None = None


def find_columns(
    wanted: Mapping[str, Column], overrides: Mapping[str, tuple[str, ...]] | None, table: Table, hint: str = ""
) -> dict[str, int | None]:
    """Position of the column for each role; None where an optional one is missing.

    Args:
        wanted: Columns by role.
        overrides: Names by role that replace those of `wanted`; a column named there must exist.
        table: Where to look.
        hint: Appended to the message for a missing column.

    Raises:
        UserError: A column is missing, or `overrides` has a role that there is not.
    """
    overrides = overrides or {}
    for role in overrides.keys() - wanted.keys():
        raise UserError(f"dataset.columns.{role} is not a column that is read; those are: {', '.join(wanted)}")
    return {
        role: _position(role, Column(overrides[role], required=True) if role in overrides else column, table, hint)
        for role, column in wanted.items()
    }


def has_column(table: Table, name: str) -> bool:
    """Whether `find_columns` would find a column by this name."""
    return find_columns({"it": Column((name,))}, None, table)["it"] is not None


def _position(role: str, column: Column, table: Table, hint: str) -> int | None:
    if role == CORE_ID and table.core_id is not None:
        return table.core_id
    by_exact_name = {name: index for index, name in reversed(list(enumerate(table.columns)))}
    by_name = {_plain(name): index for index, name in reversed(list(enumerate(table.columns)))}
    for name in (*column.names, *column.others):
        index = by_exact_name.get(name, by_name.get(_plain(name)))
        if index is not None:
            return index
    if role == "identifier" and len(table.columns) == 1 and table.text is not None:
        return 0  # a list of one column is a list of URLs, whatever its header says
    if not column.required:
        return None
    there = ", ".join(table.columns[:_MAX_NAMES]) + (", ..." if len(table.columns) > _MAX_NAMES else "")
    raise UserError(
        f"{table.shown} has no column {' or '.join(map(repr, column.names))}; its columns are: {there} "
        f"({hint or f'name it with dataset.columns={{{role}: ...}}'})"
    )


def _plain(name: str) -> str:
    return re.sub(r"\s+", " ", name.strip()).casefold()
