"""What is checked before a run on Slurm does anything."""

from __future__ import annotations

from typing import Any

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.pipeline import run
from ray_downloader.slurm.begin import require_job

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
