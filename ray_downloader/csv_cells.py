"""Cells of CSVs that no spreadsheet takes for formulas: what strangers wrote may begin like one. Pure."""

from __future__ import annotations

#: What spreadsheets take for the start of a formula, or skip before one; the last four are the wide forms of East Asian
#: keyboards.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_APOSTROPHE = "'"


def safe_cell(value: object) -> object:
    """The value, with one more apostrophe before it if it begins like a formula. `plain_cell` undoes it."""
    return f"{_APOSTROPHE}{value}" if isinstance(value, str) and _is_like_formula(value) else value


def plain_cell(cell: str) -> str:
    """A cell as it was before `safe_cell`."""
    return cell[1:] if cell.startswith(_APOSTROPHE) and _is_like_formula(cell) else cell


def _is_like_formula(text: str) -> bool:
    """Whether it is one, or a formula that already has apostrophes: they are counted, so that each cell comes back."""
    return text.lstrip(_APOSTROPHE).startswith(FORMULA_STARTS)
