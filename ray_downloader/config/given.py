"""Settings from what a Python caller passes: a YAML file, a mapping, keywords, or several of these."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_downloader.config.compose import compose_over, group_choices, read_keys, settings_from_hydra
from ray_downloader.config.contact import ContactRule, contact_rule
from ray_downloader.config.legacy_yaml import translate
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError

_EXPERIMENT = "experiment"
_log = logging.getLogger(__name__)


def given_settings(
    config: str | Path | Mapping[str, Any] | None, overrides: Mapping[str, Any]
) -> tuple[Settings, ContactRule]:
    """The settings, and the rule about contacts that applies to them.

    Args:
        config: A file, or keys, nested or dotted.
        overrides: Keys over those.

    Raises:
        UserError: The file does not exist or is not YAML, or the settings are not valid.
    """
    values = given_keys(config, overrides)
    rule = contact_rule({**_read(config), **overrides})
    experiment = values.pop(_EXPERIMENT, None)
    if experiment is not None and experiment not in group_choices()[_EXPERIMENT]:
        raise UserError(
            f"experiment={experiment} does not exist; choose from {', '.join(group_choices()[_EXPERIMENT])}"
        )
    added = [f"+{_EXPERIMENT}={experiment}"] if experiment is not None else []
    return settings_from_hydra(compose_over(values, added)), rule


def given_keys(config: str | Path | Mapping[str, Any] | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a caller passes, nested, in our spelling.

    Raises:
        UserError: The file does not exist or is not YAML.
    """
    found: dict[str, Any] = _plain(merged(translate(nested(_read(config)), _log.warning), nested(overrides)))
    return found


def _read(config: str | Path | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if config is None or isinstance(config, Mapping):
        return config or {}
    if isinstance(config, str | Path):
        return read_keys(Path(config))
    raise UserError(f"name a YAML file or pass a mapping of keys, not {type(config).__name__}")


def nested(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Keys in which dotted names are groups: `{"image.quality": 80}` is `{"image": {"quality": 80}}`.

    Only the names of settings are: keys within values, such as those of `network.connect_to`, have dots of their own.
    """
    found: dict[str, Any] = {}
    for key, value in keys.items():
        *groups, name = str(key).split(".")
        inner: dict[str, Any] = {name: value}
        for group in reversed(groups):
            inner = {group: inner}
        found = merged(found, inner)
    return found


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping over another, group by group; the name of a group's choice and its keys go together."""
    found = dict(below)
    for key, value in above.items():
        before = found.get(key)
        if isinstance(value, Mapping) and isinstance(before, str):
            before = {"name": before}
        if isinstance(value, str) and isinstance(before, Mapping) and key in group_choices():
            value = {"name": value}  # noqa: PLW2901
        found[key] = merged(before, value) if isinstance(value, Mapping) and isinstance(before, Mapping) else value
    return found


def _plain(value: Any) -> Any:
    """Values as YAML would have them: paths as text, tuples and sets as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value
