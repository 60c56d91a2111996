"""Reads a snapshot, even one of another version or a damaged one: key by key, with defaults for invalid values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

_Choice = TypeVar("_Choice", bound=Enum)


class Reader:
    """Typed access to the values of a snapshot.

    Args:
        values: Parsed JSON; anything may be missing or of another type.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def number(self, key: str, default: float) -> float:
        """A finite number of at least 0."""
        value = _number(self._values.get(key))
        return default if value is None else value

    def count(self, key: str) -> int:
        """A whole number of at least 0."""
        return int(self.number(key, 0.0))

    def flag(self, key: str) -> bool:
        """True only if the snapshot says so."""
        return self._values.get(key) is True

    def text(self, key: str) -> str:
        """A string."""
        value = self._values.get(key)
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> list[str]:
        """The strings of a list."""
        value = self._values.get(key)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []

    def choice(self, key: str, choices: type[_Choice]) -> _Choice | None:
        """A member of an enum, by its value."""
        value = self._values.get(key)
        return next((choice for choice in choices if choice.value == value), None)

    def uses(self, key: str) -> list[tuple[float, float]]:
        """Pairs of age and amount."""
        value = self._values.get(key)
        pairs = [_pair(item) for item in value] if isinstance(value, list | tuple) else []
        return [pair for pair in pairs if pair is not None]


def _pair(item: Any) -> tuple[float, float] | None:
    if not isinstance(item, list | tuple) or len(item) != 2:
        return None
    age_s, amount = _number(item[0]), _number(item[1])
    return None if age_s is None or amount is None else (age_s, amount)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
