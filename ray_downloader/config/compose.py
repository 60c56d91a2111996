"""From `conf/` and a YAML file, or Hydra's composed configuration, to validated settings. Hydra stays at the entry."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ray_downloader.config.command_line import first_sentences
from ray_downloader.config.legacy_yaml import translate
from ray_downloader.config.plain_values import as_hydra_reads
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError

_log = logging.getLogger(__name__)

_PACKAGE = Path(__file__).resolve().parents[1]
#: In a wheel `conf/` is in the package, in a source checkout beside it.
CONF = next(folder for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if folder.is_dir())


def group_choices() -> dict[str, list[str]]:
    """Choices by group of `conf/`, among them `experiment`."""
    folders = sorted(folder for folder in CONF.iterdir() if folder.is_dir())
    return {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}


def settings_from_hydra(config: DictConfig) -> Settings:
    """Validate what Hydra composed.

    Raises:
        UserError: A key is unknown or missing, or a value is not allowed.
    """
    try:
        container = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"the configuration cannot be resolved: {str(error).splitlines()[0]}") from None
    assert isinstance(container, dict)
    values = {str(key): value for key, value in container.items() if value != "???"}
    if not str(values.get("path_to_input", "")).strip():
        raise UserError(str(config.dataset.input_help))
    return Settings.from_config(values)


def settings_from_file(path: Path, overrides: Iterable[str] = ()) -> Settings:
    """Settings from a YAML file: its keys over the defaults; a group may be named (`dataset: gbif`) or spelled out.

    Raises:
        UserError: The file does not exist, is not YAML or does not validate.
    """
    return settings_from_hydra(compose_over(keys_of_file(path), overrides))


def keys_of_file(path: Path) -> dict[str, Any]:
    """The keys of a YAML file, translated to ours if it is a legacy one.

    Raises:
        UserError: The file does not exist, or is not YAML with keys.
    """
    return translate(read_keys(path), _log.warning)


def read_keys(path: Path) -> dict[str, Any]:
    """The keys of a YAML file as they are.

    Raises:
        UserError: The file does not exist, or is not YAML with keys.
    """
    try:
        given = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; name a YAML file with path_to_input and path_to_output") from None
    except Exception as error:
        raise UserError(f"{path} is not a YAML file: {str(error).splitlines()[0]}") from None
    if not isinstance(given, dict):
        raise UserError(f"{path} has no keys; it needs at least path_to_input and path_to_output")
    return {str(key): value for key, value in given.items()}


def compose_over(given: Mapping[str, Any], overrides: Iterable[str] = ()) -> DictConfig:
    """The defaults of `conf/`, with given keys over them.

    Raises:
        UserError: A group does not have the named choice.
    """
    groups = dict(_named_groups(given))
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            chosen = [f"{key}={name}" for key, name in groups.items()]
            config = compose("config", overrides=as_hydra_reads([*chosen, *overrides]))
    except HydraException as error:
        raise UserError(first_sentences(error)) from None
    OmegaConf.set_struct(config, False)
    merged = OmegaConf.merge(
        config, {key: value for key, value in given.items() if not isinstance(value, str) or key not in groups}
    )
    assert isinstance(merged, DictConfig)
    return merged


def _named_groups(given: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Groups that are named: `dataset: gbif` or `dataset: {name: gbif, ...}`; the latter sets further keys as well."""
    for key, value in given.items():
        name = value.get("name") if isinstance(value, Mapping) else value
        if isinstance(name, str) and (CONF / key).is_dir():
            yield key, name
