"""A configuration that does not validate, in sentences that name the key, the value and what would be right. Pure."""

from __future__ import annotations

import difflib
import re

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ray_downloader.config.fields import group_of, grouped_keys, keys_named

#: Keys whose values are not repeated: they might be secrets.
_SECRET = re.compile(r"downloader_parameters\.header|headers_env")
#: What a value should have been, by the beginning of the name of pydantic's error.
_RIGHT = {
    "int": "write a whole number",
    "float": "write a number",
    "finite_number": "write a number",
    "bool": "write true or false",
    "tuple": "write a list, such as [a, b]",
    "string": "write a text",
    "path": "write a path",
}
_LIMITS = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}


def sentence_of(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """One validation failure of a model as a sentence."""
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{key} is required: set it with {key}=..."
    if detail["type"] == "extra_forbidden":
        return unknown_key(key, model)
    shown = "..." if _SECRET.search(key) else _written(detail["input"])
    return f"{key}={shown} is not valid: {_what_is_right(detail, key)}"


def _written(value: object) -> str:
    """A value as one would write it, rather than as Python prints it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return value if isinstance(value, str) and value else repr(value)


def _what_is_right(detail: ErrorDetails, key: str) -> str:
    """What would be right, without pydantic's and Python's words for types."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context.get("expected", ""))) or re.findall(r"\d+", detail["msg"])
        near = difflib.get_close_matches(str(detail["input"]), choices, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"{hint}choose from {', '.join(choices)}"
    for start, sentence in _RIGHT.items():
        if kind.startswith(start):
            return sentence
    if kind in {"model_type", "dict_type", "mapping_type"}:
        return f"it has keys below it: write {key}.NAME=..."
    limit = next((f"{words} {context[name]:g}" for name, words in _LIMITS.items() if name in context), None)
    return f"write a number {limit}" if limit else str(detail["msg"]).removeprefix("Value error, ")


def unknown_key(key: str, model: type[BaseModel]) -> str:
    """The sentence for a dotted key that does not exist: the first part that is wrong, and what would be right."""
    right: list[str] = []
    *parents, last = key.split(".")
    for part in parents:
        below = group_of(model.model_fields.get(part))
        if below is None and part in model.model_fields:
            return f"{key} is not a known key; {'.'.join([*right, part])} is a value and has no keys below it"
        if below is None:
            last = part
            break
        model, right = below, [*right, part]
    names = sorted(model.model_fields)
    inner = {} if right else {key.rpartition(".")[2]: key for key in grouped_keys(model)}
    near = difflib.get_close_matches(last, [*names, *inner], n=1)
    elsewhere = keys_named(near[0], model) if near and not right and near[0] not in names else []
    meant = elsewhere or [".".join([*right, name]) for name in near]
    hint = f"did you mean {' or '.join(meant)}?" if meant else f"known keys: {', '.join(names)}"
    return f"{'.'.join([*right, last])} is not a known key; {hint}"
