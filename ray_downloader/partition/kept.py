"""Which columns of the input are carried through to `successes.parquet`: `dataset.keep` and the dataset's own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ray_downloader.errors import UserError
from ray_downloader.run_folder.schemas import SUCCESS_SCHEMA
from ray_downloader.sources.tables import Table, has_column

#: Columns that rows have in any case.
_THERE_ANYWAY = frozenset({"uuid", "source_id", "identifier", "license", "source", "title"})
_WRITTEN = frozenset(SUCCESS_SCHEMA.names) - _THERE_ANYWAY
#: How many columns a message lists at most.
_MAX_NAMES = 60


def columns_to_keep(always: Sequence[str], wanted: Sequence[str], tables: Iterable[Table]) -> tuple[str, ...]:
    """The columns to carry along, each once.

    Args:
        always: Requested by the dataset; a list may lack them.
        wanted: Requested by the user; some table must have them.
        tables: All tables of the input, including those beside the media.

    Raises:
        UserError: No table has a column, or the run itself writes one of that name.
    """
    columns = {table.columns: table for table in tables}
    for name in wanted:
        if name in _WRITTEN:
            raise UserError(f"dataset.keep: {name} is a column that the run writes itself; rename it in the list")
        if name not in _THERE_ANYWAY and not any(has_column(table, name) for table in columns.values()):
            there = list(dict.fromkeys(column for names in columns for column in names))
            listed = ", ".join(there[:_MAX_NAMES]) + (", ..." if there[_MAX_NAMES:] else "")
            raise UserError(f"dataset.keep: no table has a column {name!r}; there are: {listed}")
    once = {name.casefold(): name for name in reversed((*always, *wanted)) if name not in _THERE_ANYWAY}
    return tuple(reversed(once.values()))
