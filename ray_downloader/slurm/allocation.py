"""The nodes that Slurm allocated to the job, read from the environment of the batch script. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import chain, repeat

from ray_downloader.errors import UserError
from ray_downloader.slurm.hostlist import expand_hostlist

#: The first port: above Ray's worker ports (10002-19999), below Linux's ephemeral ports (from 32768).
_FIRST_PORT = 20_000
_PORTS_PER_JOB = 3
_JOBS = 4_000
#: Ray's object store and one task; with less, Ray's processes end for reasons that nobody understands.
MIN_MEMORY_MB = 512


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the job.

    Args:
        memory_mb: Memory of the job on this node; None if Slurm does not limit it.
    """

    name: str
    cpus: int
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """The nodes of one job.

    Args:
        job_id: The number of the job; each element of an array has its own.
        nodes: In Slurm's order. Without lost nodes, the first one runs the batch script.
        restarts: How often the job was requeued.
        element: Number of the array and of the element, if the environment has them: a job that an element of an array
            submitted inherits them, although it is not part of the array.
        own_node: Name of the node that runs this process; empty on a login node.
    """

    job_id: int
    nodes: tuple[Node, ...]
    restarts: int = 0
    element: tuple[int, int] | None = None
    own_node: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Allocation | None:
        """The allocation that this process runs in; None outside a job."""
        if "SLURM_JOB_ID" not in environ or "SLURM_JOB_CPUS_PER_NODE" not in environ:
            return None
        cpus = expand_counts(environ["SLURM_JOB_CPUS_PER_NODE"])
        names = expand_hostlist(environ.get("SLURM_JOB_NODELIST", "")) or map(str, range(len(cpus)))
        return cls(
            job_id=int(environ["SLURM_JOB_ID"]),
            nodes=tuple(
                Node(name, count, _memory_mb(environ, count)) for name, count in zip(names, cpus, strict=False)
            ),
            restarts=int(environ.get("SLURM_RESTART_COUNT", "0")),
            element=_element(environ),
            own_node=environ.get("SLURMD_NODENAME", ""),
        )

    @property
    def cpus(self) -> tuple[int, ...]:
        """CPUs of the job on each node."""
        return tuple(node.cpus for node in self.nodes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the nodes."""
        return tuple(node.name for node in self.nodes)

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
        """This node and others, `count` in all."""
        own = [node for node in self.nodes if node.name == self.own_node]
        kept = {node.name for node in [*own, *(node for node in self.nodes if node not in own)][:count]}
        return self.only(kept)

    def only(self, names: Collection[str]) -> Allocation:
        """The part of it on these nodes."""
        return replace(self, nodes=tuple(node for node in self.nodes if node.name in names))


def required_allocation(environ: Mapping[str, str]) -> Allocation:
    """The allocation of this process.

    Raises:
        UserError: It has none, runs outside of it, or in one that is too small; the message says what to do.
    """
    allocation = Allocation.from_environ(environ)
    if allocation is None:
        raise UserError(
            "cluster=slurm runs inside a Slurm job, and this process is in none: submit it with "
            "`sbatch slurm/ray_downloader.sbatch ...`, or use a Ray that is already running: "
            "cluster=existing cluster.address=host:port"
        )
    if allocation.own_node not in allocation.names:
        more = ", ..." if len(allocation.names) > 3 else ""
        raise UserError(
            f"cluster=slurm runs on a node of its job, but this process is not on one of job {allocation.job_id} "
            f"({', '.join(allocation.names[:3])}{more}); `salloc` gives a shell on the login node: begin the command "
            "with `srun --overlap --nodes=1 --ntasks=1`"
        )
    for node in allocation.nodes:
        if node.memory_mb is not None and node.memory_mb < MIN_MEMORY_MB:
            raise UserError(
                f"the job has {node.memory_mb} MB of memory on {node.name}, and Ray with one task needs at least "
                f"{MIN_MEMORY_MB} MB: submit it with a larger --mem (or --mem-per-cpu)"
            )
    return allocation


def expand_counts(text: str) -> tuple[int, ...]:
    """Numbers in Slurm's short form, one per node: `2(x3),4` is 2, 2, 2, 4."""
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return tuple(chain.from_iterable(repeat(int(count), int(times or 1)) for count, times in found))


def _element(environ: Mapping[str, str]) -> tuple[int, int] | None:
    array, task = environ.get("SLURM_ARRAY_JOB_ID", ""), environ.get("SLURM_ARRAY_TASK_ID", "")
    return (int(array), int(task)) if array.isdigit() and task.isdigit() else None


def _memory_mb(environ: Mapping[str, str], cpus: int) -> int | None:
    """`--mem` is per node, `--mem-per-cpu` per CPU; 0 means all of it, which Ray finds out itself."""
    by_node, by_cpu = int(environ.get("SLURM_MEM_PER_NODE", "0")), int(environ.get("SLURM_MEM_PER_CPU", "0"))
    return by_node or by_cpu * cpus or None
