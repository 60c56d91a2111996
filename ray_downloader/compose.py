"""From `conf/` and a YAML file or Hydra's composed configuration to validated settings. Hydra stays at the entry."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ray_downloader.errors import UserError
from ray_downloader.settings import Settings

_PACKAGE = Path(__file__).resolve().parent
#: In a wheel `conf/` lies in the package, in a source checkout beside it.
CONF = next(folder for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if folder.is_dir())


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
    if "path_to_input" not in values:
        raise UserError(str(config.dataset.input_help))
    return Settings.from_config(values)


def settings_from_file(path: Path, overrides: Iterable[str] = ()) -> Settings:
    """Settings of a YAML file: its keys over the defaults; a group may be named (`dataset: gbif`) or spelled out.

    Raises:
        UserError: There is no such file, it is not YAML, or it does not validate.
    """
    try:
        given = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; name a YAML file with path_to_input and path_to_output") from None
    except Exception as error:
        raise UserError(f"{path} is not a YAML file: {str(error).splitlines()[0]}") from None
    if not isinstance(given, dict):
        raise UserError(f"{path} holds no keys; it needs at least path_to_input and path_to_output")
    keys = [str(key) for key, value in given.items() if isinstance(value, str)]
    groups = [f"{key}={given[key]}" for key in keys if (CONF / key).is_dir()]
    named = {group.partition("=")[0] for group in groups}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[*groups, *overrides])
    OmegaConf.set_struct(config, False)
    merged = OmegaConf.merge(config, {key: value for key, value in given.items() if key not in named})
    assert isinstance(merged, DictConfig)
    return settings_from_hydra(merged)
