"""Which folders can be the base of a run, and what is noted about them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.run_folder.base_runs import (
    BasePlan,
    base_layouts,
    checksum_of_batches,
    load_base_plan,
    mark_taken,
    save_base_plan,
    stored_columns,
)
from ray_downloader.run_folder.identity import RunIdentity, picture_keys, save_identity
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.work_folder import WorkNote

PLAN = BasePlan(("old",), "aa", ((0, "images/x.parquet"),), {"a.example": 3, "b.example": 2}, 4, refetch="changed")


def settings(folder: Path, *base: Path, **groups: Any) -> Settings:
    given = {"path_to_input": "list.txt", "path_to_output": folder / "out", "base": [str(path) for path in base]}
    return Settings.from_config({**given, **groups})


def earlier_run(folder: Path, **groups: Any) -> Path:
    """A run folder that stores pictures as these settings say."""
    of = Settings.from_config({"path_to_input": "list.txt", "path_to_output": folder, **groups})
    layout = RunLayout.of(of)
    layout.images.mkdir(parents=True)
    layout.settings_file.write_text(of.to_json())
    save_identity(layout, RunIdentity(pictures=picture_keys(of)))
    return folder


def layout_of(tmp_path: Path) -> RunLayout:
    layout = RunLayout.of(settings(tmp_path))
    layout.urls.mkdir(parents=True)
    return layout


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    assert load_base_plan(layout) is None
    save_base_plan(layout, PLAN)
    assert load_base_plan(layout) == PLAN
    assert PLAN.total == 5
    mark_taken(layout, PLAN)
    assert load_base_plan(layout) == replace(PLAN, is_taken=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"runs": 3}'])
def test_a_damaged_plan_is_none(tmp_path: Path, text: str) -> None:
    layout = layout_of(tmp_path)
    layout.base_file.write_text(text)
    assert load_base_plan(layout) is None


def test_a_plan_is_for_the_same_runs_use_and_batches(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    assert checksum_of_batches(layout) == ""
    layout.batches_table.write_bytes(b"index")
    old = tmp_path / "old"
    given = settings(tmp_path, old)
    plan = BasePlan((str(old),), checksum_of_batches(layout))
    assert plan.is_for(given, layout)
    assert not plan.is_for(settings(tmp_path, old, tmp_path / "older"), layout)
    assert not replace(plan, refetch="changed").is_for(given, layout)
    layout.batches_table.write_bytes(b"another index")
    assert not plan.is_for(given, layout)


def test_how_a_picture_came_is_a_column_of_runs_with_a_base(tmp_path: Path) -> None:
    assert stored_columns(settings(tmp_path)) == ()
    assert stored_columns(settings(tmp_path, tmp_path / "old")) == ("reused",)


def test_a_run_that_stores_pictures_alike_can_be_a_base(tmp_path: Path) -> None:
    old, older = earlier_run(tmp_path / "old"), earlier_run(tmp_path / "older")
    assert [layout.root for layout in base_layouts(settings(tmp_path, old, older))] == [old, older]


def test_one_whose_pictures_are_others_is_refused_with_the_choices(tmp_path: Path) -> None:
    old = earlier_run(tmp_path / "old", image={"quality": 80})
    with pytest.raises(UserError, match=r"image\.quality=80 there, 95 here.*with image\.quality=80, or leave base out"):
        base_layouts(settings(tmp_path, old))


def test_what_is_no_earlier_run_is_named(tmp_path: Path) -> None:
    refused = {"gone": "is not a folder", "out": "is the path_to_output of this run", "empty": "is not a run folder"}
    for name, sentence in refused.items():
        if name != "gone":
            (tmp_path / name).mkdir()
        with pytest.raises(UserError, match=f"base={tmp_path / name} {sentence}"):
            base_layouts(settings(tmp_path, tmp_path / name))
    (tmp_path / "predecessor" / "urls" / "server_name=a").mkdir(parents=True)
    with pytest.raises(UserError, match="merge_base compares a run with it"):
        base_layouts(settings(tmp_path, tmp_path / "predecessor"))


def test_a_run_in_a_store_is_called_by_its_url_and_not_by_the_folder_in_which_it_was_read(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    WorkNote.new("s3://lab/run").save(tmp_path / "work")
    assert BasePlan((str(tmp_path / "work"), str(tmp_path))).places == ("s3://lab/run", str(tmp_path))
    with pytest.raises(UserError, match="base=s3://lab/run is not a run folder"):
        base_layouts(settings(tmp_path, tmp_path / "work"))


def test_settings_of_another_version_do_not_stand_in_the_way(tmp_path: Path) -> None:
    old = earlier_run(tmp_path / "old")
    document = json.loads((old / "settings.json").read_text())
    document["output_structure"] = {"images_folder": "pictures", "color": 1}
    (old / "settings.json").write_text(json.dumps(document))
    (old / "images").rename(old / "pictures")
    (layout,) = base_layouts(settings(tmp_path, old))
    assert layout.images == old / "pictures"


def test_what_pictures_are_is_said_by_the_run_or_else_by_its_settings(tmp_path: Path) -> None:
    """Settings are written anew by each call; a run that was continued with others has pictures as it began."""
    old = earlier_run(tmp_path / "old")
    document = json.loads((old / "settings.json").read_text())
    document["image"]["quality"] = 80
    (old / "settings.json").write_text(json.dumps(document))
    assert [layout.root for layout in base_layouts(settings(tmp_path, old))] == [old]
    (old / "run.json").unlink()
    with pytest.raises(UserError, match=r"image\.quality=80 there, 95 here"):
        base_layouts(settings(tmp_path, old))
    del document["image"]
    (old / "settings.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match=r"settings\.json does not say what its pictures are; leave base out"):
        base_layouts(settings(tmp_path, old))


def test_a_folder_that_lacks_pictures_or_settings_is_no_run(tmp_path: Path) -> None:
    old = earlier_run(tmp_path / "old")
    (old / "images").rmdir()
    with pytest.raises(UserError, match=r"it has no settings\.json or no images folder"):
        base_layouts(settings(tmp_path, old))
    (old / "images").mkdir()
    (old / "settings.json").write_text("{")
    with pytest.raises(UserError, match=r"it has no settings\.json or no images folder"):
        base_layouts(settings(tmp_path, old))


def test_columns_that_were_asked_for_are_stored_with_and_without_a_base(tmp_path: Path) -> None:
    image = {"extra_columns": ["exif"]}
    assert stored_columns(settings(tmp_path, image=image)) == ("exif",)
    assert stored_columns(settings(tmp_path, tmp_path / "old", image=image)) == ("exif", "reused")
