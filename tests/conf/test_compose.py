"""Every experiment and every option of every group composes and validates."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from ray_downloader.config.compose import CONF, settings_from_file, settings_from_hydra
from ray_downloader.config.settings import Settings
from ray_downloader.errors import TRANSIENT_KINDS, UserError
from ray_downloader.sources.base import SOURCES

pytestmark = pytest.mark.stage

REQUIRED = ["path_to_input=list.txt", "path_to_output=out"]
OPTIONS = sorted(
    f"{folder.name}={option.stem}"
    for folder in CONF.iterdir()
    if folder.is_dir() and folder.name not in {"dataset", "experiment", "tool"}
    for option in folder.glob("*.yaml")
)
#: Those of datasets, and the datasets themselves, have their tests in `tests/unit/sources/test_every_dataset.py`.
EXPERIMENTS = sorted({path.stem for path in (CONF / "experiment").glob("*.yaml")} - set(SOURCES))


def composed(*overrides: str) -> Settings:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return settings_from_hydra(compose("config", overrides=[*REQUIRED, *overrides]))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_validates_and_carries_its_name(option: str) -> None:
    group, name = option.split("=")
    assert getattr(composed(option), group).name == name


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_validates(experiment: str) -> None:
    assert isinstance(composed(f"+experiment={experiment}"), Settings)


@pytest.mark.parametrize("override", ["retry_errors=transient", "retry_errors=[dns,transient]"])
def test_all_errors_that_may_pass_can_be_named_on_the_command_line(override: str) -> None:
    assert set(composed(override).retry_errors) == TRANSIENT_KINDS


def test_the_yaml_defaults_are_the_models_defaults() -> None:
    assert composed().model_dump() == Settings(path_to_input="list.txt", path_to_output=Path("out")).model_dump() | {
        "dataset": composed().dataset.model_dump()
    }


def test_a_yaml_file_is_read_over_the_defaults_and_may_name_groups(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("path_to_input: a.txt\npath_to_output: out\ndataset: gbif\nimage: {quality: 80}\n", "utf-8")
    settings = settings_from_file(path)
    assert (settings.dataset.name, settings.image.quality, settings.image.encode) == ("gbif", 80, "jpeg")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path_to_output: out\n", "path_to_input is required"),
        ("path_to_input: a.txt\npath_to_output: out\nimagesize: 3\n", "imagesize is not a known key"),
        ("- a\n- b\n", "has no keys"),
        ("a: [1,\n", "is not a YAML file"),
    ],
)
def test_a_bad_yaml_file_gets_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=sentence):
        settings_from_file(path)
