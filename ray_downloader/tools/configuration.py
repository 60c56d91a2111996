"""From keys to a `ToolContext`: the user's values, and for all other keys those that the run itself was started with.

A tool needs no list: `path_to_output` names the run, whose `settings.json` has the names of its folders and how its
images are stored. A run folder of the legacy project lacks that file, so the defaults or the user's YAML apply.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ray_downloader.config.settings import Settings, known_keys
from ray_downloader.errors import UserError
from ray_downloader.machine import with_home
from ray_downloader.run_folder.small_json import read_object
from ray_downloader.tools.context import ToolContext

#: Keys that concern the tool, not the download whose images it works on.
_OWN_GROUPS = frozenset({"tools_parameters", "export", "cluster", "path_to_output"})


def tool_context(name: str, composed: Mapping[str, Any], given: Collection[str]) -> ToolContext:
    """The context of a tool.

    Args:
        name: The tool's name.
        composed: The whole configuration.
        given: Dotted keys that the user set; the name of a group if the user chose one of its options.

    Raises:
        UserError: `path_to_output` is missing or not a folder, or a value is not allowed.
    """
    if composed.get("path_to_output") in (None, "???"):
        raise UserError("path_to_output is required: set path_to_output=... to the run folder")
    root = with_home(str(composed["path_to_output"])).absolute()
    if not root.is_dir():
        raise UserError(f"path_to_output={root} is not a folder; set it to the folder of a run")
    values = {**composed, "path_to_output": str(root)}
    values = _over_run(_run_settings(root), values, given)
    if values.get("path_to_input") in (None, "???"):
        values["path_to_input"] = ""
    return ToolContext(name, Settings.from_config(values), bool({"image", "image.encode"} & set(given)))


def given_keys(overrides: Collection[str]) -> set[str]:
    """Dotted keys of command line overrides: `image=png` gives `image`, `+image.quality=80` gives `image.quality`."""
    keys = (re.match(r"[+~]*/?([\w./]+)", override) for override in overrides)
    return {key[1].replace("/", ".") for key in keys if key}


def flat_keys(values: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Dotted keys of a nested mapping."""
    keys: set[str] = set()
    for key, value in values.items():
        name = f"{prefix}{key}"
        keys |= flat_keys(value, f"{name}.") if isinstance(value, Mapping) and value else {name}
    return keys


def _run_settings(root: Path) -> dict[str, Any] | None:
    try:
        return known_keys(read_object(root / "settings.json"), Settings)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{root / 'settings.json'} is not a settings file: {error}") from None


def _over_run(run: dict[str, Any] | None, composed: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """The run's settings, overridden by what the user set and by the tool's own groups."""
    if run is None:
        return dict(composed)
    values = {**run, **{key: composed[key] for key in _OWN_GROUPS if key in composed}}
    for key in given:
        group, _, rest = key.partition(".")
        if group not in composed or group in _OWN_GROUPS:
            continue
        values[group] = _with(values.get(group), composed[group], rest) if rest else composed[group]
    return values


def _with(run: Any, composed: Any, key: str) -> dict[str, Any]:
    """A group of the run with one value replaced; both are mappings, as the key is dotted."""
    name, _, rest = key.partition(".")
    value = _with((run or {}).get(name), composed[name], rest) if rest else composed[name]
    return {**(run or {}), name: value}
