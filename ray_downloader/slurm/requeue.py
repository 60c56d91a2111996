"""Requeues a job that was stopped before all rows were settled, at most `num_downloads` times."""

from __future__ import annotations

import logging
import os
import subprocess
import time

from ray_downloader.config.settings import Settings
from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.job_facts import ask_job, slurm_name

#: Slurm kills a requeued job at once. If it does not, the run ends with its exit code.
PATIENCE_S = 60.0
_log = logging.getLogger(__name__)


def may_requeue(allocation: Allocation, num_downloads: int) -> bool:
    """Whether the job may run again: it has one run and `num_downloads` further ones."""
    return allocation.restarts < num_downloads


def requeue_stopped_job(settings: Settings) -> None:
    """Requeue the job of this process. Returns if Slurm refuses, or if no run is left."""
    allocation = Allocation.from_environ(os.environ)
    if settings.cluster.name != "slurm" or allocation is None:
        return
    name = slurm_name(allocation)
    if ask_job(name).state != "RUNNING":
        return  # it is being cancelled and must not come back
    allowed = settings.downloader_parameters.num_downloads
    if not may_requeue(allocation, allowed):
        _log.warning("stopped; all downloader_parameters.num_downloads=%d requeues are used", allowed)
        return
    _log.info("requeue %d of %d", allocation.restarts + 1, allowed)
    done = subprocess.run(["scontrol", "requeue", name], capture_output=True, text=True, check=False)
    if done.returncode:
        _log.error("Slurm did not requeue the job: %s", done.stderr.strip())
        return
    time.sleep(PATIENCE_S)
