"""What the driver acts through (its ports): slices that run somewhere, the budget actors, and whoever watches the run.

Ray is behind all of them in a real run (`slice_pool.py`, `actor_calls.py`, `metrics.py`); a simulation brings its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ray_downloader.monitor.waiting import Waiting
from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.orders import ServerOrder
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.ports import SliceReport
from ray_downloader.worker.progress import Progress


@dataclass(frozen=True, slots=True)
class SliceLost:
    """A slice that ended without a report; what it settled is in the journals of its batches.

    Args:
        reason: One line for the log.
        is_node_lost: Its node went away, which says nothing against the batches.
        holder: The name under which its task held leases.
    """

    reason: str
    is_node_lost: bool = False
    holder: str = ""


@dataclass(frozen=True, slots=True)
class RunMode:
    """What a whole run is in.

    Args:
        is_draining: It was told to stop.
        is_idle: Nothing is left to do but wait for servers in trouble, so patience with them runs out.
        is_outage: Our own network is out of order, so no failure says anything of a server.
    """

    is_draining: bool = False
    is_idle: bool = False
    is_outage: bool = False


class SlicePool(Protocol):
    """Runs time slices, each on a slot of its own."""

    def submit(self, items: Sequence[WorkItem]) -> Hashable:
        """Start a slice; returns the handle under which its end is reported."""

    def wait(self, timeout_s: float) -> Sequence[tuple[Hashable, SliceReport | SliceLost]]:
        """Slices that have ended; waits for the first of them, for at most `timeout_s`."""


class BudgetActors(Protocol):
    """All budget actors of the run."""

    def expected_rate_rps(self, batch: Batch) -> float:
        """Requests/s that the servers of a batch are expected to allow; infinite where there is no limit."""

    def progress(self) -> Progress | None:
        """What tasks reported since the actor that counts it was started; None where it does not answer now."""

    def waiting(self) -> Mapping[str, Waiting]:
        """Budgets that get no request now, and why."""

    def order(self, order: ServerOrder) -> None:
        """Pass an order of the operator on; it is in the run folder already."""

    def has_answered(self, server: str | None = None) -> bool:
        """Whether the server, or any server, ever answered: in this run (as last saved) or an earlier one."""

    def forget(self, holder: str) -> None:
        """A task is gone: the connections that it had to servers are free."""

    def enter(self, mode: RunMode) -> None:
        """Report what the run is in now; repeated with each `save`, as an actor may have been restarted."""

    def save(self) -> None:
        """Write what was learned to the run folder."""


@dataclass(frozen=True, slots=True)
class RunView:
    """The run as it is now, for those who watch it.

    Args:
        progress: Sums of this run.
        waiting: Budgets that get no request now, and why.
        is_final: Nothing comes after this.
    """

    progress: Progress
    mode: RunMode = RunMode()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    is_final: bool = False


class Watcher(Protocol):
    """Shows or keeps the state of a run: a bar, a file, metrics."""

    def update(self, view: RunView, now_s: float) -> None:
        """Take in the present state; called about twice a second."""


@dataclass(frozen=True, slots=True)
class DriverPorts:
    """What the driver acts through; a simulation hands in its own.

    Args:
        rescan: What is left of batches, as their files say.
        watchers: Who is shown the state of the run.
        clock: Monotonic time.
        sleep: Waits for so many seconds, or less.
    """

    pool: SlicePool
    actors: BudgetActors
    rescan: Callable[[Sequence[Batch]], Sequence[WorkItem]]
    watchers: Sequence[Watcher] = ()
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
