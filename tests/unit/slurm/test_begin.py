"""What is checked before a run on Slurm does anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.pipeline import run
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.slurm.begin import require_job, working_job
from tests.unit.slurm.conftest import Fake

VARIABLES = ("SLURM_JOB_ID", "SLURM_JOB_CPUS_PER_NODE", "SLURM_JOB_NODELIST", "SLURMD_NODENAME")


def settings(cluster: dict[str, Any], **others: object) -> Settings:
    values = {"path_to_input": "none.txt", "path_to_output": "/proc/none/out", **others}
    return Settings.from_config({**values, "cluster": {"name": "slurm", **cluster}})


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("1234567", "2(x2)", "n[1-2]", "n1"), strict=True):
        monkeypatch.setenv(name, value)


def test_outside_of_a_job_a_run_says_so_before_it_touches_anything(outside: None) -> None:
    with pytest.raises(UserError, match="runs inside a Slurm job, and this process is in none"):
        run(settings({}))


def test_a_plan_needs_no_job(outside: None) -> None:
    require_job(settings({}, mode="plan"))


def test_a_usable_job_is_accepted(inside: None) -> None:
    require_job(settings({"scratch": "/tmp", "interface": "lo"}))


def test_a_scratch_folder_that_is_too_long_for_sockets_is_refused(inside: None) -> None:
    require_job(settings({"scratch": "/local/" + "x" * 19}))
    with pytest.raises(UserError, match=r"is too long: .* this folder's may have 26;"):
        require_job(settings({"scratch": "/local/" + "x" * 20}))


def test_an_unknown_interface_is_refused(inside: None) -> None:
    with pytest.raises(UserError, match=r"cluster.interface=eth99 does not exist"):
        require_job(settings({"interface": "eth99"}))


@pytest.mark.parametrize(("idle_runs", "requeues"), [("", 1), ("2", 3), ("9", 4)], ids=["none", "some", "many"])
def test_the_guards_do_not_count_runs_that_settled_no_row_either(
    inside: None, fake: Fake, tmp_path: Path, idle_runs: str, requeues: int
) -> None:
    options = settings({}, path_to_output=str(tmp_path / "out"))
    layout = RunLayout.of(options)
    layout.logs.mkdir(parents=True)
    (layout.logs / "idle-runs-1234567").write_text(idle_runs)
    fake("scontrol", "echo 'JobId=1234567 JobState=RUNNING NodeList=n[1-2]'")
    steps = fake("srun", 'case "$*" in *node_check*) echo n1 ready; echo n2 ready ;; esac')
    with working_job(options, layout):
        pass
    assert steps()[-1].endswith(f"ray_downloader.slurm.head_loss {requeues}")
