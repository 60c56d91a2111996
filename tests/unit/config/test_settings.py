"""Configuration mistakes are sentences that name key, value and choices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import TRANSIENT_KINDS, ErrorKind, UserError

REQUIRED = {"path_to_input": "list.txt", "path_to_output": "out"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "path_to_input is required"),
        ({**REQUIRED, "image": {"qualty": 3}}, "did you mean image.quality?"),
        ({**REQUIRED, "nonsense": 3}, "known keys: "),
        ({**REQUIRED, "image": {"quality": 101}}, "image.quality=101 is not valid"),
        ({**REQUIRED, "retry_errors": ["dsn"]}, "'dns'"),
        ({**REQUIRED, "network": {"connect_to": {"*": "nowhere"}}}, "write it as host:port"),
    ],
)
def test_a_mistake_is_named(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        Settings.from_config(values)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UserError) as caught:
        Settings.from_config({**REQUIRED, "image": {"quality": 0}, "mode": "walk"})
    assert len(str(caught.value).splitlines()) == 2


def test_settings_survive_the_file_that_other_processes_read(tmp_path: Path) -> None:
    settings = Settings.from_config(
        {**REQUIRED, "retry_errors": ["dns"], "network": {"connect_to": '{"*:80": "127.0.0.1:8080"}'}}
    )
    (tmp_path / "settings.json").write_text(settings.to_json(), "utf-8")
    assert Settings.load(tmp_path / "settings.json") == settings
    assert settings.retry_errors == (ErrorKind.DNS,)
    assert settings.network.connect_to == {"*:80": "127.0.0.1:8080"}


@pytest.mark.parametrize("given", ["transient", ["transient", "dns"], ["dns", "transient"]])
def test_all_kinds_that_may_pass_have_a_name(given: object) -> None:
    assert set(Settings.from_config({**REQUIRED, "retry_errors": given}).retry_errors) == TRANSIENT_KINDS


def test_one_kind_of_error_may_be_named_alone() -> None:
    assert Settings.from_config({**REQUIRED, "retry_errors": "dns"}).retry_errors == (ErrorKind.DNS,)


@pytest.mark.parametrize(("text", "sentence"), [(None, "does not exist"), ("{", "is not a settings file")])
def test_a_missing_or_broken_settings_file_is_named(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=sentence):
        Settings.load(path)


def test_keys_of_another_version_in_a_settings_file_are_left_out_and_values_stay(tmp_path: Path) -> None:
    given = {
        "path_to_input": "list.txt",
        "path_to_output": "out",
        "new_in_9": 1,
        "image": {"quality": 80, "new_in_9": {"a": 1}},
        "dataset": {"columns": {"identifier": "my_url"}},
    }
    (tmp_path / "settings.json").write_text(json.dumps(given))
    settings = Settings.load(tmp_path / "settings.json")
    assert settings.image.quality == 80 and settings.dataset.columns == {"identifier": ("my_url",)}
    with pytest.raises(UserError, match="new_in_9"):
        Settings.from_config(given)
    for text in ("[]", "3", "{", ""):
        (tmp_path / "settings.json").write_text(text)
        with pytest.raises(UserError, match="is not a settings file"):
            Settings.load(tmp_path / "settings.json")
