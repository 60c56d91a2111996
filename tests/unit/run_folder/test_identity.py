"""`run.json`: what a run is, written and read by this and other versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import OutputStructure, Settings
from ray_downloader.run_folder.identity import (
    UNKNOWN_LIST,
    ListIdentity,
    RunIdentity,
    batch_keys,
    changed_keys,
    cut_as_before,
    earlier_pictures,
    load_identity,
    picture_keys,
    picture_note,
    row_keys,
    save_identity,
    with_list,
)
from ray_downloader.run_folder.layout import RunLayout

LISTED = ListIdentity("aa", 5, 2, "list.txt", "stamp")


def settings(**groups: Any) -> Settings:
    return Settings.from_config({"path_to_input": "list.txt", "path_to_output": "out", **groups})


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    return RunLayout(tmp_path, OutputStructure())


def test_what_is_written_is_read_again(layout: RunLayout) -> None:
    identity = RunIdentity(LISTED, {"dataset.name": "gbif"}, {"image.quality": 95}, {"batch_size": 10}, {"color": 1})
    save_identity(layout, identity)
    assert load_identity(layout) == (identity, "")
    text = layout.run_file.read_text("utf-8")
    written = json.loads(text)
    assert text == json.dumps(written, indent=2) + "\n"
    assert list(written) == ["color", "version", "list", "rows", "pictures", "batches"]
    assert written["version"] == 1


def test_what_another_version_wrote_is_kept_and_what_it_left_out_is_unknown() -> None:
    found = RunIdentity.parse('{"version": 7, "list": {"sha256": "aa", "color": 3}, "color": 1}')
    assert found == RunIdentity(ListIdentity("aa"), others={"color": 1})
    assert json.loads(found.to_json())["version"] == 1


def test_nothing_is_known_of_a_list_that_was_never_read() -> None:
    assert ListIdentity(sha256="", size_bytes=0, rows=0, path="", stamp="") == UNKNOWN_LIST
    assert json.loads(RunIdentity().to_json()) == {
        "version": 1, "rows": {}, "pictures": {}, "batches": {},
        "list": {"sha256": "", "size_bytes": 0, "rows": 0, "path": "", "stamp": ""},
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"list": 3}', '{"list": {}, "rows": 3}'])
def test_what_is_no_such_file_is_named(layout: RunLayout, text: str) -> None:
    layout.run_file.write_text(text)
    identity, why = load_identity(layout)
    assert identity is None
    assert why.startswith(f"{layout.run_file} is damaged (")
    layout.run_file.unlink()
    assert load_identity(layout) == (None, f"{layout.run_file} does not exist")


def test_the_keys_of_rows_are_those_that_choose_them() -> None:
    keys = row_keys(settings())
    assert keys["dataset.name"] == "generic"
    assert keys["downloader_parameters.header"] is None
    for header in (True, False):
        given = settings(downloader_parameters={"header": header})
        assert row_keys(given)["downloader_parameters.header"] is header
    of_http = row_keys(settings(downloader_parameters={"header": "X-Key: secret"}))
    assert of_http["downloader_parameters.header"] is None, "a header of requests chooses no rows, and may be a secret"
    assert not {"dataset.keep", "dataset.checksum", "dataset.input_help"} & keys.keys()


def test_the_keys_of_pictures_are_those_that_make_them() -> None:
    keys = picture_keys(settings())
    assert (keys["downloader_parameters.image_size"], keys["image.quality"]) == (224, 95)
    unimportant = ("name", "changed", "max_pixels", "min_size", "max_aspect_ratio", "extra_columns", "placeholders")
    assert not {f"image.{key}" for key in unimportant} & keys.keys()
    assert json.loads(picture_note(settings())) == keys
    assert picture_note(settings()) == json.dumps(keys, sort_keys=True)


def test_the_keys_of_batches_are_those_that_cut_them() -> None:
    given = settings(downloader_parameters={"batch_size": 50, "pool_below": 5})
    known = batch_keys(given, 7)
    assert known == {"batch_size": 50, "pool_below": 5, "accepted_rows": 7}
    parameters = cut_as_before(settings(), {**known, "extended": True}).downloader_parameters
    assert (parameters.batch_size, parameters.pool_below) == (50, 5)


def test_only_keys_of_both_can_have_changed() -> None:
    assert changed_keys({"a": 1, "b": 2, "old": 3}, {"a": 1, "b": 5, "new": 3}) == {"b": (2, 5)}


def test_a_run_with_another_list_keeps_what_else_is_known_of_it() -> None:
    before = RunIdentity(ListIdentity(), {"x": 1}, {"image.quality": 95}, {"batch_size": 10}, {"color": 1})
    now = with_list(before, LISTED, settings())
    assert (now.listed, now.rows) == (LISTED, row_keys(settings()))
    assert (now.pictures, now.batches, now.others) == (before.pictures, before.batches, before.others)
    assert with_list(None, LISTED, settings()) == RunIdentity(LISTED, row_keys(settings()))


def test_a_note_about_pictures_is_their_keys_in_a_fixed_order() -> None:
    note = picture_note(settings())
    assert json.loads(note) == picture_keys(settings())
    assert list(json.loads(note)) == sorted(picture_keys(settings()))


def test_pictures_of_a_run_without_a_note_are_known_by_its_settings(layout: RunLayout) -> None:
    assert earlier_pictures(layout) == {}
    document = {"image": {"quality": 90, "encode": "webp"}, "downloader_parameters": {"image_size": 99, "other": 1}}
    layout.settings_file.write_text(json.dumps(document))
    assert earlier_pictures(layout) == {
        "image.quality": 90, "image.encode": "webp", "downloader_parameters.image_size": 99,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"image": 3, "downloader_parameters": {"image_size": 1}}', '{"image": {}}']
)
def test_settings_that_do_not_say_what_pictures_are_say_nothing(layout: RunLayout, text: str) -> None:
    layout.settings_file.write_text(text)
    assert earlier_pictures(layout) == {}


def test_rows_are_cut_again_as_they_were_and_as_far_as_that_is_known() -> None:
    now = settings(downloader_parameters={"batch_size": 10, "pool_below": 20, "image_size": 64})
    again = cut_as_before(now, {"batch_size": 7, "accepted_rows": 3, "extended": True}).downloader_parameters
    assert (again.batch_size, again.pool_below, again.image_size) == (7, 20, 64)
    assert cut_as_before(now, {}) == now
    assert batch_keys(now, 3) == {"batch_size": 10, "pool_below": 20, "accepted_rows": 3}


def test_a_header_of_http_is_none_of_the_list() -> None:
    for header, key in ((True, True), (False, False), ("X-A: b", None)):
        assert row_keys(settings(downloader_parameters={"header": header}))["downloader_parameters.header"] is key
