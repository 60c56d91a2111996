"""Starts or joins Ray, and determines how large it is."""

from __future__ import annotations

import logging
import math
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import ray
from ray._private import utils, worker
from ray._private.services import get_webui_url_from_internal_kv
from ray.exceptions import AuthenticationError

from ray_downloader.cluster.environment import address_of, as_ray_process, refuse_silent, starts_own_nodes
from ray_downloader.cluster.head_watch import HeadWatch
from ray_downloader.cluster.lean_node import do_nothing, replaced, starting_lean
from ray_downloader.cluster.private_folder import private_folder
from ray_downloader.cluster.sessions import removing_sessions
from ray_downloader.cluster.start_watch import StartWatch, watching_ray
from ray_downloader.config.settings import ClusterSettings, DownloaderParameters
from ray_downloader.errors import RayLostError, StartError, UserError
from ray_downloader.machine import usable_cpus, usable_memory_bytes
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.signals import deferring_signals, ignoring_signals
from ray_downloader.slurm.addresses import is_listening
from ray_downloader.slurm.commands import ssh_line
from ray_downloader.slurm.node_memory import memory_sentence
from ray_downloader.slurm.ray_step import RayStep, running_ray_step
from ray_downloader.slurm.ray_words import death_sentence

#: Only small objects cross Ray here (batches' names and reports), so its store can be small.
OBJECT_STORE_BYTES = 80 * 1024 * 1024
LONGEST_SCRATCH = 32
#: With less address space Ray may abort without a sentence. With 2 CPUs it did so at 2.9 GiB, and started at 2.4, 3.3
#: and 3.8.
LEAST_ADDRESS_SPACE_BYTES = 7 << 29
DASHBOARD_PATIENCE_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running Ray.

    Args:
        slots: Number of worker tasks that run at once.
        cpus: Cores of all nodes used.
        memory_mb: Memory of all nodes used.
        dashboard: Address of Ray's dashboard, if it runs.
        head: Watches over Ray's head.
        hostnames: Names of the nodes by address.
        require_running: Raises `RayLostError` if Ray has ended, unless it is not ours.
    """

    nodes: int
    slots: int
    cpus: float
    memory_mb: float
    dashboard: str | None
    namespace: str
    head: HeadWatch
    require_running: Callable[[], None] = lambda: None
    hostnames: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def running_cluster(
    options: ClusterSettings, parameters: DownloaderParameters, layout: RunLayout, purpose: str = ""
) -> Iterator[Cluster]:
    """Ray for one run: embedded (`local`), one that runs already (`existing`), or one on the job's nodes (`slurm`).

    Args:
        options: Group `cluster`.
        parameters: How much of it to use.
        layout: The run folder: names what is shared in Ray, and receives the nodes' logs.
        purpose: Distinguishes several users of one run folder.

    Raises:
        UserError: No Ray is running, or it did not start.
    """
    _require_address_space(resource.getrlimit(resource.RLIMIT_AS)[0])
    namespace = options.namespace or f"ray_downloader {layout.root} {purpose}".rstrip()
    with ExitStack() as stack:
        own = starts_own_nodes(options)
        step = stack.enter_context(running_ray_step(options, parameters, layout)) if own else None
        if ray.is_initialized() and not own:
            # The caller's own Ray is neither restarted nor ended, whatever `cluster` says.
            yield _measure(options, parameters, namespace, None)
            return
        # Below a private folder, as Ray opens its own to everybody.
        folder = private_folder(_short(options.scratch)) / "ray" if options.name == "local" else None
        if folder:
            stack.enter_context(removing_sessions(folder))
        stack.callback(_leave_ray)
        if folder:
            watch = stack.enter_context(watching_ray())
            dashboard = _start_embedded(options, namespace, folder, watch)
        elif step:
            dashboard = _join_step(step, namespace, options)
            stack.enter_context(step.watched())
        else:
            address = _required_address(options)
            refuse_silent(address)
            dashboard = _join(address, namespace)
        cluster = _measure(options, parameters, namespace, dashboard)
        if step:
            cluster = replace(cluster, head=step.watch, require_running=step.require_running)
        elif options.name == "local":
            cluster = replace(cluster, require_running=_require_embedded)
        yield cluster


def _require_address_space(limit_bytes: int) -> None:
    """Check the limit of this process, and of those that it starts.

    Raises:
        StartError: It is too low.
    """
    if limit_bytes != resource.RLIM_INFINITY and limit_bytes < LEAST_ADDRESS_SPACE_BYTES:
        raise StartError(
            f"this shell allows each process {limit_bytes >> 20} MB of address space (ulimit -v), and Ray needs "
            f"{LEAST_ADDRESS_SPACE_BYTES >> 20} or more, most of which never becomes memory; allow it (ulimit -v "
            "unlimited), and the same command continues"
        )


def _leave_ray() -> None:
    """A signal to stop comes too late to change how the run has ended: its exit code stays true."""
    with ignoring_signals():
        ray.shutdown()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals come after the block, to the handlers that they have: `ray.init` has one of its own for SIGTERM."""
    with deferring_signals(), replaced(utils, "set_sigterm_handler", lambda _: do_nothing):
        yield


def _start_embedded(options: ClusterSettings, namespace: str, folder: Path, watch: StartWatch) -> str | None:
    """Start Ray in this process, with its files in `folder`; returns the address of the dashboard, if there is one."""
    port = options.dashboard_port if isinstance(options.dashboard_port, int) else None
    with _undisturbed(), as_ray_process(), starting_lean(port is not None), _starting(folder, watch):
        context = ray.init(
            address="local",
            namespace=namespace,
            num_cpus=options.num_cpus or usable_cpus(),
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=str(folder),
            _memory=_memory_for_tasks(),
            include_dashboard=port is not None,
            dashboard_port=port,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    return context.address_info["webui_url"] or None


@contextmanager
def _starting(folder: Path, watch: StartWatch) -> Iterator[None]:
    """Ray has no error of its own for a start that fails: it raises what it has, with advice.

    Args:
        folder: Where its logs are.
        watch: Of its processes.

    Raises:
        RayLostError: One of its processes was killed, which says nothing about the next start.
        StartError: It did not start.
    """
    try:
        yield
    except Exception as error:
        _log.debug("Ray did not start", exc_info=True)
        if watch.killed:
            raise RayLostError(watch.killed) from error
        reason = next(iter(str(error).splitlines()), type(error).__name__).partition(". ")[0].rstrip(".")
        raise StartError(
            f"Ray did not start on this machine: {reason}; its logs are below {folder}. Too little memory, too little "
            "room there or a limit of this shell (ulimit -a) are common reasons; the same command tries again"
        ) from error


def _require_embedded() -> None:
    """Check that the processes of the embedded Ray run.

    Raises:
        RayLostError: One of them has ended, and with it Ray.
    """
    node = worker._global_node
    dead = [(name, process.returncode) for name, process in node.dead_processes() if name in {"gcs_server", "raylet"}]
    if dead:
        first = min(dead, key=lambda pair: pair[1])  # that of a signal is negative; the others end because of it
        raise RayLostError(death_sentence(platform.node(), first, first[1], memory_sentence(first[0])))


def _short(scratch: str) -> Path:
    """`cluster.scratch`, unless its path is too long for Ray's sockets below it, which may have 107 characters."""
    return Path(scratch) if len(scratch) <= LONGEST_SCRATCH else Path("/tmp")


def _memory_for_tasks() -> int | None:
    """Memory for tasks within the limits of this process; None if only the machine limits it, which Ray measures."""
    usable = usable_memory_bytes()
    return None if usable >= psutil.virtual_memory().total else max(1, usable - OBJECT_STORE_BYTES)


def _required_address(options: ClusterSettings) -> str:
    address = address_of(options)
    if not address:
        raise UserError(
            f"cluster={options.name} joins a running Ray: set cluster.address=host:port or RAY_ADDRESS to its address"
        )
    return address


def _join(address: str, namespace: str) -> str | None:
    try:
        with _undisturbed():
            context = ray.init(address=address, namespace=namespace, log_to_driver=False, logging_level=logging.WARNING)
    except AuthenticationError as error:
        raise UserError(
            f"the Ray at {address} refuses this user's token: name the file with the right one by cluster.token_file "
            f"({str(error).splitlines()[0]})"
        ) from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"no Ray answers at {address}, or it requires another token (cluster.token_file): "
            f"{str(error).splitlines()[0]}"
        ) from None
    return context.address_info["webui_url"] or None


def _join_step(step: RayStep, namespace: str, options: ClusterSettings) -> str | None:
    """Join the job's own Ray, which listens some seconds before it answers, and wait for its nodes."""
    until_s = time.monotonic() + options.start_timeout_s
    while True:
        try:
            _join(step.address, namespace)
            break
        except UserError:
            step.require_started()
            if time.monotonic() > until_s:
                raise
    _await_nodes(step, options.start_timeout_s)
    dashboard = _await_dashboard() if options.dashboard_port is not None else None
    _tell_way_to(dashboard)
    return dashboard


def _await_nodes(step: RayStep, timeout_s: float) -> None:
    """Wait for all nodes of the job; one that does not join costs its CPUs, not the job."""
    until_s = time.monotonic() + timeout_s
    while len(joined := [node["NodeManagerHostname"] for node in _alive_nodes()]) < len(step.names):
        step.require_started()
        if time.monotonic() > until_s or not step.awaits_nodes(joined):
            sentence = "only %d of %d nodes joined, the run goes on with them: %s"
            _log.warning(sentence, len(joined), len(step.names), step.missing_words(joined))
            return
        time.sleep(0.2)


def _await_dashboard() -> str | None:
    """Address of the dashboard, which starts later than everything else; None if it does not start."""
    until_s = time.monotonic() + DASHBOARD_PATIENCE_S
    while not (address := get_webui_url_from_internal_kv()) and time.monotonic() < until_s:
        time.sleep(0.2)
    return address or None


def _tell_way_to(dashboard: str | None) -> None:
    if dashboard:
        line = ssh_line(dashboard, os.environ["SLURMD_NODENAME"], os.environ.get("SLURM_SUBMIT_HOST"))
        token_file = os.environ["RAY_AUTH_TOKEN_PATH"]
        _log.info("dashboard: %s , then http://%s with the token in %s", line, dashboard, token_file)


def _alive_nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _measure(
    options: ClusterSettings, parameters: DownloaderParameters, namespace: str, dashboard: str | None
) -> Cluster:
    alive = [node["Resources"] for node in _alive_nodes() if node["Resources"].get("CPU")]
    nodes = sorted(alive, key=lambda resources: -resources["CPU"])[: parameters.max_nodes]
    return Cluster(
        nodes=len(nodes),
        slots=max(1, sum(_slots_of(node, options, parameters) for node in nodes)),
        cpus=sum(node["CPU"] for node in nodes),
        memory_mb=sum(node.get("memory", 0) for node in nodes) / 2**20,
        dashboard=dashboard,
        namespace=namespace,
        head=HeadWatch(partial(is_listening, ray.get_runtime_context().gcs_address)),
        hostnames={node["NodeManagerAddress"]: node["NodeManagerHostname"] for node in _alive_nodes()},
    )


def _slots_of(resources: Mapping[str, float], options: ClusterSettings, parameters: DownloaderParameters) -> int:
    """Tasks that run at once on a node: as many as it has CPUs and memory for; a Ray may not state its memory."""
    by_cpus = int(resources["CPU"] / parameters.cpu_per_worker)
    by_memory = max(1.0, resources.get("memory", math.inf) / 2**20 / options.worker_memory_mb)
    return int(min(by_cpus, by_memory, parameters.workers_per_node or by_cpus))
