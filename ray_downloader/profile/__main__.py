"""`python -m ray_downloader.profile out/settings.json`: the profile stage on as many ranks as the launcher starts.

Under `srun --mpi=pmix` (Open MPI), `srun --mpi=pmi2` (MPICH, Intel MPI), `mpiexec -n K`, or alone: one rank.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from ray_downloader.config.secrets import with_secret_proxy
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.profile.mpi import enter_world
from ray_downloader.profile.stage import run_rank
from ray_downloader.profile.world import WorldError
from ray_downloader.run_folder.layout import RunLayout


def main(arguments: list[str]) -> int:
    """Run one rank.

    Returns:
        The exit code.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        world = enter_world(os.environ)
    except WorldError as error:
        sys.stderr.write(f"profile: {error}\n")
        return ExitCode.FAILED
    try:
        run_rank(*_run_of(arguments), world)
        return ExitCode.SETTLED
    except UserError as error:
        exit_code = error.exit_code
        sys.stderr.write(f"{error}\n")
    except Exception:
        exit_code = ExitCode.FAILED
        logging.exception("profile: rank %d failed", world.rank)
    # The others wait for this rank in a collective call, and would wait forever.
    world.abort(exit_code)
    return exit_code


def _run_of(arguments: list[str]) -> tuple[Settings, RunLayout]:
    if len(arguments) != 1:
        raise UserError("usage: python -m ray_downloader.profile RUN_FOLDER/settings.json")
    settings = with_secret_proxy(Settings.load(Path(arguments[0])), os.environ)
    return settings, RunLayout.of(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
