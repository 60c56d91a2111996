"""The configuration under the keys of the legacy project."""

from __future__ import annotations

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.tools import ToolConfig
from tests.support.stored import StoredRun
from tests.unit.tools.legacy.steps import config


def test_the_configuration_is_read_by_the_older_keys(run: StoredRun) -> None:
    cfg = config(run)
    assert cfg["tools_parameters"]["new_resize_size"] == 224
    assert cfg["downloader_parameters"]["batch_size"] == 10_000
    assert cfg["path_to_output_folder"] == str(run.root)
    assert cfg.get_folder("tools_folder") == str(run.root / "tools")
    assert cfg.get("nothing", 3) == 3


def test_options_are_read_where_the_legacy_project_has_keys_of_ones_own(run: StoredRun) -> None:
    parameters = {"options": {"image_crop_path": "/crops", "path_to_input": "not this one"}}
    values = {"path_to_input": "list", "path_to_output": run.root, "tools_parameters": parameters}
    cfg = ToolConfig(Settings.from_config(values), "config.yaml")
    assert (cfg["image_crop_path"], cfg["tools_parameters"]["image_crop_path"]) == ("/crops", "/crops")
    assert cfg["path_to_input"] == "list"


def test_folders_are_below_the_run_and_the_run_has_two_names(run: StoredRun) -> None:
    cfg = config(run)
    assert cfg.get_folder("path_to_output") == cfg.get_folder("path_to_output_folder") == str(run.root)
    assert cfg.get_folder("inner_checkpoint_file") == str(run.root / "checkpoint.json")
    with pytest.raises(AttributeError):
        cfg.get_folder("no_such_folder")


def test_what_is_not_there_is_none_unless_another_default_is_given(run: StoredRun) -> None:
    cfg = config(run)
    assert cfg.get("nothing") is None
    assert cfg.get("path_to_output") == str(run.root)
    with pytest.raises(KeyError):
        cfg["nothing"]


def test_the_first_runner_of_one_is_the_default(run: StoredRun) -> None:
    cfg = ToolConfig(run.settings, "config.yaml")
    assert (cfg.rank, cfg.world_size) == (0, 1)
