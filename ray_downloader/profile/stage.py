"""The stage as a whole, from both sides: `profile_servers` starts ranks and waits; `run_rank` is the work of one rank.

Results are returned in two ways. Ranks gather them at rank 0, which replaces the table; before that, each rank appends
every finished server to its own part file, so that the next plan finds what a killed world had finished.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.machine import usable_cpus
from ray_downloader.profile.assign import balanced_shares
from ray_downloader.profile.launch import STARTED, Launch, RankLimits, choose_launch, find_mpiexec, run_ranks
from ray_downloader.profile.probes import Probes
from ray_downloader.profile.table import Row, append_part, drop_parts, fold_parts, load_rows, row_of, save_rows
from ray_downloader.profile.workload import Workload, plan_workload
from ray_downloader.profile.world import Alone, World
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.server_lists import load_ignored_servers

_log = logging.getLogger(__name__)
#: A line of progress is logged each time this many servers are done.
_REPORT_EVERY = 100


def profile_servers(settings: Settings, layout: RunLayout) -> None:
    """Complete `profiles.csv`, with as many ranks as `profile.launcher` allows.

    Raises:
        UserError: A setting or a file is unusable.
        RuntimeError: The MPI ranks failed, and `profile.launcher` requires them.
    """
    workload = _planned(settings, layout)
    servers = sum(len(piece.jobs) for piece in workload.pieces)
    if not servers:
        _extend_table(layout, [row_of(profile) for profile in workload.unprobed])
        _log.info("profile: all servers have been profiled")
        return
    mpiexec = find_mpiexec(Path(sys.executable), os.environ.get("PATH"))
    launch = choose_launch(settings.profile, mpiexec, usable_cpus(), len(workload.pieces))
    _log.info("profile: %d servers, %s", servers, launch.reason)
    if launch.mpiexec is None or not _ranks_succeed(settings, layout, launch, workload):
        run_rank(settings, layout, Alone())


def _ranks_succeed(settings: Settings, layout: RunLayout, launch: Launch, workload: Workload) -> bool:
    """Run the ranks; on failure keep what they finished; False if one rank in this process is to do the rest."""
    limits = limits_of(workload, launch.ranks, settings)
    exit_code = run_ranks(launch, layout.settings_file, limits, os.environ)
    if exit_code == 0:
        return True
    kept = fold_parts(layout)
    message = f"the MPI ranks of the profile stage ended with exit code {exit_code} after {kept} servers (see above)"
    if settings.profile.launcher == "mpiexec":
        raise RuntimeError(f"{message}; run the same command again to profile the others")
    _log.warning("%s; one rank without MPI profiles the others", message)
    return False


def run_rank(settings: Settings, layout: RunLayout, world: World) -> None:
    """One rank's part: receive a share from rank 0, probe it, return the results; rank 0 writes the table.

    Raises:
        UserError: A setting or a file is unusable.
    """
    workload = _planned(settings, layout) if world.rank == 0 else Workload((), ())
    share = world.scatter(balanced_shares(workload.pieces, world.size) if world.rank == 0 else None)
    if world.rank == 0 and world.size > 1:
        _log.info("profile: %d %s", world.size, STARTED)
    rows = []
    total = sum(len(piece.jobs) for piece in share)
    for done, profile in enumerate(Probes(settings, layout).profiles(share), start=1):
        rows.append(row_of(profile))
        append_part(layout, world.rank, rows[-1])
        if done % _REPORT_EVERY == 0 or done == total:
            _log.info("profile: rank %d of %d, %d of %d servers", world.rank, world.size, done, total)
    gathered = world.gather(rows)
    if gathered is not None:
        _extend_table(layout, [*map(row_of, workload.unprobed), *chain.from_iterable(gathered)])
        drop_parts(layout)


def limits_of(workload: Workload, ranks: int, settings: Settings) -> RankLimits:
    """How long that many ranks may take for the work."""
    return RankLimits.of([len(piece.jobs) for piece in workload.pieces], ranks, settings.profile.max_seconds)


def _planned(settings: Settings, layout: RunLayout) -> Workload:
    fold_parts(layout)
    return plan_workload(settings, layout, load_ignored_servers(layout))


def _extend_table(layout: RunLayout, rows: Sequence[Row]) -> None:
    save_rows(layout, [*load_rows(layout).values(), *rows])
