"""The arguments of a command, checked before Hydra parses them: a mistake is one sentence with the argument. Pure.

Hydra's own messages speak of its grammar, and argparse prints all of Hydra's options; neither says what to write here.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

from pydantic.fields import FieldInfo

from ray_downloader.config.fields import field_of, keys_named, kinds_of
from ray_downloader.config.mistakes import unknown_key
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError

SUBCOMMANDS = ("status", "report", "control", "tools", "profile", "plan")
#: Our options, and those of Hydra that are of use here; the second group takes a value.
_OPTIONS = frozenset({"--help", "-h", "--help-all", "--version", "--resolve", "--hydra-help", "--info", "-i"})
_WITH_VALUE = frozenset(
    {
        "--shell-completion", "--cfg", "-c", "--package", "-p", "--config-dir", "-cd", "--config-path", "-cp",
        "--config-name", "-cn",
    }
)  # fmt: skip
_SEVERAL_RUNS = frozenset({"-m", "--multirun", "--experimental-rerun"})
#: A name, for `+experiment=NAME`, that is not a group of the defaults.
_EXPERIMENT = "experiment"
#: Hydra's grammar takes these for something other than a name.
_CONSTANTS = frozenset({"true", "false", "null", "inf", "nan"})
_KEY = re.compile(r"(?P<sign>\+{0,2}|~)(?P<key>[A-Za-z_][\w.@/:-]*)")


#: What a word that is not an override was probably meant as.
_LIST = "the list is named by path_to_input={}, the run folder by path_to_output=..."
TOOL = "the tool is named by tool={}, the run folder by path_to_output=..."


def check_arguments(arguments: Sequence[str], groups: Mapping[str, Sequence[str]], meant: str = _LIST) -> None:
    """Refuse what cannot be meant.

    Args:
        arguments: As the user gave them, without the name of the program.
        groups: Choices by group (`dataset=gbif`).
        meant: What to say about a word that is not an override.

    Raises:
        UserError: An argument is neither an option nor `key=value`.
    """
    given = iter(arguments)
    for argument in given:
        if argument in _WITH_VALUE:
            if next(given, None) is None:
                raise UserError(f"{argument} needs a value")
        elif argument.startswith("-"):
            _check_option(argument, given)
        else:
            _check_override(argument, groups, meant)


def _check_option(argument: str, following: Iterator[str]) -> None:
    option, equals, value = argument.partition("=")
    if option in _OPTIONS or (equals and option in _WITH_VALUE):
        return
    if option in _SEVERAL_RUNS or (len(option) > len("--m") and "--multirun".startswith(option)):
        raise UserError(
            f"{option} is not supported: a run has one folder and one configuration; "
            "give one command for each, with its own path_to_output"
        )
    key = option.lstrip("-").replace("-", "_")
    keys = [key] if key == _EXPERIMENT or field_of(key, Settings) else keys_named(key, Settings)
    if keys:
        value = value if equals else next((word for word in following if not word.startswith("-")), "...")
        key = f"+{keys[0]}" if key == _EXPERIMENT else keys[0]
        raise UserError(f"{argument}: keys are written without dashes and with an equals sign: {_spelled(key, value)}")
    known = sorted({*_OPTIONS, *_WITH_VALUE})
    near = difflib.get_close_matches(option, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"{argument} is not an option; {hint}settings are written key=value, and --help explains the rest")


def _check_override(argument: str, groups: Mapping[str, Sequence[str]], meant: str) -> None:
    name, equals, value = argument.partition("=")
    if name.startswith("~"):
        return
    if not equals:
        raise UserError(_without_value(argument, meant))
    found = _KEY.fullmatch(name)
    if found is None:
        written = f"'{name}' before the equals sign is not a key" if name else "there is no key before the equals sign"
        raise UserError(f"{argument}: {written}; write key=value, such as path_to_input=urls.txt")
    key = found["key"]
    if key == _EXPERIMENT and not found["sign"]:
        raise UserError(f"{argument}: an experiment is added with a plus sign: +{argument}")
    if found["sign"] or "@" in key or re.match(r"hydra\b", key):
        return
    if key not in groups:
        _check_key(argument, key, value)
    else:
        _check_choice(argument, value, groups[key])


def _check_choice(argument: str, value: str, choices: Sequence[str]) -> None:
    """Refuse what cannot be the name of a choice; one of the user's own folders (`--config-dir`) may have others."""
    if value.strip().startswith(("{", "[")):
        return
    if "," in value:
        raise UserError(f"{argument}: one choice is expected, not several")
    if value.lower() in _CONSTANTS or not re.fullmatch(r"[A-Za-z_][\w./-]*", value):
        raise UserError(f"{argument} does not exist; choose from {', '.join(choices)}")


def _check_key(argument: str, key: str, value: str) -> None:
    field = field_of(key, Settings)
    if field is None:
        if _is_below_mapping(key):
            return
        raise UserError(unknown_key(key, Settings))
    if "," not in value or value.strip()[:1] in {"[", "{", "'", '"'} or _takes_text(field):
        return
    parts = [part.strip() for part in value.split(",")]
    if _is_list(field):
        spelled = _spelled(key, f"[{','.join(parts)}]")
        raise UserError(f"{argument}: several values are written in brackets: {spelled}")
    raise UserError(f"{argument}: one value of {key} is expected, not several")


def _is_below_mapping(key: str) -> bool:
    """Whether a key is one of the user's own within a mapping, such as `dataset.columns.identifier`."""
    field = field_of(key.rpartition(".")[0], Settings)
    return field is not None and Mapping in {get_origin(kind) for kind in kinds_of(field.annotation)}


def _without_value(argument: str, meant: str) -> str:
    key = argument.lstrip("+")
    if field_of(key, Settings) is not None or key == _EXPERIMENT:
        plus = "+" if key == _EXPERIMENT else ""
        return f"{argument} has no value: write {plus}{key}=..."
    near = difflib.get_close_matches(argument, SUBCOMMANDS, n=1)
    if near:
        return f"{argument} is not a command; did you mean {near[0]}? The commands are {', '.join(SUBCOMMANDS)}"
    return f"{argument} is not written as key=value: {meant.format(shlex.quote(argument))}"


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _takes_text(field: FieldInfo) -> bool:
    """Whether a value with a comma may be meant as it is: a path, a contact, a header."""
    kinds = {get_origin(kind) or kind for kind in kinds_of(field.annotation)}
    return bool(kinds & {str, Path, Mapping, Any})


def _spelled(key: str, value: str) -> str:
    return shlex.quote(f"{key}={value}") if set(value) & set(" '\"()&;|<>$") else f"{key}={value}"
