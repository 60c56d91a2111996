"""What a Python caller passes: a file, a mapping, keywords, nested or dotted, one over the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ray_downloader import UserError, download_images
from ray_downloader.config.contact import recommend_contact, require_contact
from ray_downloader.config.given import given_settings
from tests.unit.config.test_legacy_yaml import README

BASE = {"path_to_input": "urls.txt", "path_to_output": Path("out")}


@pytest.mark.parametrize(
    ("config", "overrides", "found"),
    [
        ({**BASE, "image.quality": 80}, {}, ("jpeg", 80)),
        ({**BASE, "image": {"quality": 80}}, {}, ("jpeg", 80)),
        (BASE, {"image": "png"}, ("png", 95)),
        ({**BASE, "image": "png"}, {"image": {"quality": 80}}, ("png", 80)),
        ({**BASE, "image": {"quality": 80}}, {"image": "webp"}, ("webp", 80)),
        ({**BASE, "image.quality": 80}, {"image.quality": 70}, ("jpeg", 70)),
        (None, {**BASE, "image.quality": 60}, ("jpeg", 60)),
    ],
    ids=["dotted", "nested", "group", "over group", "group over", "over", "keywords"],
)
def test_keys_go_over_keys(config: Any, overrides: dict[str, Any], found: tuple[str, int]) -> None:
    image = given_settings(config, overrides)[0].image
    assert (image.name, image.quality) == found


def test_a_file_may_be_overridden_and_an_experiment_added(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("path_to_input: a.txt\npath_to_output: out\npoliteness: {contact: a@b.org}\n", "utf-8")
    settings, rule = given_settings(str(path), {"experiment": "gbif", "retry_errors": ("dns", "timeout")})
    assert (settings.dataset.name, settings.politeness.contact) == ("gbif", "a@b.org")
    assert len(settings.retry_errors) == 2
    assert rule is require_contact


def test_keys_within_values_keep_their_dots() -> None:
    mapped = {"photos.museum.org:80": "127.0.0.1:8080"}
    assert given_settings({**BASE, "network": {"connect_to": mapped}}, {})[0].network.connect_to == mapped
    assert given_settings({**BASE, "network.connect_to": mapped}, {})[0].network.connect_to == mapped


def test_a_legacy_file_is_still_one(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(README, "utf-8")
    assert given_settings(path, {})[1] is recommend_contact


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (({"path_to_output": "out"},), "path_to_input is required"),
        (({**BASE, "contact": "a@b"},), "did you mean politeness.contact?"),
        (({**BASE, "image.quality": "high"},), "image.quality=high is not valid: write a whole number"),
        (({**BASE, "experiment": "nope"},), "experiment=nope does not exist; choose from auto"),
        (({**BASE, "dataset": "gbiv"},), "dataset=gbiv does not exist; did you mean gbif"),
        (("nowhere.yaml",), "nowhere.yaml does not exist"),
        ((3,), "name a YAML file or pass a mapping of keys, not int"),
    ],
    ids=["missing", "place", "value", "experiment", "choice", "file", "type"],
)
def test_mistakes_are_typed_exceptions_with_one_sentence(arguments: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(UserError, match=r".") as refused:
        download_images(*arguments)
    assert sentence in str(refused.value)
    assert refused.value.exit_code == 2
