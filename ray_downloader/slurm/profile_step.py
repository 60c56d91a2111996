"""The profile stage on all CPUs of the job, with one MPI rank per CPU, started by `srun`."""

from __future__ import annotations

import logging
import os
import sys
from itertools import count
from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.profile.launch import Launch, RankLimits, find_mpiexec, run_ranks, watch_ranks
from ray_downloader.profile.mpi import library_plugin
from ray_downloader.profile.stage import limits_of, profile_servers
from ray_downloader.profile.table import fold_parts
from ray_downloader.profile.workload import plan_workload
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.server_lists import load_ignored_servers
from ray_downloader.slurm.allocation import Allocation, required_allocation
from ray_downloader.slurm.commands import profile_step, step_environment
from ray_downloader.slurm.nodes import usable_nodes

#: Set in `site.env` if the guess from the MPI library is wrong.
PLUGIN_VARIABLE = "RAY_DOWNLOADER_MPI_PLUGIN"
#: MPICH 5.0.2 with Slurm 22.05's pmi2 fails or hangs in MPI_Init in at least one of 20 starts ("value not properly
#: terminated in client request"; seen with 6 ranks on 3 nodes), with any program. There are further
#: attempts only if a node was lost.
ATTEMPTS = 2
_log = logging.getLogger(__name__)


class ProfileStepError(UserError):
    """The ranks failed; their messages are above in the log."""

    exit_code = ExitCode.FAILED


def run_profile_step(settings: Settings, layout: RunLayout) -> None:
    """Profile the servers that are not yet in `profiles.csv`.

    Raises:
        UserError: This process is not part of a Slurm job, or a setting is not usable.
        ProfileStepError: The ranks failed. The profiles that they finished are kept.
    """
    allocation = required_allocation(os.environ)
    fold_parts(layout)
    chosen = os.environ.get(PLUGIN_VARIABLE)
    plugin = chosen or library_plugin()
    workload = plan_workload(settings, layout, load_ignored_servers(layout))
    if not workload.pieces or plugin is None or settings.profile.launcher != "auto":
        profile_servers(settings, layout)
        return
    for attempt in count(1):
        before, allocation = allocation, usable_nodes(allocation, layout)
        if attempt > ATTEMPTS and allocation == before:
            break
        limits = limits_of(workload, sum(allocation.cpus), settings)
        if _srun_succeeds(allocation, plugin, limits, layout):
            return
        _log.warning("profile: attempt %d failed", attempt)
    if not chosen and _mpiexec_succeeds(allocation, limits, layout):
        return
    raise ProfileStepError(
        f"the profile step failed (see above; the profiles of {fold_parts(layout)} servers are kept). Does "
        f"`srun --mpi={plugin}` fit the MPI library? {PLUGIN_VARIABLE} in site.env sets another plugin, and "
        "stages=[partition,download] skips the profiles"
    )


def _srun_succeeds(allocation: Allocation, plugin: str, limits: RankLimits, layout: RunLayout) -> bool:
    ranks = sum(allocation.cpus)
    _log.info("profile: %d MPI ranks on %d nodes, srun --mpi=%s", ranks, len(allocation.nodes), plugin)
    command = profile_step(allocation, plugin, layout.settings_file)
    return watch_ranks(command, step_environment(os.environ), limits) == 0


def _mpiexec_succeeds(allocation: Allocation, limits: RankLimits, layout: RunLayout) -> bool:
    """Try the MPI library's own launcher, which starts its daemons with `srun` and connects the ranks itself."""
    mpiexec = find_mpiexec(Path(sys.executable), os.environ.get("PATH"))
    if mpiexec is None:
        return False
    ranks = sum(allocation.cpus)
    _log.info("profile: %d MPI ranks started by %s", ranks, mpiexec)
    left = {name: ",".join(allocation.names) for name in ("SLURM_NODELIST", "SLURM_JOB_NODELIST")}
    environment = {**os.environ, **left, "SLURM_TASKS_PER_NODE": ",".join(map(str, allocation.cpus))}
    return run_ranks(Launch(mpiexec, ranks, "srun failed"), layout.settings_file, limits, environment) == 0
