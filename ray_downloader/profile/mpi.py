"""The only import of mpi4py. A process that is alone according to its launcher never loads MPI at all."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ray_downloader.profile.world import Alone, World, WorldError, announced_size, require_one_world

T = TypeVar("T")

#: MPI_Init takes 0.1-1.3 s on our machine, and perhaps twenty on thousands of ranks.
START_TIMEOUT_S = 60
#: Before an abort: MPICH's `mpiexec` drops output of a rank that it has not read yet (seen on a busy machine).
LAST_WORDS_S = 0.5

#: Shows that some launcher is at work even if it does not say how many processes it started.
_RANK_VARIABLES = ("PMIX_RANK", "PMI_RANK", "PALS_RANKID")


class MpiWorld:
    """The processes of `MPI.COMM_WORLD`."""

    def __init__(self, communicator: Any) -> None:
        self._communicator = communicator
        self.rank: int = communicator.Get_rank()
        self.size: int = communicator.Get_size()

    def scatter(self, shares: Sequence[T] | None) -> T:
        """Distribute one share each; only rank 0 has them."""
        share: T = self._communicator.scatter(shares, root=0)
        return share

    def gather(self, result: T) -> list[T] | None:
        """Send the results to rank 0; None elsewhere."""
        results: list[T] | None = self._communicator.gather(result, root=0)
        return results

    def abort(self, exit_code: int) -> None:
        """End all processes, including those that wait for this one."""
        time.sleep(LAST_WORDS_S)
        self._communicator.Abort(exit_code)


def library_plugin() -> str | None:
    """The plugin NAME in `srun --mpi=NAME` for this MPI library; None without a library. Does not start MPI."""
    try:
        import mpi4py  # noqa: PLC0415

        mpi4py.rc.initialize = False
        from mpi4py import MPI  # noqa: PLC0415
    except (ImportError, RuntimeError):
        return None
    return "pmix" if "Open MPI" in MPI.Get_library_version() else "pmi2"


def enter_world(environ: Mapping[str, str]) -> World:
    """Join the world that the launcher started.

    Raises:
        WorldError: There is no MPI library, or MPI's world is not the launcher's.
    """
    announced = announced_size(environ)
    if (announced or 1) == 1 and not any(variable in environ for variable in _RANK_VARIABLES):
        return Alone()
    signal.alarm(START_TIMEOUT_S)  # ends this process, and with it the world: ranks can hang while finding each other
    try:
        from mpi4py import MPI  # noqa: PLC0415 (loads the MPI library and starts it)
    except (ImportError, RuntimeError) as error:
        raise WorldError(
            f"no MPI library could be loaded ({error}); `pip install 'ray-downloader[mpich]'` has one"
        ) from None
    finally:
        signal.alarm(0)
    require_one_world(MPI.COMM_WORLD.Get_size(), environ)
    return MpiWorld(MPI.COMM_WORLD)
