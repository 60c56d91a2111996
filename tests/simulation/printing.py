"""A world as the Python that makes it again: only what differs from the default, equal neighbours together."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from itertools import groupby


def source_of(value: object) -> str:
    """An expression in the names of `world.py` and `ErrorKind`."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if value == math.inf:
        return "FOREVER"
    if isinstance(value, tuple):
        return _tuple(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {source_of(item)}" for key, item in value.items()) + "}"
    if is_dataclass(value):
        given = [
            f"{field.name}={source_of(getattr(value, field.name))}"
            for field in fields(value)
            if getattr(value, field.name) != _default(field)
        ]
        return f"{type(value).__name__}({', '.join(given)})"
    return repr(value)


def _tuple(values: tuple[object, ...]) -> str:
    runs = [(value, len(list(equal))) for value, equal in groupby(values)]
    parts = [source_of(value) if count == 1 else f"*({source_of(value)},) * {count}" for value, count in runs]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _default(field: object) -> object:
    default, factory = field.default, field.default_factory  # type: ignore[attr-defined]
    return factory() if factory is not MISSING else default
