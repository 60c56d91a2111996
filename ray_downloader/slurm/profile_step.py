"""The profile stage on all CPUs of the job: one MPI rank for each, started by `srun`."""

from __future__ import annotations

import logging
import os
import subprocess

from ray_downloader.download.run_context import load_ignored_servers
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.layout import RunLayout
from ray_downloader.profile.mpi import library_plugin
from ray_downloader.profile.stage import profile_servers
from ray_downloader.profile.table import fold_parts
from ray_downloader.profile.workload import plan_workload
from ray_downloader.settings import Settings
from ray_downloader.slurm.commands import profile_step, step_environment
from ray_downloader.slurm.ray_step import allocation_of

#: Set in `site.env` where the guess from the MPI library is not right.
PLUGIN_VARIABLE = "RAY_DOWNLOADER_MPI_PLUGIN"
#: MPICH 5.0.2 fails in MPI_Init over Slurm 22.05's pmi2 ("value not properly terminated in client request") for some
#: lengths of the environment and then nearly always, for most lengths never: each attempt has another length.
ATTEMPTS = 3
_PADDING_BYTES = 160
_log = logging.getLogger(__name__)


class ProfileStepError(UserError):
    """The ranks failed; what they said stands above in the log."""

    exit_code = ExitCode.FAILED


def run_profile_step(settings: Settings, layout: RunLayout) -> None:
    """Profile the servers that have no line in `profiles.csv` yet.

    Raises:
        UserError: There is no Slurm job round this process, or a setting is not usable.
        ProfileStepError: The ranks failed; those servers that they finished are kept.
    """
    allocation = allocation_of(os.environ)
    fold_parts(layout)
    plugin = os.environ.get(PLUGIN_VARIABLE) or library_plugin()
    nothing_to_probe = not plan_workload(settings, layout, load_ignored_servers(layout)).pieces
    if nothing_to_probe or plugin is None or settings.profile.launcher != "auto":
        profile_servers(settings, layout)
        return
    command = profile_step(allocation, plugin, layout.settings_file)
    _log.info("profile: %d MPI ranks on %d nodes, srun --mpi=%s", sum(allocation.cpus), len(allocation.cpus), plugin)
    for attempt in range(1, ATTEMPTS + 1):
        exit_code = _run(command, "x" * _PADDING_BYTES * attempt)
        if not exit_code:
            return
        kept = fold_parts(layout)
        _log.warning("profile: attempt %d of %d ended with exit code %d", attempt, ATTEMPTS, exit_code)
    raise ProfileStepError(
        f"the profile step failed with exit code {exit_code} (see above; {kept} servers are kept). Is `srun "
        f"--mpi={plugin}` right for the MPI library? {PLUGIN_VARIABLE} in site.env sets another; "
        "stages=[partition,download] does without profiles"
    )


def _run(command: list[str], padding: str) -> int:
    """Exit code of a step; where this process is told to end, the step is too."""
    environment = step_environment(os.environ) | {"RAY_DOWNLOADER_PADDING": padding}
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise
