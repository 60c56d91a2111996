"""Starts or joins Ray, and says how large it is."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray

from ray_downloader.errors import UserError
from ray_downloader.settings import ClusterSettings, DownloaderParameters

#: Small objects only cross Ray here (batches' names and reports), so its store can be small.
OBJECT_STORE_BYTES = 80 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running Ray.

    Args:
        slots: Worker tasks that run at once.
        cpus: Cores of all nodes used.
        memory_mb: Memory of all nodes used.
        dashboard: Address of Ray's dashboard, if it runs.
    """

    nodes: int
    slots: int
    cpus: float
    memory_mb: float
    dashboard: str | None
    namespace: str


@contextmanager
def running_cluster(options: ClusterSettings, parameters: DownloaderParameters, run_name: str) -> Iterator[Cluster]:
    """Ray for one run: embedded (`local`), or one that runs already (`existing`, `slurm`).

    Raises:
        UserError: There is no Ray to join.
    """
    namespace = options.namespace or f"ray_downloader {run_name}"
    if options.name == "local":
        _start_embedded(options, namespace)
    else:
        _join(options, namespace)
    try:
        yield _measure(options, parameters, namespace)
    finally:
        ray.shutdown()


def _start_embedded(options: ClusterSettings, namespace: str) -> None:
    ray.init(
        address="local",
        namespace=namespace,
        num_cpus=options.num_cpus,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=options.dashboard_port is not None,
        dashboard_port=options.dashboard_port,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )


def _join(options: ClusterSettings, namespace: str) -> None:
    address = options.address or os.environ.get("RAY_ADDRESS")
    if not address:
        raise UserError(
            f"cluster={options.name} joins a running Ray: set cluster.address=host:port or RAY_ADDRESS to its address"
        )
    try:
        ray.init(address=address, namespace=namespace, log_to_driver=False, logging_level=logging.WARNING)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"no Ray answers at {address}: {str(error).splitlines()[0]}") from None


def _measure(options: ClusterSettings, parameters: DownloaderParameters, namespace: str) -> Cluster:
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    nodes = sorted(alive, key=lambda resources: -resources["CPU"])[: parameters.max_nodes]
    per_node = [
        min(int(node["CPU"] / parameters.cpu_per_worker), parameters.workers_per_node or 1_000_000) for node in nodes
    ]
    dashboard = ray.get_runtime_context().worker.node.webui_url if options.name == "local" else None
    return Cluster(
        nodes=len(nodes),
        slots=max(1, sum(per_node)),
        cpus=sum(node["CPU"] for node in nodes),
        memory_mb=sum(node.get("memory", 0) for node in nodes) / 2**20,
        dashboard=dashboard or None,
        namespace=namespace,
    )
