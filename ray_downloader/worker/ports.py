"""The ports through which the worker loop acts, its input and its report."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from ray_downloader.fetch.base import Fetcher
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.image import ProcessedImage
from ray_downloader.output.batch_folder import BatchCounts
from ray_downloader.partition.batches import Batch
from ray_downloader.politeness.messages import Lease, LeaseRequest, Verdict
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.spill import Body
from ray_downloader.worker.progress import ProgressDelta


@dataclass(slots=True)
class SliceReport:
    """The result of one time slice."""

    finished: list[tuple[Batch, BatchCounts]] = field(default_factory=list)
    unfinished: list[WorkItem] = field(default_factory=list)
    requests: int = 0
    size_bytes: int = 0


class BudgetClient(Protocol):
    """A task's line to all budgets; never blocks the event loop."""

    def request(self, requests: Sequence[LeaseRequest]) -> None:
        """Send requests; a later `receive` returns their leases."""

    def receive(self) -> list[Lease]:
        """Leases that have arrived since the last call."""

    def report(self, delta: ProgressDelta) -> None:
        """Report progress; a task without a lease to request learns this way that the run drains."""

    @property
    def is_draining(self) -> bool:
        """Whether the run is ending."""

    @property
    def hosts(self) -> Mapping[str, Verdict]:
        """Hosts of groups that the operator paused or banned, while the others of their group continue."""


def publishing_thread() -> Executor:
    """One thread beside the loop."""
    return ThreadPoolExecutor(1, thread_name_prefix="publish")


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports through which the loop acts; a test passes its own."""

    fetcher: Fetcher
    budgets: BudgetClient
    #: Body, whether it is known to be complete, whether to decode it in a separate process. What is decoded there is
    #: returned as a future.
    process: Callable[[Body, bool, bool], ProcessedImage | Future[ProcessedImage]]
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    rng: random.Random = field(default_factory=random.Random)
    #: Memory and scratch for bodies, shared with the fetcher.
    room: BodyRoom = field(default_factory=BodyRoom)
    #: Creates the executor that publishes batches: a thread beside the loop.
    publish: Callable[[], Executor] = publishing_thread


@dataclass(frozen=True, slots=True)
class TimeSlice:
    """One task's turn.

    Args:
        holder: Unique name of this task attempt.
        seconds: When to stop starting requests.
    """

    holder: str
    seconds: float
