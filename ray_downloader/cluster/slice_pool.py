"""Time slices as Ray tasks: submits them, waits for them, and reports how one was lost."""

from __future__ import annotations

import logging
import os
import re
import time
import uuid
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import LocalRayletDiedError, NodeDiedError, ObjectLostError, RayError, RayTaskError

from ray_downloader.cluster.connect import Cluster
from ray_downloader.cluster.placement import Directory
from ray_downloader.cluster.ports import SliceLost
from ray_downloader.cluster.slices import Slice, slice_task
from ray_downloader.config.secrets import secret_variables
from ray_downloader.errors import RayLostError, UserError
from ray_downloader.run_folder.file_errors import file_error
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.ports import SliceReport, TimeSlice
from ray_downloader.worker.run_context import RunContext

SILENT_INTERVAL_S = 1.0
#: Ray keeps metrics of each task name for ever: 13 kB in this process, 12 in the node's agent, and 8 in each worker
#: that had such a task (measured over 4,000 names).
MOST_NAMES = 500
#: The name of the slices after that.
FURTHER = "further batches"
_log = logging.getLogger(__name__)
_NODE_LOST = (NodeDiedError, LocalRayletDiedError, ObjectLostError)


class RaySlicePool:
    """Runs each slice as one Ray task.

    Args:
        context: The run.
        directory: The budget actors.
        cluster: The Ray that runs them.
    """

    def __init__(self, context: RunContext, directory: Directory[Any], cluster: Cluster) -> None:
        self._root = context.layout.root
        self._settings_file = context.layout.settings_file
        self._secrets = secret_variables(context.settings, os.environ)
        self._cpus = context.settings.downloader_parameters.cpu_per_worker
        self._directory = directory
        self._hostnames = cluster.hostnames
        self._head = cluster.head
        self._require_running = cluster.require_running
        self._holders: dict[ray.ObjectRef, str] = {}
        self._names: set[str] = set()

    def submit(self, items: Sequence[WorkItem], seconds: float) -> ray.ObjectRef:
        """Start a task; its handle is Ray's reference to its result."""
        time_slice = TimeSlice(uuid.uuid4().hex[:12], seconds)
        work = Slice(self._settings_file, self._directory, items, time_slice, self._secrets)
        handle: ray.ObjectRef = slice_task(self._cpus, self._name_of(items)).remote(work)
        self._holders[handle] = time_slice.holder
        return handle

    def _name_of(self, items: Sequence[WorkItem]) -> str:
        """The task's name on the dashboard: that of its batches, as long as there are not too many names."""
        name = _task_name(items)
        if name not in self._names and len(self._names) >= MOST_NAMES:
            return FURTHER
        self._names.add(name)
        return name

    def wait(self, timeout_s: float) -> Sequence[tuple[Hashable, SliceReport | SliceLost]]:
        """Tasks that have ended, well or not.

        Raises:
            RayLostError: They were lost because Ray has ended.
        """
        done, _ = ray.wait(list(self._holders), timeout=timeout_s)
        ended = [(handle, self._result_of(handle, self._holders.pop(handle))) for handle in done]
        if not any(isinstance(outcome, SliceLost) and outcome.is_node_lost for _, outcome in ended):
            return ended
        self._require_ray()  # asked once, however many tasks a node had: without an answer it takes a second
        return ended

    def _result_of(self, handle: ray.ObjectRef, holder: str) -> SliceReport | SliceLost:
        try:
            report: SliceReport = ray.get(handle)
        except RayTaskError as error:
            told = error.cause if isinstance(error.cause, UserError) else file_error(error.cause, self._root)
            if told is not None:
                return SliceLost(str(told), holder=holder, failure=told)
            _log.error("a worker task failed, which is a fault of this program:\n%s", error)
            return SliceLost(f"{type(error.cause).__name__}: {error.cause}", holder=holder)
        except RayError as error:
            reason = _short_reason(str(error), self._hostnames)
            return SliceLost(reason, is_node_lost=isinstance(error, _NODE_LOST), holder=holder)
        return report

    def _require_ray(self) -> None:
        """Check that Ray runs on this machine: otherwise every further task would be lost at once.

        A head that is silent is believed lost after a while only: on Slurm, its own node says more until then.

        Raises:
            RayLostError: It does not.
        """
        self._require_running()
        if self._head.is_lost():
            raise RayLostError("Ray's head, on which its other processes depend, accepts no connections")
        if self._head.is_silent:
            time.sleep(SILENT_INTERVAL_S)  # tasks are lost at once as long as it lasts
        elif not _is_own_node_alive():
            raise RayLostError("Ray's own process on this machine (raylet) has ended")


def _short_reason(message: str, hostnames: Mapping[str, str]) -> str:
    """Ray's first sentence, and the node that it is about; Ray continues with advice."""
    reason = message.splitlines()[0].partition(". ")[0]
    node = re.search(r"Node IP: ([^\s,]+)", message)
    return f"{reason} ({hostnames.get(node[1], node[1])})" if node else reason


def _is_own_node_alive() -> bool:
    """Whether Ray runs on this machine."""
    try:
        own = ray.get_runtime_context().get_node_id()
        return any(node["NodeID"] == own and node["Alive"] for node in ray.nodes())
    except (RayError, RuntimeError, ConnectionError) as error:
        _log.debug("Ray does not answer: %s", error)
        return False


def _task_name(items: Sequence[WorkItem]) -> str:
    """A name for a slice: its first server, the range of its batches, and how many other servers."""
    first = items[0].batch.server_name
    numbers = [item.batch.partition_id for item in items if item.batch.server_name == first]
    others = len({item.batch.server_name for item in items}) - 1
    span = f"{min(numbers)}-{max(numbers)}" if len(numbers) > 1 else f"{numbers[0]}"
    return f"{first} {span}" + (f" and {others} more servers" if others else "")
