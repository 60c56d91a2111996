"""What is checked before a run on Slurm does anything: is this a job, can its nodes work, is the folder shared?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.slurm.addresses import address_of_interface
from ray_downloader.slurm.allocation import Allocation, required_allocation
from ray_downloader.slurm.commands import scratch_of
from ray_downloader.slurm.guard import guarded
from ray_downloader.slurm.nodes import usable_nodes
from ray_downloader.slurm.requeue import allowed_requeues

#: The kernel's limit for the path of a socket, without the final zero byte.
SOCKET_PATH_BYTES = 107
#: What is appended to it: our folder for Ray, which is closed to others, and Ray's own.
_LONGEST_SOCKET = "/ray/session_2026-11-27_23-59-59_999999_4194304/sockets/plasma_store"


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


@contextmanager
def working_job(settings: Settings, layout: RunLayout) -> Iterator[None]:
    """Prove the run folder shared by the nodes of the job, and guard its first node for the duration of the block.

    Nodes that do not answer are logged.

    Raises:
        UserError: A node sees another folder.
    """
    if settings.cluster.name != "slurm":
        yield
        return
    allocation = usable_nodes(required_allocation(os.environ), layout)
    requeues = allowed_requeues(layout, allocation.job_id, settings.downloader_parameters.num_downloads)
    with guarded(allocation, requeues):
        yield


def _require_short(scratch: str, allocation: Allocation) -> None:
    own = scratch_of("", allocation.job_id, len(allocation.nodes))
    most = SOCKET_PATH_BYTES - len(own) - len(_LONGEST_SOCKET)
    if len(scratch.rstrip("/").encode()) > most:
        raise UserError(
            f"cluster.scratch={scratch} is too long: Ray's sockets are in it, and the whole path of a socket may have "
            f"{SOCKET_PATH_BYTES} bytes, so this folder's may have {most}; use a shorter one, such as /tmp"
        )
