"""A stopped job is requeued, as often as it may be and unless it is being cancelled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode
from ray_downloader.pipeline import _settled_rows
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.signals import StopRequested, run_until_stopped
from ray_downloader.slurm import requeue
from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.requeue import may_requeue, requeue_stopped_job
from tests.unit.slurm.conftest import Fake


@pytest.mark.parametrize(("restarts", "may"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_job_comes_back_num_downloads_times(restarts: int, may: bool) -> None:
    assert may_requeue(Allocation(1, (), restarts=restarts), num_downloads=2) is may


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A job that was requeued once; what it slept."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_CPUS_PER_NODE", "2")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    slept: list[float] = []
    monkeypatch.setattr(requeue.time, "sleep", slept.append)
    return slept


def settings(cluster: str = "slurm", num_downloads: int = 3) -> Settings:
    values = {"path_to_input": "list.txt", "path_to_output": "out", "cluster": {"name": cluster}}
    return Settings.from_config({**values, "downloader_parameters": {"num_downloads": num_downloads}})


def scontrol(state: str, requeue_code: int = 0) -> str:
    return f'case "$1" in show) echo "JobState={state}" ;; requeue) echo refused >&2; exit {requeue_code} ;; esac'


def test_a_stopped_job_is_requeued_and_waits_for_its_end(fake: Fake, job: list[float]) -> None:
    calls = fake("scontrol", scontrol("RUNNING"))
    requeue_stopped_job(settings())
    assert calls() == ["show job -o 7", "requeue 7"]
    assert job == [60.0]


@pytest.mark.parametrize(("num_downloads", "runs"), [(1, 4), (2, 5)])
def test_runs_that_did_nothing_do_not_count_but_end_some_time(
    fake: Fake, job: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, num_downloads: int, runs: int
) -> None:
    calls = fake("scontrol", scontrol("RUNNING"))
    options = settings(num_downloads=num_downloads).model_copy(update={"path_to_output": tmp_path / "out"})
    for restarts in range(10):
        monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
        requeue_stopped_job(options, is_idle=True)
    assert calls().count("requeue 7") == runs


def test_an_element_of_an_array_is_requeued_alone(
    fake: Fake, job: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    calls = fake("scontrol", scontrol("RUNNING"))
    requeue_stopped_job(settings())
    assert {call.split()[-1] for call in calls()} == {"7_2"}
    assert calls()[-1] == "requeue 7_2"


@pytest.mark.parametrize(
    ("options", "state"),
    [(settings(), "COMPLETING"), (settings(num_downloads=1), "RUNNING"), (settings(cluster="local"), "RUNNING")],
)
def test_a_cancelled_or_used_up_job_is_not(fake: Fake, job: list[float], options: Settings, state: str) -> None:
    calls = fake("scontrol", scontrol(state))
    requeue_stopped_job(options)
    assert "requeue 7" not in calls()
    assert job == []


def test_a_refusal_of_slurm_is_logged_and_does_not_wait(
    fake: Fake, job: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    fake("scontrol", scontrol("RUNNING", requeue_code=1))
    requeue_stopped_job(settings())
    assert "Slurm did not requeue the job: refused" in caplog.text
    assert job == []


@pytest.mark.parametrize(("settled", "is_idle"), [(0, True), (3, False)], ids=["no row", "rows"])
def test_a_run_that_only_prepared_the_download_is_idle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settled: int, is_idle: bool
) -> None:
    """In a job of one minute, the first run may have no time for more."""
    asked: list[bool] = []
    monkeypatch.setattr(requeue, "requeue_stopped_job", lambda _, *, is_idle: asked.append(is_idle))
    options = settings().model_copy(update={"path_to_output": tmp_path / "out"})
    layout = RunLayout.of(options)

    def work() -> ExitCode:
        for path in (layout.batches_table, layout.profiles_table):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("a table")
        layout.progress_file.parent.mkdir()
        rows = {"input": 9, "rejected": 0, "successes": settled, "errors": 0, "left": 9 - settled}
        layout.progress_file.write_text(json.dumps({"state": "stopped", "rows": rows}))
        raise StopRequested("SIGUSR1")

    assert run_until_stopped(work, options, lambda: _settled_rows(layout)) is ExitCode.STOPPED
    assert asked == [is_idle]
