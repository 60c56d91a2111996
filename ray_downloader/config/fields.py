"""What can be read off settings models: groups, fields by dotted key, kinds and choices of values. Pure."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def group_of(field: FieldInfo | None) -> type[BaseModel] | None:
    """The model of a field that is a group of keys; None if it is a plain value, or does not exist."""
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def field_of(key: str, model: type[BaseModel]) -> FieldInfo | None:
    """The field with a dotted key; None if it does not exist."""
    field = None
    below: type[BaseModel] | None = model
    for name in key.split("."):
        field = below.model_fields.get(name) if below else None
        if field is None:
            return None
        below = group_of(field)
    return field


def grouped_keys(model: type[BaseModel]) -> Iterator[str]:
    """The dotted keys within the groups of a model."""
    for group, field in model.model_fields.items():
        for name in getattr(group_of(field), "model_fields", ()):
            yield f"{group}.{name}"


def keys_named(name: str, model: type[BaseModel]) -> list[str]:
    """The dotted keys within groups whose last part is this name."""
    return [key for key in grouped_keys(model) if key.rpartition(".")[2] == name]


def kinds_of(annotation: object) -> Iterator[object]:
    """The types that a value may have: `str` and `None` for `str | None`; a `Literal` as it is."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from kinds_of(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from kinds_of(member)
    elif annotation is not None:
        yield annotation


def choices_of(field: FieldInfo) -> list[str]:
    """The values that a field lists, also as members of a list; empty if it lists none."""
    choices: dict[str, None] = {}
    for kind in kinds_of(field.annotation):
        members = get_args(kind) if get_origin(kind) is tuple else (kind,)
        for member in members:
            if get_origin(member) is Literal:
                choices.update(dict.fromkeys(map(str, get_args(member))))
    return list(choices)
