"""Requeues a job that was stopped before all rows were settled, at most `num_downloads` times."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.job_facts import ask_job, slurm_name, told_slurm

#: Slurm kills a requeued job at once. If it does not, the run ends with its exit code.
PATIENCE_S = 60.0
#: A time limit that is too short for any work must not requeue the job forever.
MAX_IDLE_RUNS = 3
_log = logging.getLogger(__name__)


def may_requeue(allocation: Allocation, num_downloads: int, idle_runs: int = 0) -> bool:
    """Whether the job may run again: it has one run and `num_downloads` further ones, not counting idle ones.

    Args:
        idle_runs: Runs that were stopped before they had settled a row, this one included.
    """
    return allocation.restarts - min(idle_runs, MAX_IDLE_RUNS) < num_downloads


def requeue_stopped_job(settings: Settings, *, is_idle: bool = False) -> None:
    """Requeue the job of this process. Returns if Slurm refuses, or if no run is left.

    Args:
        settings: The run's settings.
        is_idle: The run was stopped before it had settled a row.
    """
    allocation = Allocation.from_environ(os.environ)
    if settings.cluster.name != "slurm" or allocation is None:
        return
    name = slurm_name(allocation)
    if ask_job(name).state != "RUNNING":
        return  # it is being cancelled and must not come back
    allowed = settings.downloader_parameters.num_downloads
    idle_runs = _count_idle_runs(RunLayout.of(settings), allocation.job_id, is_idle)
    if not may_requeue(allocation, allowed, idle_runs):
        _log.warning("stopped; all downloader_parameters.num_downloads=%d requeues are used", allowed)
        return
    if is_idle:
        _log.info(
            "no row was settled in this run: it does not count as one, unless that happens %d times", MAX_IDLE_RUNS
        )
    _log.info("requeue %d of %d", allocation.restarts + 1 - min(idle_runs, MAX_IDLE_RUNS), allowed)
    done = told_slurm("scontrol", "requeue", name)
    if done.returncode:
        _log.error("Slurm did not requeue the job: %s", done.stderr.strip())
        return
    time.sleep(PATIENCE_S)


def allowed_requeues(layout: RunLayout, job_id: int, num_downloads: int) -> int:
    """How often the job may be requeued in all, with the runs so far that do not count."""
    return num_downloads + min(_idle_runs(layout, job_id), MAX_IDLE_RUNS)


def _count_idle_runs(layout: RunLayout, job_id: int, is_idle: bool) -> int:
    """How many runs of this job settled no row, this one included; remembered in the run folder."""
    count = _idle_runs(layout, job_id) + is_idle
    if is_idle:
        layout.logs.mkdir(parents=True, exist_ok=True)
        write_text(_idle_file(layout, job_id), f"{count}\n")
    return count


def _idle_runs(layout: RunLayout, job_id: int) -> int:
    try:
        return int(_idle_file(layout, job_id).read_text("ascii"))
    except (OSError, ValueError):
        return 0


def _idle_file(layout: RunLayout, job_id: int) -> Path:
    return layout.logs / f"idle-runs-{job_id}"
