"""A URL as `path_to_output` names one place, or gets one sentence before anything is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.config.store_url import StoreUrl, is_store_url
from ray_downloader.errors import UserError


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("s3://bucket/a/run", "s3://bucket/a/run"),
        ("s3://bucket/a/run/", "s3://bucket/a/run"),
        ("S3://bucket/Run", "s3://bucket/Run"),
        ("s3a://bucket/run", "s3://bucket/run"),
        ("gs://my_bucket.example/run", "gs://my_bucket.example/run"),
        ("gcs://bucket/run", "gs://bucket/run"),
        ("s3://bucket", "s3://bucket"),
        (" s3://bucket/my run=1 ", "s3://bucket/my run=1"),
    ],
)
def test_spellings_of_one_place_are_one_place(text: str, same_as: str) -> None:
    assert is_store_url(text)
    url = StoreUrl.parse(text)
    assert str(url) == same_as
    assert url.work_folder(Path("/w")) == StoreUrl.parse(same_as).work_folder(Path("/w"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("s3:/bucket/run", "write two slashes, s3://bucket/run"),
        ("s3:bucket/run", "write two slashes, s3://bucket/run"),
        ("GS:/bucket/run", "write two slashes"),
        ("ftp://host/run", "s3:// or gs://"),
        ("https://bucket.s3.amazonaws.com/run", "s3:// or gs://"),
        ("az://container/run", "s3:// or gs://"),
        ("file:///data/run", "write the path itself, /data/run"),
        ("s3://", "name of a bucket"),
        ("s3:///run", "name of a bucket"),
        ("s3://Bucket/run", "name of a bucket"),
        ("s3://b/run", "name of a bucket"),
        ("s3://bucket:9000/run", "name of a bucket"),
        ("s3://bucket/a//run", "empty"),
        ("s3://bucket/../run", "empty names, . and .."),
        ("s3://bucket/run?versionId=1", "characters"),
        ("s3://bucket/run\n", None),
        ("s3://bucket/r\nun", "characters"),
    ],
)
def test_what_names_no_place_gets_one_sentence(text: str, sentence: str | None) -> None:
    assert is_store_url(text)
    if sentence is None:
        assert str(StoreUrl.parse(text)) == "s3://bucket/run"
        return
    with pytest.raises(UserError, match=sentence):
        StoreUrl.parse(text)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UserError) as refused:
        StoreUrl.parse("s3://AKIAKEY:verysecret@bucket/run")
    assert "verysecret" not in str(refused.value)
    assert "AKIAKEY" not in str(refused.value)


@pytest.mark.parametrize("path", ["out", "/data/out", "a:b", "./s3", "C:/x", "s3", "", None, Path("out")])
def test_paths_are_no_urls(path: object) -> None:
    assert not is_store_url(path)


def test_the_settings_have_the_work_folder_and_files_do_not_have_the_place() -> None:
    values = {"path_to_input": "list.txt", "path_to_output": "s3://bucket/a/run"}
    settings = Settings.from_config({**values, "cluster": {"work_folder": "/shared/me"}})
    assert settings.store == StoreUrl("s3", "bucket", "a/run")
    assert settings.path_to_output.is_relative_to("/shared/me")
    assert settings.path_to_output.name == "run", "reset=batched is confirmed with the name of the run"
    assert settings.model_copy(update={"mode": "plan"}).store == settings.store
    assert "bucket" not in settings.to_json(), "a copy of the folder is a run of its own"
    assert Settings.from_config(json.loads(settings.to_json())).store is None
    scratch = Settings.from_config({**values, "cluster": {"scratch": "/local"}})
    assert scratch.path_to_output.is_relative_to("/local")
    other = Settings.from_config({**values, "path_to_output": "s3://bucket/b/run"})
    assert len({settings.path_to_output, scratch.path_to_output, other.path_to_output}) == 3


def test_a_bad_url_is_refused_with_the_key() -> None:
    with pytest.raises(UserError, match="path_to_output=ftp://x/y: "):
        Settings.from_config({"path_to_input": "list.txt", "path_to_output": "ftp://x/y"})
