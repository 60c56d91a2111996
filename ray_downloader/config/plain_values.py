"""Overrides as a shell passes them: a value that Hydra's grammar cannot parse is used as it is written.

Hydra parses values as a language of its own, in which `a,b.csv` is two values, `run=1.csv` and `état.csv` are mistakes,
and `2024` is a number. Names of files, contacts and passwords are not written in that language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from ray_downloader.config.fields import field_of, kinds_of
from ray_downloader.config.settings import Settings

_OVERRIDE = re.compile(r"(\+{0,2}[A-Za-z_][\w.@/-]*)=(.*)", re.DOTALL)
#: Hydra's options that consume the next argument.
_WITH_VALUE = frozenset({"--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--package", "-p"})
#: Values in lists, and in mappings, that are not quoted.
_IN_LIST = re.compile(r"([\[,]\s*)([^\s\[\]{},:'\"][^\[\]{},:'\"]*)(?=[,\]])")
_IN_MAPPING = re.compile(r"([{,]\s*[\w.]+\s*:\s*)([^\s\[\]{},'\"][^\[\]{},'\"]*)(?=[,}])")
#: Characters that such a value may have.
_KNOWN = re.compile(r"[A-Za-z0-9_/\-\\+.$%*@?| \t:{}()]*")


def as_hydra_reads(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, with values quoted that would otherwise be refused or mean something else."""
    return [
        argument if before in _WITH_VALUE else _readable(argument)
        for before, argument in zip(["", *arguments], arguments, strict=False)
    ]


def _with_plain_keys(argument: str) -> str:
    """Allow the keys of a mapping to be quoted, as in JSON; Hydra's grammar knows quotes only for values."""
    escaped = partial(re.sub, r"([\\()\[\]{}:=, \t])", r"\\\1")
    return re.sub(r"""(?<=[{,])\s*(["'])([^"']*)\1\s*:""", lambda found: f"{escaped(found[2])}:", argument)


def _readable(given: str) -> str:
    argument = _with_plain_keys(given)
    if _parsed(argument) is None:
        argument = given
    found = _OVERRIDE.fullmatch(argument)
    if found is None:
        return argument
    key, value = found.groups()
    plain = f"{key}={_quoted(value)}"
    parsed = _parsed(argument)
    if parsed is not None:
        means_more = not _is_text(parsed) or value != value.strip() or _is_unescaped(parsed, value)
        return plain if means_more and _must_be_text(key) else argument
    if value.strip()[:1] in {"[", "{"} and not _must_be_text(key):
        words = _IN_MAPPING.sub(_with_quoted_word, _IN_LIST.sub(_with_quoted_word, value))
        return f"{key}={words}" if _parsed(f"{key}={words}") is not None else argument
    return plain if _parsed(plain) is not None else argument


def _parsed(argument: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(argument)
    except HydraException:
        return None


def _is_text(override: Override) -> bool:
    """Whether the value is text, or nothing, rather than a number, a list or a choice of several."""
    if override.is_sweep_override():
        return False
    value = override.value()
    return value is None or isinstance(value, str) or not isinstance(value, bool | int | float | list | dict)


def _is_unescaped(override: Override, written: str) -> bool:
    r"""Whether the grammar took backslashes away that belong to a name, as of `\[x]`; in quotes they are its own."""
    text = override.value()
    return isinstance(text, str) and text != written and written[:1] not in {"'", '"'}


def _must_be_text(key: str) -> bool:
    """Whether a setting is a text or a path, and nothing else."""
    field = field_of(key.lstrip("+"), Settings)
    kinds = set(kinds_of(field.annotation)) if field else set()
    return bool(kinds) and kinds <= {str, Path, type(None)} and kinds != {type(None)}


def _with_quoted_word(found: re.Match[str]) -> str:
    before, word = found.groups()
    return found[0] if _KNOWN.fullmatch(word) else f"{before}{_quoted(word.rstrip())}"


def _quoted(value: str) -> str:
    """The value in single quotes: only quotes, and backslashes before them or at the end, have to be escaped."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    return "'" + re.sub(r"(\\+)$", r"\1\1", escaped) + "'"
