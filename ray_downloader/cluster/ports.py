"""The driver's ports: slices that run somewhere, the budget actors, and the watchers of the run.

In a real run Ray is behind all of them (`slice_pool.py`, `actor_calls.py`, `metrics.py`); a simulation has its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ray_downloader.errors import UserError
from ray_downloader.monitor.waiting import Waiting
from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.orders import ServerOrder
from ray_downloader.run_folder.packed_states import LearnedFacts
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.news import ProgressNews
from ray_downloader.worker.ports import SliceReport
from ray_downloader.worker.progress import Progress


@dataclass(frozen=True, slots=True)
class SliceLost:
    """A slice that ended without a report; what it settled is in the journals of its batches.

    Args:
        reason: One line for the log.
        is_node_lost: Its node was lost, so its batches are not to blame.
        holder: The name under which its task held leases.
        failure: What no other task could do better: the disk is full, a table of URLs is damaged, or Ray has ended.
    """

    reason: str
    is_node_lost: bool = False
    holder: str = ""
    failure: UserError | None = None


@dataclass(frozen=True, slots=True)
class RunMode:
    """The condition of a whole run.

    Args:
        is_draining: It is stopping.
        is_idle: It can do nothing but wait for servers in trouble, so patience with them runs out.
        is_outage: Our own network is down, so failures say nothing about servers.
    """

    is_draining: bool = False
    is_idle: bool = False
    is_outage: bool = False


class SlicePool(Protocol):
    """Runs time slices, each on a slot of its own."""

    def submit(self, items: Sequence[WorkItem], seconds: float) -> Hashable:
        """Start a slice of that length; returns the handle under which its end is reported."""

    def wait(self, timeout_s: float) -> Sequence[tuple[Hashable, SliceReport | SliceLost]]:
        """Slices that have ended; waits for the first of them, for at most `timeout_s`."""


class BudgetActors(Protocol):
    """All budget actors of the run."""

    def expected_rate_rps(self, batch: Batch) -> float:
        """Requests/s that the servers of a batch are expected to allow; infinite if there is no limit."""

    def progress(self, received: int | None) -> ProgressNews | None:
        """What tasks reported since the last news; None if the actor that counts does not answer now.

        Args:
            received: Number of the last news.
        """

    def waiting(self) -> Mapping[str, Waiting]:
        """Budgets that get no request now, and the reasons."""

    def order(self, order: ServerOrder) -> None:
        """Pass on an order of the operator; it is already in the run folder."""

    def has_answered(self, server: str | None = None) -> bool:
        """Whether the server, or any server, ever answered: in this run (as last saved) or an earlier one."""

    def forget(self, holder: str) -> None:
        """Free the connections that a lost task had to servers."""

    def enter(self, mode: RunMode) -> None:
        """Report the condition of the run; repeated with each `save`, as an actor may have been restarted."""

    def save(self) -> None:
        """Write what was learned to the run folder."""

    def learned(self) -> Mapping[str, LearnedFacts]:
        """What was learned about each budget, as last saved."""


@dataclass(frozen=True, slots=True)
class RunView:
    """The run as it is now, for its watchers.

    Args:
        progress: Sums of this run.
        waiting: Budgets that get no request now, and the reasons.
        learned: What was learned about each budget, as last saved.
        is_final: Nothing follows.
    """

    progress: Progress
    mode: RunMode = RunMode()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    learned: Mapping[str, LearnedFacts] = field(default_factory=dict)
    is_final: bool = False


class Watcher(Protocol):
    """Shows or records the state of a run: a bar, a file, metrics."""

    def update(self, view: RunView, now_s: float) -> None:
        """Show the present state; called about twice a second."""


@dataclass(frozen=True, slots=True)
class DriverPorts:
    """The ports through which the driver acts; a simulation passes its own.

    Args:
        rescan: Determines what is left of batches from their files.
        watchers: Receive the state of the run.
        clock: Monotonic time.
        sleep: Waits for the given number of seconds, or less.
        publish: Receives batches that were finished.
    """

    pool: SlicePool
    actors: BudgetActors
    rescan: Callable[[Sequence[Batch]], Sequence[WorkItem]]
    watchers: Sequence[Watcher] = ()
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    publish: Callable[[Sequence[Batch]], None] = lambda _: None
