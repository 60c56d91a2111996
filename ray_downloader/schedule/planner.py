"""Which batches are next, in which task: pure, no clock, no Ray.

A task is a time slice on one core. It gets as many servers as fill the core and no more (a crowded core would slow down
the very server that decides when the run ends), longest remaining work first. A server's batches stay in one task at a
time if one core can keep up with its rate; only a faster server is spread. The book-keeping costs O(log n) per batch,
so 10^6 batches are planned in seconds. `benchmarks/simulate.py` shows how close a run comes to the minimum time.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.schemas import POOLED

#: Images/s that fill one core: a task gets servers until their rates add up to this (2 cores: 850 to 1,000/s of 62 kB).
CORE_RPS = 450.0
#: Maximum number of batches in one task; each holds a chunk of rows in memory.
MAX_BATCHES = 256
#: How many servers one planning may skip because they do not fit into what is left of any core.
LOOK_AHEAD = 1_000
#: A slice that is cut short for a batch that wakes lasts at least this long, as each one begins with new connections.
LEAST_SLICE_S = 15.0
#: A slot that is free so soon is waited for, so that all slots get their share.
SOON_S = 5.0


def slice_seconds(task_seconds: float, wakes_in_s: float, others_end_in_s: Iterable[float]) -> float:
    """Length of a slice that takes the last free slot.

    It ends when the next sleeping batch wakes, if no other slot is free by then: that batch's server, which may be the
    last of the run, would otherwise wait until any slice ends.

    Args:
        task_seconds: Its length if nobody waits for the slot.
        wakes_in_s: When the next sleeping batch becomes ready; infinite if none sleeps.
        others_end_in_s: When the slices in the other slots are to end; one that is overdue may take long.
    """
    soonest_s = max(wakes_in_s, LEAST_SLICE_S)
    if any(0 <= end_s <= soonest_s for end_s in others_end_in_s):
        return task_seconds
    return min(task_seconds, soonest_s)


@dataclass(slots=True, frozen=True)
class WorkItem:
    """A batch with rows to settle.

    Args:
        left: How many rows.
        ready_in_s: When its servers may receive requests again, counted from when it was returned.
        is_alone: Whether it gets a task of its own, because tasks that contained it died.
    """

    batch: Batch
    left: int
    ready_in_s: float = 0.0
    is_alone: bool = False


@dataclass(slots=True)
class _Lane:
    """The waiting batches of one server; a pooled batch, which contains many servers, has a lane of its own."""

    rate_rps: float
    waiting: deque[WorkItem] = field(default_factory=deque)
    rows_waiting: int = 0
    running_tasks: int = 0

    @property
    def max_tasks(self) -> float:
        return max(1.0, self.rate_rps / CORE_RPS)

    @property
    def rate_per_task_rps(self) -> float:
        """The share of its rate for each of the tasks over which it is spread."""
        return self.rate_rps / math.ceil(self.max_tasks) if math.isfinite(self.rate_rps) else CORE_RPS

    @property
    def is_ready(self) -> bool:
        return bool(self.waiting) and self.running_tasks < self.max_tasks

    def take(self, rows: float) -> list[WorkItem]:
        """Waiting batches with about this many rows, at least one batch."""
        taken: list[WorkItem] = []
        while self.waiting and len(taken) < MAX_BATCHES and (not taken or rows > 0):
            item = self.waiting.popleft()
            self.rows_waiting -= item.left
            rows -= item.left
            taken.append(item)
        return taken


class Planner:
    """Assigns batches to task slots.

    Args:
        rate_rps: Expected requests/s for a batch's server (all its servers, for a pooled one); infinite if there is no
            limit. It is called again at each planning, so it may learn.
        slots: Tasks that run at once.
        task_seconds: Length of a slice.
    """

    def __init__(self, rate_rps: Callable[[Batch], float], slots: int, task_seconds: float) -> None:
        self._rate_rps = rate_rps
        self._slots = slots
        self._task_seconds = task_seconds
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._ready: list[tuple[float, tuple[str, int]]] = []
        self._asleep: list[tuple[float, int, WorkItem]] = []
        self._alone: deque[WorkItem] = deque()
        self._demand_rps = 0.0

    @property
    def has_work(self) -> bool:
        """Whether a batch waits, now or later."""
        return bool(self._asleep or self._alone) or any(lane.waiting for lane in self._lanes.values())

    def add(self, items: Iterable[WorkItem], now_s: float) -> None:
        """Add batches, new ones or ones that a task returned."""
        for item in items:
            if item.is_alone:
                self._alone.append(item)
            elif item.ready_in_s > 0:
                heapq.heappush(self._asleep, (now_s + item.ready_in_s, item.batch.batch_id, item))
            else:
                self._enter(item)

    def _enter(self, item: WorkItem) -> None:
        lane = self._lane_of(item.batch)
        lane.waiting.append(item)
        lane.rows_waiting += item.left
        self._offer(_lane_key(item.batch), lane)

    def _lane_of(self, batch: Batch) -> _Lane:
        lane = self._lanes.get(_lane_key(batch))
        if lane is None:
            lane = self._lanes[_lane_key(batch)] = _Lane(0.0)
            self._learn_rate(lane, batch)
        return lane

    def _learn_rate(self, lane: _Lane, batch: Batch) -> None:
        """Look up the lane's rate, and keep the sum of all rates, each as far as the slots can make use of it."""
        before_rps, lane.rate_rps = lane.rate_rps, self._rate_rps(batch)
        most_rps = self._slots * CORE_RPS
        self._demand_rps += min(lane.rate_rps, most_rps) - min(before_rps, most_rps)

    def _forget(self, key: tuple[str, int]) -> None:
        self._demand_rps -= min(self._lanes.pop(key).rate_rps, self._slots * CORE_RPS)

    def _offer(self, key: tuple[str, int], lane: _Lane) -> None:
        """Add a lane to those to be assigned; its old entries in the heap are skipped when they come up."""
        if lane.is_ready:
            heapq.heappush(self._ready, (-lane.rows_waiting / lane.rate_rps, key))

    def task_ended(self, batches: Iterable[Batch]) -> None:
        """Record that a task with these batches has ended, well or not."""
        for key in {_lane_key(batch) for batch in batches}:
            lane = self._lanes[key]
            lane.running_tasks -= 1
            if lane.waiting:
                self._offer(key, lane)
            elif not lane.running_tasks:
                self._forget(key)

    @property
    def is_ready(self) -> bool:
        """Whether a waiting batch could be assigned if a slot were free."""
        while self._ready and not self._is_current(self._ready[0][1]):
            heapq.heappop(self._ready)
        return bool(self._ready or self._alone)

    def _is_current(self, key: tuple[str, int]) -> bool:
        """Whether an entry in the heap is still valid: its lane may have been assigned since."""
        lane = self._lanes.get(key)
        return lane is not None and lane.is_ready

    def next_wake_s(self) -> float:
        """When the next sleeping batch becomes ready; infinite if none sleeps."""
        return self._asleep[0][0] if self._asleep else math.inf

    def plan(self, free_slots: int, now_s: float, ends_s: Collection[float] = ()) -> list[list[WorkItem]]:
        """Batches for up to `free_slots` new tasks; fewer lists if there is not enough to do.

        Args:
            ends_s: When the tasks in the other slots are to end.
        """
        while self._asleep and self._asleep[0][0] <= now_s:
            self._enter(heapq.heappop(self._asleep)[2])
        alone = [self._alone.popleft() for _ in range(min(free_slots, len(self._alone)))]
        for item in alone:
            self._lane_of(item.batch).running_tasks += 1
        free_slots -= len(alone)
        new_tasks = [_NewTask() for _ in range(free_slots)]
        fair_rps = min(CORE_RPS, self._demand_rps / self._slots)
        self._assign_until(new_tasks, fair_rps)
        if fair_rps < CORE_RPS and not any(abs(end_s - now_s) <= SOON_S for end_s in ends_s):
            # What is left over would wait long for another slot, although these cores have room.
            self._assign_until(new_tasks, CORE_RPS)
        return [*([item] for item in alone), *(new_task.items for new_task in new_tasks if new_task.items)]

    def _assign_until(self, new_tasks: Sequence[_NewTask], share_rps: float) -> None:
        """Assign lanes, each to the emptiest task, until all tasks have their share of the rates."""
        emptiest = [(task.rate_rps, number) for number, task in enumerate(new_tasks) if task.has_room(share_rps)]
        heapq.heapify(emptiest)
        passed_over: list[tuple[float, tuple[str, int]]] = []
        while self._ready and emptiest and len(passed_over) < LOOK_AHEAD:
            place, number = heapq.heappop(self._ready), emptiest[0][1]
            new_task = new_tasks[number]
            if not self._assign(place[1], new_task):
                passed_over.append(place)
            elif new_task.has_room(share_rps):
                heapq.heapreplace(emptiest, (new_task.rate_rps, number))
            else:
                heapq.heappop(emptiest)
        for place in passed_over:
            heapq.heappush(self._ready, place)

    def _assign(self, key: tuple[str, int], new_task: _NewTask) -> bool:
        """Assign a slice of the lane; False if it does not fit. An outdated entry of the lane counts as done."""
        lane = self._lanes.get(key)
        if lane is None or not lane.is_ready:
            return True
        self._learn_rate(lane, lane.waiting[0].batch)
        if not new_task.fits(key, lane.rate_per_task_rps):
            return False
        new_task.lanes.add(key)
        new_task.rate_rps += lane.rate_per_task_rps
        new_task.items.extend(lane.take(self._rows_for_a_slice(lane)))
        lane.running_tasks += 1
        self._offer(key, lane)
        return True

    def _rows_for_a_slice(self, lane: _Lane) -> float:
        """Twice what the slice can fetch, as rates rise; for a spread lane at most half of each slot's share.

        The shrinking shares (guided self-scheduling) let all cores finish together.
        """
        rows = 2 * min(lane.rate_rps, CORE_RPS) * self._task_seconds
        if lane.max_tasks > 1:
            rows = min(rows, lane.rows_waiting / (2 * min(self._slots, lane.max_tasks)))
        return rows


@dataclass(slots=True)
class _NewTask:
    """The batches of one new task."""

    items: list[WorkItem] = field(default_factory=list)
    lanes: set[tuple[str, int]] = field(default_factory=set)
    rate_rps: float = 0.0

    def has_room(self, fair_rps: float) -> bool:
        """Whether its rates are below its share of the rates of all servers."""
        return self.rate_rps < fair_rps and len(self.items) < MAX_BATCHES

    def fits(self, key: tuple[str, int], rate_rps: float) -> bool:
        """Whether the core can serve this lane beside the others."""
        return not self.items or (key not in self.lanes and self.rate_rps + rate_rps <= CORE_RPS)


def _lane_key(batch: Batch) -> tuple[str, int]:
    return (batch.server_name, batch.partition_id if batch.server_name == POOLED else -1)
