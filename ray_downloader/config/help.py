"""The texts of `--help` and `--help-all`: the latter lists every key with its default and one sentence. Pure.

The sentences are those of the settings models, so a key cannot be without one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ray_downloader.config.fields import choices_of, group_of
from ray_downloader.config.settings import Settings

SHORT = """Downloads every image of a list of URLs, as fast as each server allows and never faster.

  ray-downloader +experiment=demo                      try it: nothing leaves this machine
  ray-downloader path_to_input=urls.txt path_to_output=out politeness.contact=you@example.org
  ray-downloader +experiment=gbif path_to_input=download.zip path_to_output=out politeness.contact=...
  ray-downloader plan path_to_input=urls.csv path_to_output=out      no image fetched: servers, rows, time, disk

The same command with the same path_to_output continues a run. `python -m ray_downloader` is the same program.

  ray-downloader status OUT [--watch] [--json]         how a run is doing, from its files alone
  ray-downloader report OUT                            writes OUT/report.html
  ray-downloader control OUT list|pause|resume|rate|ban [SERVER [VALUE]]
  ray-downloader tools tool=NAME path_to_output=OUT    works on finished images; tools --help lists them
  ray-downloader profile OUT/settings.json             the profile stage alone; started by mpiexec or srun

  --help-all               every key with its default and what it means
  --version                version of this program
  --cfg job                the configuration that the other arguments amount to
  --shell-completion NAME  completion for bash, zsh or fish: eval "$(ray-downloader --shell-completion bash)"

Exit codes: 0 every row settled, 1 unexpected failure, 2 bad configuration or input, 3 stopped or not all rows have a
final answer (run the same command again), 4 another run holds the folder.
"""
#: Keys that no user sets: a group's own name, and what is said if the list is missing.
_INTERNAL = frozenset({"name", "input_help"})


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the configuration.

    Args:
        name: Dotted.
        default: As one would write it; empty if the key is required.
        choices: Allowed values, if they are listed.
        sentence: What it means.
    """

    name: str
    default: str
    choices: Sequence[str]
    sentence: str


def all_keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Key]:
    """Every key that a user may set, in the order of the models."""
    for name, field in model.model_fields.items():
        group = group_of(field)
        if group is not None:
            yield from all_keys(group, f"{prefix}{name}.")
        elif name not in _INTERNAL:
            default = "" if field.is_required() else _written(field.default)
            yield Key(f"{prefix}{name}", default, choices_of(field), " ".join((field.description or "").split()))


def _written(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return value
    if isinstance(value, Path | Enum):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(dict(value) if isinstance(value, Mapping) else value)


def full_help(groups: Mapping[str, Sequence[str]]) -> str:
    """The text of `--help-all`.

    Args:
        groups: Choices by group, among them `experiment`.
    """
    choices = "\n".join(
        f"  {'+' if group == 'experiment' else ''}{group}=  {' '.join(names)}" for group, names in groups.items()
    )
    keys = "\n".join(_lines(key) for key in all_keys())
    return f"{SHORT}\n== Choices ==\n{choices}\n\n== All keys: key=default (or the other choices) ==\n{keys}\n"


def _lines(key: Key) -> str:
    others = [choice for choice in key.choices if choice not in re.split(r"[\[\], ]+", key.default)]
    choices = f"  ({', '.join(others)})" if others else ""
    return f"  {key.name}={key.default or '...  (required)'}{choices}\n      {key.sentence}"
