"""A run folder is checked before anything is written into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ray_downloader import pipeline
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ErrorKind, ExitCode, UserError
from ray_downloader.run_folder.guards import refuse_legacy_run, refuse_replaced_images
from ray_downloader.run_folder.identity import load_identity
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import begin_retry, finish_retry


def settings_of(root: Path, **values: Any) -> Settings:
    return Settings.from_config({"path_to_input": "list.txt", "path_to_output": root, **values})


def test_a_folder_of_the_legacy_project_is_refused_and_one_of_ours_is_not(tmp_path: Path) -> None:
    layout = RunLayout.of(settings_of(tmp_path))
    refuse_legacy_run(layout)
    (layout.urls / "server_name=a.example").mkdir(parents=True)
    with pytest.raises(UserError, match="path_to_input=") as refusal:
        refuse_legacy_run(layout)
    assert str(layout.urls) in str(refusal.value)


def test_errors_are_not_retried_over_results_of_tools(tmp_path: Path) -> None:
    layout = RunLayout.of(settings_of(tmp_path))
    refuse_replaced_images(settings_of(tmp_path), layout, ["resize"])
    refuse_replaced_images(settings_of(tmp_path, retry_errors=["dns"]), layout, [])
    with pytest.raises(UserError, match=r"resize, size_based.*undo=true"):
        refuse_replaced_images(settings_of(tmp_path, retry_errors=["dns"]), layout, ["resize", "size_based"])
    order = begin_retry(layout, (ErrorKind.DNS,), "2026-01-01T00:00:00Z")
    with pytest.raises(UserError, match="undo=true"):
        refuse_replaced_images(settings_of(tmp_path), layout, ["resize"])  # the order of an earlier call is not done
    finish_retry(layout, order)
    refuse_replaced_images(settings_of(tmp_path), layout, ["resize"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A run with a picture."""
    (tmp_path / "list.txt").write_text("http://a.org/1.jpg\n")
    call(tmp_path)
    return tmp_path


def call(root: Path, **given: Any) -> RunLayout:
    values = {"path_to_input": str(root / "list.txt"), "path_to_output": root / "out", "stages": ["partition"]}
    settings = Settings.from_config({**values, **given})
    assert pipeline.run(settings) == ExitCode.SETTLED
    return RunLayout.of(settings)


def store_picture(root: Path) -> None:
    folder = root / "out" / "images" / "server_name=pooled" / "partition_id=0"
    folder.mkdir(parents=True)
    (folder / "successes-1.arrows").touch()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"downloader_parameters": {"image_size": 64}}, "downloader_parameters.image_size=224 before, 64 now"),
        ({"image": {"encode": "png"}}, "image.encode=jpeg before, png now"),
        ({"image": {"quality": 80, "icc": "srgb"}}, "image.quality=95 before, 80 now; image.icc=ignore before, srgb"),
    ],
    ids=["size", "encoding", "two"],
)
def test_pictures_of_another_kind_are_refused_with_the_choices(root: Path, given: dict[str, Any], said: str) -> None:
    call(root, **given)
    call(root)  # nothing is stored yet
    store_picture(root)
    for _ in range(2):
        with pytest.raises(UserError, match=said) as refusal:
            call(root, **given)
    assert all(choice in str(refusal.value) for choice in ("continue with", "image.changed=new", "path_to_output"))
    call(root)
    image = {**given.get("image", {}), "changed": "new"}
    call(root, **{**given, "image": image})
    call(root, **given)  # from now on this is what the run stores
    with pytest.raises(UserError, match="pictures of another kind"):
        call(root)


def test_keys_that_do_not_change_a_stored_picture_may_change(root: Path) -> None:
    store_picture(root)
    call(root, image={"max_pixels": 1000, "min_size": 3, "extra_columns": ["exif"], "changed": "new", "name": "mine"})


def test_what_an_earlier_version_stored_is_known_from_its_settings(root: Path) -> None:
    store_picture(root)
    (root / "out" / "run.json").unlink()
    with pytest.raises(UserError, match="pictures of another kind"):
        call(root, image={"quality": 80})
    (root / "out" / "run.json").unlink(missing_ok=True)
    (root / "out" / "settings.json").write_text("{")
    identity, _ = load_identity(call(root, image={"quality": 80}))
    assert identity is not None and identity.pictures["image.quality"] == 80, "unknown, so it is taken as it is given"
