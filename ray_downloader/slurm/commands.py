"""The command lines of the job's steps. Pure: a command is data."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ray_downloader.slurm.allocation import Allocation

#: The shape of the batch script, or of the step that this process is in, which a step must not inherit as it has its
#: own (`srun` reads its options from these); nor the address of another Ray.
_SHAPE_VARIABLES = frozenset(
    {
        "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_TASKS_PER_NODE", "SLURM_CPUS_PER_TASK", "SLURM_TRES_PER_TASK",
        "SLURM_NNODES", "SLURM_JOB_NUM_NODES", "SLURM_DISTRIBUTION", "SLURM_MPI_TYPE", "SLURM_EXACT",
        "SLURM_EXCLUSIVE", "SLURM_HINT", "SLURM_HOSTFILE", "SLURM_KILL_BAD_EXIT", "SLURM_LABELIO", "SLURM_MULTI_PROG",
        "SLURM_OVERCOMMIT", "SLURM_STDINMODE", "SLURM_STDOUTMODE", "SLURM_STDERRMODE", "SLURM_THREAD_SPEC",
        "SLURM_THREADS_PER_CORE", "SLURM_TIMELIMIT", "SLURM_WAIT", "SLURM_PTY_PORT", "SLURM_PTY_WIN_COL",
        "SLURM_PTY_WIN_ROW", "RAY_ADDRESS",
    }
)  # fmt: skip
_SHAPE_PREFIXES = ("SLURM_NTASKS_PER_", "SLURM_STEP", "SLURM_CPU_BIND", "SLURM_MEM_BIND", "SLURM_CPU_FREQ")


#: The last line in a node's log if its Ray ended, or never started, although nobody stopped it.
ENDED = "Ray has ended on this node"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The argument of `ray_node.py` on every node, as JSON.

    Args:
        head: Number of the node in the step that runs the head: that of the driver, which Ray requires.
        head_address: `host:port` that the head listens on.
        names: Names of the step's nodes, in Slurm's order.
        cpus: CPUs for Ray on each node, in the same order.
        scratch: Folder on each node for Ray's sockets and logs; its path must be short.
        memory_mb: Memory of the job on each node; None if Slurm does not limit it.
        start_timeout_s: How long a node waits for the head.
        interface: `cluster.interface`.
    """

    head: int
    head_address: str
    client_port: int
    names: tuple[str, ...]
    cpus: tuple[int, ...]
    memory_mb: tuple[int | None, ...]
    scratch: str
    dashboard_port: int | None
    start_timeout_s: float
    interface: str | None = None

    def to_json(self) -> str:
        """The JSON that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> NodePlan:
        """Parse the JSON of `to_json`."""
        values = json.loads(text)
        names, cpus, memory_mb = (tuple(values.pop(name)) for name in ("names", "cpus", "memory_mb"))
        return cls(names=names, cpus=cpus, memory_mb=memory_mb, **values)


def step_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a step that has its own shape."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _SHAPE_VARIABLES and not name.startswith(_SHAPE_PREFIXES)
    }


def profile_step(allocation: Allocation, mpi_plugin: str, settings_file: Path) -> list[str]:
    """`srun` for the profile stage: one MPI rank per CPU of the job."""
    return [
        "srun", f"--mpi={mpi_plugin}", "--job-name=profile", "--overlap", *_on(allocation.names),
        f"--ntasks={sum(allocation.cpus)}", *_ranks_by_node(allocation.cpus),
        "--cpus-per-task=1", "--kill-on-bad-exit=1", "--unbuffered",
        sys.executable, "-m", "ray_downloader.profile", str(settings_file),
    ]  # fmt: skip


def check_step(names: Sequence[str], proof: Path, secret: str) -> list[str]:
    """`srun` for the check whether nodes answer, have the program, and see the run folder: one task per node."""
    return [
        *_lasting("check"), *_on(names), f"--ntasks={len(names)}",
        sys.executable, "-m", "ray_downloader.slurm.node_check", str(proof), secret,
    ]  # fmt: skip


def guard_step(names: Sequence[str], num_downloads: int) -> list[str]:
    """`srun` for the guards, which notice that the node of the batch script is lost."""
    return [
        *_lasting("guard"), *_on(names), f"--ntasks={len(names)}",
        sys.executable, "-m", "ray_downloader.slurm.head_loss", str(num_downloads),
    ]  # fmt: skip


def _lasting(name: str) -> list[str]:
    """`srun` for one task per node that may lose nodes and tasks, and shares the CPUs with other steps."""
    return [
        "srun", "--quiet", "--mpi=none", f"--job-name={name}", "--overlap", "--no-kill", "--kill-on-bad-exit=0",
        "--wait=0", "--ntasks-per-node=1", "--cpu-bind=none",
    ]  # fmt: skip


def _on(names: Sequence[str]) -> list[str]:
    return [f"--nodes={len(names)}", f"--nodelist={','.join(names)}"]


def _ranks_by_node(cpus: Sequence[int]) -> list[str]:
    return [f"--ntasks-per-node={cpus[0]}"] if len(set(cpus)) == 1 else []


def ray_step(plan: NodePlan, log_pattern: Path) -> list[str]:
    """`srun` for the Ray step: one task per node, in one step that survives the loss of nodes.

    Args:
        plan: The plan for all nodes.
        log_pattern: The log of each node; `%t` is its number.
    """
    return [
        *_lasting("ray"), *_on(plan.names), f"--ntasks={len(plan.names)}",
        f"--output={log_pattern}", "--open-mode=append",
        sys.executable, "-m", "ray_downloader.slurm.ray_node", plan.to_json(),
    ]  # fmt: skip


def scratch_of(scratch: str, job_id: int, node: int) -> str:
    """Ray's folder on one node of the job."""
    return f"{scratch.rstrip('/')}/rd-{job_id}-{node}"


def ray_start(plan: NodePlan, node: int, own_address: str, temp_dir: Path, object_store_bytes: int) -> list[str]:
    """`ray start` on one node.

    Args:
        node: Number of the node in the step.
        own_address: IP address under which the other nodes reach it.
    """
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats",
        f"--node-ip-address={own_address}", f"--num-cpus={plan.cpus[node]}", f"--temp-dir={temp_dir}",
        f"--object-store-memory={object_store_bytes}", "--dashboard-agent-listen-port=0", "--log-color=false",
        # 0 lets the kernel choose: two jobs on one node would compete for the first ports of a fixed range.
        "--min-worker-port=0", "--max-worker-port=0",
    ]  # fmt: skip
    memory_mb = plan.memory_mb[node]
    if memory_mb is not None:
        command.append(f"--memory={memory_mb * 2**20 - object_store_bytes}")
    if node != plan.head:
        return [*command, f"--address={plan.head_address}"]
    command += ["--head", f"--port={plan.head_address.rpartition(':')[2]}"]
    command += [f"--ray-client-server-port={plan.client_port}"]
    if plan.dashboard_port is None:
        return [*command, "--include-dashboard=false"]
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
