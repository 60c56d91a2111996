"""A run folder is checked before anything is written into it, and `reset` removes what it names and no more."""

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


def settings(root: Path, **values: object) -> Settings:
    return Settings.from_config({"path_to_input": "list.txt", "path_to_output": root, **values})


def layout(root: Path) -> RunLayout:
    return RunLayout.of(settings(root))


def a_run(root: Path, **values: object) -> RunLayout:
    """A folder in which a run with these settings has got as far as it can."""
    run = layout(root)
    for file in (run.batches_table, run.profiles_table, run.summary_file, run.checkpoint_file, run.servers_state_file):
        write_text(file, "{}")
    write_text(run.settings_file, settings(root, **values).to_json())
    write_text(run.batch_folder("a.example", 0) / "completed", "{}")
    write_text(run.ignored_table, "server_name\n")
    write_text(run.logs / "run.log", "")
    write_text(run.tools / "resize" / "table.csv", "")
    return run


def left(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def test_a_folder_of_the_legacy_project_is_refused_and_one_of_ours_is_not(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    refuse_legacy_run(run)
    (run.urls / "server_name=a.example").mkdir()
    with pytest.raises(UserError, match="path_to_input=") as refusal:
        refuse_legacy_run(run)
    assert str(run.urls) in str(refusal.value)


def test_without_reset_nothing_is_removed(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    apply_reset(settings(tmp_path), run, [run.tools / "resize"])
    assert sorted(tmp_path.rglob("*")) == before


def test_reset_profiled_forgets_what_was_learned_and_keeps_batches_and_images(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    apply_reset(settings(tmp_path, reset="profiled"), run, [run.tools / "resize"])
    kept = {"urls", "images", "summary.json", "settings.json", "checkpoint.json", "ignored.csv", "logs", "tools"}
    assert left(tmp_path) == kept
    assert (run.tools / "resize").exists()


def test_reset_batched_starts_over_but_keeps_the_users_list_logs_and_tables_of_tools(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    write_text(run.tools / "stats" / "table.csv", "")
    apply_reset(settings(tmp_path, reset="batched"), run, [run.tools / "resize"])
    assert left(tmp_path) == {"ignored.csv", "logs", "tools"}
    assert left(run.tools) == {"stats"}


def test_reset_of_an_empty_folder_is_nothing_to_do(tmp_path: Path) -> None:
    apply_reset(settings(tmp_path, reset="batched"), layout(tmp_path), [])
    assert left(tmp_path) == set()


@pytest.mark.parametrize("other", [{"path_to_input": "other.txt"}, {"dataset": {"name": "gbif"}}])
def test_a_folder_with_batches_of_one_list_is_not_continued_with_another(
    tmp_path: Path, other: dict[str, object]
) -> None:
    run = a_run(tmp_path)
    refuse_another_list(settings(tmp_path), run)
    refuse_another_list(settings(tmp_path, image={"quality": 80}), run)
    with pytest.raises(UserError, match=next(iter(other))):
        refuse_another_list(settings(tmp_path, **other), run)


@pytest.mark.parametrize("missing", ["settings_file", "batches_table"])
def test_a_run_that_has_no_batches_yet_may_still_change_its_list(tmp_path: Path, missing: str) -> None:
    run = a_run(tmp_path)
    getattr(run, missing).unlink()
    refuse_another_list(settings(tmp_path, path_to_input="other.txt"), run)


def test_errors_are_not_retried_over_results_of_tools(tmp_path: Path) -> None:
    run = layout(tmp_path)
    refuse_replaced_images(settings(tmp_path), run, ["resize"])
    refuse_replaced_images(settings(tmp_path, retry_errors=["dns"]), run, [])
    with pytest.raises(UserError, match=r"resize, size_based.*undo=true"):
        refuse_replaced_images(settings(tmp_path, retry_errors=["dns"]), run, ["resize", "size_based"])
