"""Lets two other nodes of the job watch over the node of the batch script, for the duration of a run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from ray_downloader.processes import end_by_input
from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.commands import guard_step, step_environment

#: One is enough, and the second is for the case that the first is lost.
GUARDS = 2
_END_PATIENCE_S = 5.0


@contextmanager
def guarded(allocation: Allocation, num_downloads: int) -> Iterator[None]:
    """Guards on other nodes than this one; none in a job on one node, which Slurm itself requeues."""
    others = [name for name in allocation.names if name != allocation.own_node][:GUARDS]
    if not others:
        yield
        return
    with subprocess.Popen(
        guard_step(others, num_downloads), env=step_environment(os.environ), stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as step:  # fmt: skip
        try:
            yield
        finally:
            end_by_input(step, _END_PATIENCE_S)
