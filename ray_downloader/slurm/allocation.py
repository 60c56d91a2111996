"""The nodes that Slurm allocated to the job, read from the environment of the batch script. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, repeat

#: The first port: above Ray's worker ports (10002-19999), below Linux's ephemeral ports (from 32768).
_FIRST_PORT = 20_000
_PORTS_PER_JOB = 3
_JOBS = 4_000


@dataclass(frozen=True, slots=True)
class Allocation:
    """The nodes of one job.

    Args:
        cpus: CPUs of the job on each node, in the order of its node list. The first node runs the batch script.
        memory_mb: Memory of the job on each node; None if Slurm does not limit it.
        restarts: How often the job was requeued.
    """

    job_id: int
    cpus: tuple[int, ...]
    memory_mb: tuple[int, ...] | None = None
    restarts: int = 0
    cluster: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Allocation | None:
        """The allocation that this process runs in; None outside a job."""
        if "SLURM_JOB_ID" not in environ or "SLURM_JOB_CPUS_PER_NODE" not in environ:
            return None
        cpus = expand_counts(environ["SLURM_JOB_CPUS_PER_NODE"])
        return cls(
            job_id=int(environ["SLURM_JOB_ID"]),
            cpus=cpus,
            memory_mb=_memory_mb(environ, cpus),
            restarts=int(environ.get("SLURM_RESTART_COUNT", "0")),
            cluster=environ.get("SLURM_CLUSTER_NAME", ""),
        )

    @property
    def gcs_port(self) -> int:
        """Port of Ray's head, different for two jobs on one node."""
        return _FIRST_PORT + _PORTS_PER_JOB * (self.job_id % _JOBS)

    @property
    def client_port(self) -> int:
        """Port of Ray's client server, which we do not use but `ray start --head` opens."""
        return self.gcs_port + 1

    @property
    def dashboard_port(self) -> int:
        """Port of the dashboard. Ray waits forever if the port is taken, so it cannot be 8265 for every job."""
        return self.gcs_port + 2

    def first_nodes(self, count: int | None) -> Allocation:
        """The part of it on its first `count` nodes."""
        memory_mb = self.memory_mb and self.memory_mb[:count]
        return Allocation(self.job_id, self.cpus[:count], memory_mb, self.restarts, self.cluster)


def expand_counts(text: str) -> tuple[int, ...]:
    """Numbers in Slurm's short form, one per node: `2(x3),4` is 2, 2, 2, 4."""
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return tuple(chain.from_iterable(repeat(int(count), int(times or 1)) for count, times in found))


def _memory_mb(environ: Mapping[str, str], cpus: tuple[int, ...]) -> tuple[int, ...] | None:
    """`--mem` is per node, `--mem-per-cpu` per CPU; 0 means all of it, which Ray finds out itself."""
    by_node, by_cpu = int(environ.get("SLURM_MEM_PER_NODE", "0")), int(environ.get("SLURM_MEM_PER_CPU", "0"))
    if by_node:
        return (by_node,) * len(cpus)
    return tuple(by_cpu * count for count in cpus) if by_cpu else None
