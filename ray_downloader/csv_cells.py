"""Cells of CSVs that no spreadsheet takes for formulas: what strangers wrote may begin like one. Pure."""

from __future__ import annotations

#: What spreadsheets take for the start of a formula, or skip before one.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(value: object) -> object:
    """The value, with an apostrophe before it if it begins like a formula. `plain_cell` undoes it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def plain_cell(cell: str) -> str:
    """A cell as it was before `safe_cell`."""
    return cell[1:] if cell and cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS) else cell
