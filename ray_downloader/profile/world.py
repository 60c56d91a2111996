"""How many processes profile together, and the operations they need: distribute shares, gather results.

The guard is here, free of MPI: if the MPI library does not speak the launcher's process manager protocol, each of the
N processes believes that it is alone, and every server would be probed N times. The launcher's number of processes is
therefore compared with MPI's before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")

#: Set by `launch.py` for the ranks that it starts.
RANKS_VARIABLE = "RAY_DOWNLOADER_MPI_RANKS"
#: Variables that state the number of ranks, the innermost first: under `mpiexec` in a Slurm step, Slurm counts daemons.
_SIZE_VARIABLES = (RANKS_VARIABLE, "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


class WorldError(RuntimeError):
    """The processes are not the single world that their launcher meant to start."""


class World(Protocol):
    """The processes that share the work."""

    @property
    def rank(self) -> int:
        """This process, from 0."""

    @property
    def size(self) -> int:
        """How many there are."""

    def scatter(self, shares: Sequence[T] | None) -> T:
        """Distribute one share each; only rank 0 has them."""

    def gather(self, result: T) -> list[T] | None:
        """Send the results to rank 0; None elsewhere."""

    def abort(self, exit_code: int) -> None:
        """End all processes, including those that wait for this one."""


@dataclass(frozen=True, slots=True)
class Alone:
    """A world of one process, without MPI."""

    rank: int = 0
    size: int = 1

    def scatter(self, shares: Sequence[T] | None) -> T:
        """The only share."""
        assert shares is not None
        return shares[0]

    def gather(self, result: T) -> list[T] | None:
        """The only result."""
        return [result]

    def abort(self, exit_code: int) -> None:
        """Nobody waits."""


def announced_size(environ: Mapping[str, str]) -> int | None:
    """How many ranks the launcher says it started; None if it does not say."""
    values = (environ.get(variable, "") for variable in _SIZE_VARIABLES)
    return next((int(value) for value in values if value.isdigit()), None)


def require_one_world(size: int, environ: Mapping[str, str]) -> None:
    """Check that MPI's world is the launcher's.

    Raises:
        WorldError: It is not; the message says what to do.
    """
    announced = announced_size(environ)
    if announced is not None and announced != size:
        raise WorldError(
            f"the launcher started {announced} processes but MPI sees a world of {size}: the MPI library does not "
            "speak this launcher's protocol. Under Slurm use `srun --mpi=pmix` with Open MPI or `srun --mpi=pmi2` "
            "with MPICH or Intel MPI; elsewhere use the mpiexec that belongs to the library"
        )
