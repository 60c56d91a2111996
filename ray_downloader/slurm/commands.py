"""The command lines of the job's steps. Pure: a command is data."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ray_downloader.slurm.allocation import Allocation

#: The shape of the batch script, which a step must not inherit as it has its own; nor the address of another Ray.
_SHAPE_VARIABLES = frozenset(
    {
        "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_CPUS_PER_TASK",
        "SLURM_NNODES", "SLURM_JOB_NUM_NODES", "SLURM_DISTRIBUTION", "SLURM_CPU_BIND", "SLURM_MPI_TYPE",
        "RAY_ADDRESS",
    }
)  # fmt: skip


#: The last line in a node's log if its Ray ended, or never started, although nobody stopped it.
ENDED = "Ray has ended on this node"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The argument of `ray_node.py` on every node, as JSON.

    Args:
        head_address: `host:port` that the head listens on.
        cpus: CPUs for Ray on each node, in the order of the step's nodes.
        scratch: Folder on each node for Ray's sockets and logs; its path must be short.
        start_timeout_s: How long a node waits for the head.
    """

    head_address: str
    client_port: int
    cpus: tuple[int, ...]
    memory_mb: tuple[int, ...] | None
    scratch: str
    dashboard_port: int
    start_timeout_s: float

    def to_json(self) -> str:
        """The JSON that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> NodePlan:
        """Parse the JSON of `to_json`."""
        values = json.loads(text)
        memory_mb = values.pop("memory_mb")
        return cls(cpus=tuple(values.pop("cpus")), memory_mb=memory_mb and tuple(memory_mb), **values)


def step_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a step that has its own shape."""
    return {name: value for name, value in environ.items() if name not in _SHAPE_VARIABLES}


def profile_step(allocation: Allocation, mpi_plugin: str, settings_file: Path) -> list[str]:
    """`srun` for the profile stage: one MPI rank per CPU of the job."""
    return [
        "srun", f"--mpi={mpi_plugin}", "--job-name=profile",
        f"--nodes={len(allocation.cpus)}", f"--ntasks={sum(allocation.cpus)}", *_ranks_by_node(allocation.cpus),
        "--cpus-per-task=1", "--kill-on-bad-exit=1", "--unbuffered",
        sys.executable, "-m", "ray_downloader.profile", str(settings_file),
    ]  # fmt: skip


def _ranks_by_node(cpus: Sequence[int]) -> list[str]:
    return [f"--ntasks-per-node={cpus[0]}"] if len(set(cpus)) == 1 else []


def ray_step(plan: NodePlan, log_pattern: Path) -> list[str]:
    """`srun` for the Ray step: one task per node, in one step that survives the loss of nodes.

    Args:
        plan: The plan for all nodes.
        log_pattern: The log of each node; `%n` is its number.
    """
    nodes = len(plan.cpus)
    return [
        "srun", "--mpi=none", "--job-name=ray", "--overlap", "--no-kill", "--kill-on-bad-exit=0", "--wait=0",
        f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--relative=0", "--cpu-bind=none",
        f"--output={log_pattern}", "--open-mode=append",
        sys.executable, "-m", "ray_downloader.slurm.ray_node", plan.to_json(),
    ]  # fmt: skip


def ray_start(plan: NodePlan, node: int, own_address: str, temp_dir: Path, object_store_bytes: int) -> list[str]:
    """`ray start` on one node.

    Args:
        node: Number of the node in the step; 0 is the head.
        own_address: IP address under which the other nodes reach it.
    """
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats",
        f"--node-ip-address={own_address}", f"--num-cpus={plan.cpus[node]}", f"--temp-dir={temp_dir}",
        f"--object-store-memory={object_store_bytes}", "--dashboard-agent-listen-port=0",
        # 0 lets the kernel choose: two jobs on one node would compete for the first ports of a fixed range.
        "--min-worker-port=0", "--max-worker-port=0",
    ]  # fmt: skip
    if plan.memory_mb is not None:
        command.append(f"--memory={plan.memory_mb[node] * 2**20 - object_store_bytes}")
    if node:
        return [*command, f"--address={plan.head_address}"]
    command += ["--head", f"--port={plan.head_address.rpartition(':')[2]}"]
    command += [f"--ray-client-server-port={plan.client_port}"]
    return [
        *command,
        "--include-dashboard=true",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={plan.dashboard_port}",
    ]


def ssh_line(dashboard: str, node: str, login: str | None) -> str:
    """The command with which the user reaches the dashboard, which only listens on the head's loopback address.

    Args:
        dashboard: Its `host:port`.
        node: Name of the head node.
        login: The host from which the job was submitted.
    """
    port = dashboard.rpartition(":")[2]
    jump = f" -J {login}" if login else ""
    return f"ssh -N -L {port}:127.0.0.1:{port}{jump} {node}"
