"""The profile stage on all CPUs of the job, with one MPI rank per CPU, started by `srun`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.profile.launch import Launch, find_mpiexec, run_ranks
from ray_downloader.profile.mpi import library_plugin
from ray_downloader.profile.stage import profile_servers
from ray_downloader.profile.table import fold_parts
from ray_downloader.profile.workload import plan_workload
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.server_lists import load_ignored_servers
from ray_downloader.slurm.commands import profile_step, step_environment
from ray_downloader.slurm.ray_step import allocation_of

#: Set in `site.env` if the guess from the MPI library is wrong.
PLUGIN_VARIABLE = "RAY_DOWNLOADER_MPI_PLUGIN"
#: MPICH 5.0.2 with Slurm 22.05's pmi2 fails or hangs in MPI_Init in at least one of 20 starts ("value not properly
#: terminated in client request"; seen with 6 ranks on 3 nodes), with any program.
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
    allocation = allocation_of(os.environ)
    fold_parts(layout)
    chosen = os.environ.get(PLUGIN_VARIABLE)
    plugin = chosen or library_plugin()
    nothing_to_probe = not plan_workload(settings, layout, load_ignored_servers(layout)).pieces
    if nothing_to_probe or plugin is None or settings.profile.launcher != "auto":
        profile_servers(settings, layout)
        return
    command = profile_step(allocation, plugin, layout.settings_file)
    ranks = sum(allocation.cpus)
    _log.info("profile: %d MPI ranks on %d nodes, srun --mpi=%s", ranks, len(allocation.cpus), plugin)
    for attempt in range(1, ATTEMPTS + 1):
        exit_code = _run(command)
        if exit_code == 0:
            return
        _log.warning("profile: attempt %d of %d ended with exit code %d", attempt, ATTEMPTS, exit_code)
    if not chosen and _mpiexec_succeeds(ranks, layout):
        return
    raise ProfileStepError(
        f"the profile step failed (see above; the profiles of {fold_parts(layout)} servers are kept). Does "
        f"`srun --mpi={plugin}` fit the MPI library? {PLUGIN_VARIABLE} in site.env sets another plugin, and "
        "stages=[partition,download] skips the profiles"
    )


def _mpiexec_succeeds(ranks: int, layout: RunLayout) -> bool:
    """Try the MPI library's own launcher, which starts its daemons with `srun` and connects the ranks itself."""
    mpiexec = find_mpiexec(Path(sys.executable), os.environ.get("PATH"))
    if mpiexec is None:
        return False
    _log.info("profile: %d MPI ranks started by %s", ranks, mpiexec)
    return run_ranks(Launch(mpiexec, ranks, "srun failed"), layout.settings_file, os.environ) == 0


def _run(command: list[str]) -> int:
    """Run a step and return its exit code; a signal that ends this process ends the step, too."""
    with subprocess.Popen(command, env=step_environment(os.environ), stdin=subprocess.DEVNULL) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise
