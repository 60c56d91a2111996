"""What is checked before a run on Slurm does anything: is this a job, can its nodes work, is the folder shared?"""

from __future__ import annotations

import os

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.slurm.addresses import address_of_interface
from ray_downloader.slurm.allocation import Allocation, required_allocation
from ray_downloader.slurm.commands import scratch_of
from ray_downloader.slurm.nodes import usable_nodes

#: The kernel's limit for the path of a socket, without the final zero byte.
SOCKET_PATH_BYTES = 107
#: What Ray appends to its temporary folder.
_LONGEST_SOCKET = "/session_2026-11-27_23-59-59_999999_4194304/sockets/plasma_store"


def require_job(settings: Settings) -> None:
    """Check, at once, that `cluster=slurm` runs inside a job.

    Raises:
        UserError: It does not, or the job or a setting is not usable.
    """
    if settings.cluster.name != "slurm" or settings.mode != "run":
        return
    allocation = required_allocation(os.environ)
    _require_short(settings.cluster.scratch, allocation)
    if settings.cluster.interface is not None:
        address_of_interface(settings.cluster.interface)


def require_shared_folder(settings: Settings, layout: RunLayout) -> None:
    """Check that all nodes of the job see the run folder; nodes that do not answer are logged.

    Raises:
        UserError: A node sees another folder.
    """
    if settings.cluster.name == "slurm":
        usable_nodes(required_allocation(os.environ), layout)


def _require_short(scratch: str, allocation: Allocation) -> None:
    own = scratch_of("", allocation.job_id, len(allocation.nodes))
    most = SOCKET_PATH_BYTES - len(own) - len(_LONGEST_SOCKET)
    if len(scratch.rstrip("/").encode()) > most:
        raise UserError(
            f"cluster.scratch={scratch} is too long: Ray's sockets are in it, and the whole path of a socket may have "
            f"{SOCKET_PATH_BYTES} bytes, so this folder's may have {most}; use a shorter one, such as /tmp"
        )
