"""What a tool is told by the user, and what it takes from the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ray_downloader.config.compose import compose_over
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.tools.configuration import flat_keys, given_keys, tool_context
from ray_downloader.tools.context import ToolContext


def _context(given: dict[str, object]) -> ToolContext:
    composed = OmegaConf.to_container(compose_over(given))
    assert isinstance(composed, dict)
    return tool_context("resize", {str(key): value for key, value in composed.items()}, flat_keys(given))


def _run(root: Path) -> None:
    run = {
        "path_to_input": "a",
        "path_to_output": root,
        "image": {"encode": "webp"},
        "output_structure": {"images_folder": "pictures"},
    }
    (root / "settings.json").write_text(Settings.from_config(run).to_json())


def test_the_runs_own_settings_hold_where_nothing_is_given(tmp_path: Path) -> None:
    _run(tmp_path)
    context = _context({"path_to_output": str(tmp_path), "tools_parameters": {"new_resize_size": 32}})
    assert context.settings.image.encode == "webp"
    assert context.layout.images == tmp_path / "pictures"
    assert context.settings.path_to_input == "a"
    assert context.parameters.new_resize_size == 32
    assert not context.is_format_given


def test_what_is_given_counts_key_by_key(tmp_path: Path) -> None:
    _run(tmp_path)
    quality = _context({"path_to_output": str(tmp_path), "image": {"quality": 50}})
    assert (quality.settings.image.encode, quality.settings.image.quality) == ("webp", 50)
    assert not quality.is_format_given
    group = _context({"path_to_output": str(tmp_path), "image": "png"})
    assert group.settings.image.encode == "png"
    assert group.is_format_given


def test_a_folder_without_settings_is_read_by_what_is_given(tmp_path: Path) -> None:
    context = _context({"path_to_output": str(tmp_path), "output_structure": {"images_folder": "downloaded_images"}})
    assert context.layout.images == tmp_path / "downloaded_images"
    assert context.settings.path_to_input == "", "a tool reads no list"


@pytest.mark.parametrize(
    ("given", "sentence"), [({}, "path_to_output is required"), ({"path_to_output": "/no"}, "/no is not")]
)
def test_a_run_folder_has_to_be_named(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        _context(given)


def test_keys_of_overrides_are_told_apart() -> None:
    assert given_keys(["image=png", "+image.quality=80", "tools_parameters.modules=[a.py]", "~x"]) == {
        "image", "image.quality", "tools_parameters.modules", "x",
    }  # fmt: skip


def test_a_group_that_an_earlier_version_did_not_have_is_made_of_what_is_given(tmp_path: Path) -> None:
    _run(tmp_path)
    values = json.loads((tmp_path / "settings.json").read_text("utf-8"))
    del values["image"]
    (tmp_path / "settings.json").write_text(json.dumps(values))
    assert _context({"path_to_output": str(tmp_path), "image": {"quality": 50}}).settings.image.quality == 50


def test_a_file_that_is_no_settings_is_named(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(UserError, match=r"settings\.json is not a settings file"):
        _context({"path_to_output": str(tmp_path)})


def test_a_tools_own_groups_are_never_the_runs(tmp_path: Path) -> None:
    _run(tmp_path)
    values = json.loads((tmp_path / "settings.json").read_text("utf-8"))
    values["tools_parameters"]["threshold_size"] = 7
    (tmp_path / "settings.json").write_text(json.dumps(values))
    assert _context({"path_to_output": str(tmp_path)}).parameters.threshold_size == 224


def test_keys_of_nested_mappings_are_dotted_and_an_empty_group_is_a_key() -> None:
    assert flat_keys({"a": 1, "b": {"c": {"d": 2}, "e": {}}}) == {"a", "b.c.d", "b.e"}


def test_a_key_deep_in_a_group_that_the_run_does_not_have_is_set(tmp_path: Path) -> None:
    _run(tmp_path)
    values = json.loads((tmp_path / "settings.json").read_text("utf-8"))
    del values["dataset"]
    (tmp_path / "settings.json").write_text(json.dumps(values))
    composed = {"path_to_output": str(tmp_path), "dataset": {"columns": {"license": ["rights"]}}}
    context = tool_context("resize", composed, {"dataset.columns.license"})
    assert context.settings.dataset.columns == {"license": ("rights",)}


def test_a_key_deep_in_a_group_replaces_that_one_and_the_runs_others_stay(tmp_path: Path) -> None:
    _run(tmp_path)
    values = json.loads((tmp_path / "settings.json").read_text("utf-8"))
    values["dataset"]["columns"] = {"title": ["caption"], "license": ["cc"]}
    (tmp_path / "settings.json").write_text(json.dumps(values))
    composed = {"path_to_output": str(tmp_path), "dataset": {"columns": {"license": ["rights"]}}}
    context = tool_context("resize", composed, {"dataset.columns.license"})
    assert context.settings.dataset.columns == {"title": ("caption",), "license": ("rights",)}
