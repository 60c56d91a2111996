"""A run folder is checked before anything is written into it, and `reset` removes what it says, once per submission."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.guards import (
    apply_reset,
    refuse_another_list,
    refuse_legacy_run,
    refuse_replaced_images,
)
from ray_downloader.run_folder.layout import RunLayout

FIRST = {"SLURM_JOB_ID": "77"}
REQUEUED = {"SLURM_JOB_ID": "77", "SLURM_RESTART_COUNT": "1"}
ANOTHER = {"SLURM_JOB_ID": "78"}


def run_folder(folder: Path, reset: str) -> tuple[Settings, RunLayout]:
    settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": folder, "reset": reset})
    layout = RunLayout.of(settings)
    fill(layout)
    return settings, layout


def fill(layout: RunLayout) -> None:
    for path in (
        layout.batches_table, layout.images / "image", layout.servers_state_file, layout.orders_file,
        layout.robots / "a.json", layout.profiles_table,
    ):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", "utf-8")


@pytest.mark.parametrize("reset", ["batched", "profiled"])
def test_a_requeued_job_does_not_wipe_itself(tmp_path: Path, reset: str) -> None:
    settings, layout = run_folder(tmp_path, reset)
    apply_reset(settings, layout, (), FIRST)
    assert not layout.servers_state_file.exists()
    fill(layout)
    apply_reset(settings, layout, (), REQUEUED)
    assert layout.servers_state_file.exists() and layout.batches_table.exists()


@pytest.mark.parametrize("environ", [{}, FIRST, ANOTHER, {**ANOTHER, "SLURM_RESTART_COUNT": "1"}])
def test_another_submission_resets_again(tmp_path: Path, environ: dict[str, str]) -> None:
    settings, layout = run_folder(tmp_path, "batched")
    apply_reset(settings, layout, (), FIRST)
    fill(layout)
    apply_reset(settings, layout, (), environ)
    assert not layout.batches_table.exists() and not layout.images.exists()


def test_profiling_anew_keeps_batches_and_orders(tmp_path: Path) -> None:
    settings, layout = run_folder(tmp_path, "profiled")
    apply_reset(settings, layout, (), {})
    assert layout.batches_table.exists() and layout.orders_file.exists()
    assert not any(path.exists() for path in (layout.profiles_table, layout.servers_state_file, layout.robots))


def settings_of(root: Path, **values: object) -> Settings:
    return Settings.from_config({"path_to_input": "list.txt", "path_to_output": root, **values})


def a_run(root: Path) -> RunLayout:
    """A folder in which a run has got as far as it can."""
    layout = RunLayout.of(settings_of(root))
    fill(layout)
    for file in (layout.summary_file, layout.checkpoint_file):
        write_text(file, "{}")
    write_text(layout.settings_file, settings_of(root).to_json())
    write_text(layout.ignored_table, "server_name\n")
    write_text(layout.logs / "run.log", "")
    write_text(layout.tools / "resize" / "table.csv", "")
    write_text(layout.tools / "stats" / "table.csv", "")
    return layout


def test_a_folder_of_the_legacy_project_is_refused_and_one_of_ours_is_not(tmp_path: Path) -> None:
    layout = a_run(tmp_path)
    refuse_legacy_run(layout)
    (layout.urls / "server_name=a.example").mkdir()
    with pytest.raises(UserError, match="path_to_input=") as refusal:
        refuse_legacy_run(layout)
    assert str(layout.urls) in str(refusal.value)


def test_without_reset_nothing_is_removed(tmp_path: Path) -> None:
    layout = a_run(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    apply_reset(settings_of(tmp_path), layout, [layout.tools / "resize"], {})
    assert sorted(tmp_path.rglob("*")) == before


def test_starting_over_keeps_the_users_list_logs_and_tables_of_tools(tmp_path: Path) -> None:
    layout = a_run(tmp_path)
    apply_reset(settings_of(tmp_path, reset="batched"), layout, [layout.tools / "resize"], {})
    left = {path.name for path in tmp_path.iterdir()} - {layout.reset_file.name, layout.reset_file.parent.name}
    assert left | {"logs"} == {"ignored.csv", "logs", "tools"}
    assert (layout.logs / "run.log").exists()
    assert [path.name for path in layout.tools.iterdir()] == ["stats"]


def test_reset_of_an_empty_folder_is_nothing_to_do(tmp_path: Path) -> None:
    layout = RunLayout.of(settings_of(tmp_path))
    apply_reset(settings_of(tmp_path, reset="batched"), layout, [], {})
    assert not layout.urls.exists()


@pytest.mark.parametrize("other", [{"path_to_input": "other.txt"}, {"dataset": {"name": "gbif"}}])
def test_a_folder_with_batches_of_one_list_is_not_continued_with_another(
    tmp_path: Path, other: dict[str, object]
) -> None:
    layout = a_run(tmp_path)
    refuse_another_list(settings_of(tmp_path), layout)
    refuse_another_list(settings_of(tmp_path, image={"quality": 80}), layout)
    with pytest.raises(UserError, match=next(iter(other))):
        refuse_another_list(settings_of(tmp_path, **other), layout)


@pytest.mark.parametrize("missing", ["settings_file", "batches_table"])
def test_a_run_that_has_no_batches_yet_may_still_change_its_list(tmp_path: Path, missing: str) -> None:
    layout = a_run(tmp_path)
    getattr(layout, missing).unlink()
    refuse_another_list(settings_of(tmp_path, path_to_input="other.txt"), layout)


def test_errors_are_not_retried_over_results_of_tools(tmp_path: Path) -> None:
    layout = RunLayout.of(settings_of(tmp_path))
    refuse_replaced_images(settings_of(tmp_path), layout, ["resize"])
    refuse_replaced_images(settings_of(tmp_path, retry_errors=["dns"]), layout, [])
    with pytest.raises(UserError, match=r"resize, size_based.*undo=true"):
        refuse_replaced_images(settings_of(tmp_path, retry_errors=["dns"]), layout, ["resize", "size_based"])
