"""`reset` removes what it says, once per submission, and never what the operator ordered without being asked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.run_folder.guards import apply_reset
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
