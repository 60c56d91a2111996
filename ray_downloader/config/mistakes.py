"""A configuration that does not validate, in sentences that name the key, the value and what would be right. Pure."""

from __future__ import annotations

import difflib
import re

from pydantic import BaseModel
from pydantic_core import ErrorDetails

#: Keys whose values are not repeated: they might be secrets.
_SECRET = re.compile(r"downloader_parameters\.header|headers_env")


def sentence_of(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """One validation failure of a model as a sentence."""
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{key} is required: set it with {key}=..."
    if detail["type"] == "extra_forbidden":
        return unknown_key(key, model)
    shown = "..." if _SECRET.search(key) else repr(detail["input"])
    return f"{key}={shown} is not valid: {detail['msg'].removeprefix('Value error, ')}"


def unknown_key(key: str, model: type[BaseModel]) -> str:
    """The sentence for a dotted key that does not exist: the first part that is wrong, and what would be right."""
    right: list[str] = []
    *parents, last = key.split(".")
    for part in parents:
        below = _group_of(model, part)
        if below is None and part in model.model_fields:
            return f"{key} is not a known key; {'.'.join([*right, part])} is a value and has no keys below it"
        if below is None:
            last = part
            break
        model, right = below, [*right, part]
    names = sorted(model.model_fields)
    near = difflib.get_close_matches(last, names, n=1)
    hint = f"did you mean {'.'.join([*right, near[0]])}?" if near else f"known keys: {', '.join(names)}"
    return f"{'.'.join([*right, last])} is not a known key; {hint}"


def _group_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of a group; None if no such field exists, or it is a plain value."""
    field = model.model_fields.get(name)
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
