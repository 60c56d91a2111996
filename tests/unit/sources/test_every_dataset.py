"""Each dataset has its configuration, and says what it needs where the list is missing."""

from __future__ import annotations

import pytest

from ray_downloader.config.compose import CONF, compose_over, settings_from_hydra
from ray_downloader.errors import UserError
from ray_downloader.sources.base import SOURCES

pytestmark = pytest.mark.stage

NAMES = list(SOURCES)


def test_each_has_a_configuration() -> None:
    assert set(NAMES) == {path.stem for path in (CONF / "dataset").glob("*.yaml")}


@pytest.mark.parametrize("name", NAMES)
def test_a_dataset_can_be_chosen_by_name_and_a_licence_be_stated_for_it(name: str) -> None:
    given = {"path_to_input": "a", "path_to_output": "b", "dataset": name}
    settings = settings_from_hydra(compose_over(given, ["dataset.license=CC0"]))
    assert settings.dataset.name == name
    source = SOURCES.get(name)(settings.dataset)
    assert source.columns and source.stated_license == "CC0"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_list_is_asked_for_in_the_datasets_own_words(name: str) -> None:
    with pytest.raises(UserError, match=r"path_to_input is required: .*set path_to_input="):
        settings_from_hydra(compose_over({"path_to_output": "b", "dataset": name}))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "generic"])
def test_a_dataset_is_an_experiment_too(name: str) -> None:
    text = (CONF / "experiment" / f"{name}.yaml").read_text("utf-8")
    assert text.startswith("# @package _global_\n")
    config = compose_over({"path_to_input": "a", "path_to_output": "b"}, [f"+experiment={name}"])
    assert settings_from_hydra(config).dataset.name == name
