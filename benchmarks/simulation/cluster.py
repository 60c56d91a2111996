"""A cluster under a virtual clock: the real planner deals, tasks and servers are fluid.

Between two events (a batch list runs dry, a slice ends) every task gets of each server it holds an equal share of the
server's rate, and no more of all together than a core can do. What one task cannot use, its co-holders may.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ray_downloader.partition.batches import Batch
from ray_downloader.schedule.planner import CORE_RPS, Planner, WorkItem

#: Start of a slice and its end (opening batches, last answers, publishing), in which its core does not fetch: assumed.
SLICE_OVERHEAD_S = 0.3
#: Rounds in which leftover rate is passed on to co-holders that have room.
ROUNDS = 3
_DONE_ROWS = 1e-6


@dataclass(slots=True)
class Task:
    """One running slice: rows left of each server it holds."""

    items: Sequence[WorkItem]
    starts_s: float
    ends_s: float
    rows: dict[str, float] = field(default_factory=dict)
    speed_rps: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Sequence[WorkItem], now_s: float, task_seconds: float) -> Task:
        """A slice that begins now."""
        rows: Counter[str] = Counter()
        for item in items:
            rows[item.batch.server_name] += item.left
        starts_s = now_s + SLICE_OVERHEAD_S
        return cls(items, starts_s, starts_s + task_seconds, {server: float(left) for server, left in rows.items()})

    def next_event_s(self, now_s: float) -> float:
        """When it ends, or the first of its servers runs dry."""
        if now_s < self.starts_s:
            return self.starts_s
        dry = (now_s + self.rows[server] / rps for server, rps in self.speed_rps.items() if rps)
        return min(self.ends_s, min(dry, default=self.ends_s))

    def advance(self, seconds: float) -> None:
        """Fetch for so long at the present speeds."""
        for server, rps in self.speed_rps.items():
            self.rows[server] -= rps * seconds
        self.rows = {server: left for server, left in self.rows.items() if left > _DONE_ROWS}

    def unfinished(self) -> list[WorkItem]:
        """What it gives back; a server's rows are settled batch by batch."""
        back: list[WorkItem] = []
        for item in reversed(self.items):
            left = min(float(item.left), self.rows.get(item.batch.server_name, 0.0))
            if left > _DONE_ROWS:
                self.rows[item.batch.server_name] -= left
                back.append(replace(item, left=math.ceil(left)))
        return back[::-1]


class SimulatedCluster:
    """Runs batches to the end.

    Args:
        rate_rps: What a server yields with so many holders.
        expected_rps: What the planner is told of a batch.
        slots: Cores.
        task_seconds: Length of a slice.
    """

    def __init__(
        self,
        rate_rps: Callable[[str, int], float],
        expected_rps: Callable[[Batch], float],
        slots: int,
        task_seconds: float,
    ) -> None:
        self._rate_rps = rate_rps
        self._slots = slots
        self._task_seconds = task_seconds
        self._planner = Planner(expected_rps, slots, task_seconds)
        self._tasks: list[Task] = []
        self.now_s = 0.0
        self.busy_core_s = 0.0
        self.slices = 0

    def run(self, work: Sequence[WorkItem]) -> float:
        """Seconds until every row is settled."""
        self._planner.add(work, 0.0)
        self._deal()
        while self._tasks:
            self._share_out()
            at_s = min(task.next_event_s(self.now_s) for task in self._tasks)
            self._advance(at_s - self.now_s)
            self._end_tasks()
            self._deal()
        return self.now_s

    def _deal(self) -> None:
        for items in self._planner.plan(self._slots - len(self._tasks), self.now_s):
            self._tasks.append(Task.of(items, self.now_s, self._task_seconds))
            self.slices += 1

    def _share_out(self) -> None:
        """Give each task its speed at each server: equal shares, within a core, leftovers passed on."""
        active = [task for task in self._tasks if task.starts_s <= self.now_s]
        holders = Counter(server for task in active for server in task.rows)
        left_rps = {server: self._rate_rps(server, count) for server, count in holders.items()}
        room_rps = {id(task): CORE_RPS for task in active}
        for task in active:
            task.speed_rps = dict.fromkeys(task.rows, 0.0)
        for _ in range(ROUNDS):
            wanting = [task for task in active if room_rps[id(task)] > _DONE_ROWS]
            holders = Counter(server for task in wanting for server in task.rows)
            offered = {server: left_rps[server] / count for server, count in holders.items()}
            for task in wanting:
                total_rps = sum(offered[server] for server in task.rows)
                scale = min(1.0, room_rps[id(task)] / total_rps) if total_rps else 0.0
                room_rps[id(task)] -= scale * total_rps
                for server in task.rows:
                    task.speed_rps[server] += scale * offered[server]
                    left_rps[server] -= scale * offered[server]

    def _advance(self, seconds: float) -> None:
        for task in self._tasks:
            if task.starts_s <= self.now_s:
                self.busy_core_s += seconds * sum(task.speed_rps.values()) / CORE_RPS
                task.advance(seconds)
        self.now_s += seconds

    def _end_tasks(self) -> None:
        ended = [task for task in self._tasks if task.starts_s <= self.now_s and self._is_over(task)]
        for task in ended:
            self._tasks.remove(task)
            self._planner.task_ended(item.batch for item in task.items)
            self._planner.add(task.unfinished(), self.now_s)

    def _is_over(self, task: Task) -> bool:
        return not task.rows or self.now_s >= task.ends_s - _DONE_ROWS
