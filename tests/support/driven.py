"""The real driver in virtual time: slices that are scripted, actors that only remember what they were told."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ray_downloader.cluster.driver import Driver
from ray_downloader.cluster.ports import DriverPorts, RunMode, RunView, SliceLost
from ray_downloader.config.settings import Settings
from ray_downloader.monitor.waiting import Waiting
from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import ServerOrder
from ray_downloader.run_folder.packed_states import LearnedFacts
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.news import ProgressNews
from ray_downloader.worker.ports import SliceReport
from ray_downloader.worker.progress import Progress
from ray_downloader.worker.run_context import RunContext


class VirtualClock:
    """Time that passes when somebody waits; what is due meanwhile is done."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        """The time of day."""
        return 1.8e9 + self.now_s

    def at(self, at_s: float, action: Callable[[], None]) -> None:
        """Do something when that time comes."""
        self._due.append((at_s, action))

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        until_s = self.now_s + seconds
        while due := sorted((item for item in self._due if item[0] <= until_s), key=lambda item: item[0]):
            self._due.remove(due[0])
            self.now_s = max(self.now_s, due[0][0])
            due[0][1]()
        self.now_s = until_s


@dataclass(frozen=True, slots=True)
class Ended:
    """How a scripted slice ends: after so many seconds, with a report or lost."""

    after_s: float
    outcome: SliceReport | SliceLost


Script = Callable[[Sequence[WorkItem], float], Ended]


def finishing(after_s: float = 10.0) -> Script:
    """A script in which each slice settles all it was given."""
    return lambda items, _: Ended(after_s, SliceReport(requests=sum(item.left for item in items)))


def settling(rows: int, after_s: float = 10.0, ready_in_s: float = 0.0) -> Script:
    """A script in which a slice settles so many rows of each batch and gives the rest back."""

    def script(items: Sequence[WorkItem], _: float) -> Ended:
        left = [replace(item, left=item.left - rows, ready_in_s=ready_in_s) for item in items if item.left > rows]
        return Ended(after_s, SliceReport(unfinished=left))

    return script


class ScriptedPool:
    """A pool (`ports.SlicePool`) whose slices end as a script says."""

    def __init__(self, clock: VirtualClock, script: Script) -> None:
        self.script = script
        self.slices: list[tuple[float, list[WorkItem]]] = []
        self.lengths_s: list[float] = []
        self._clock = clock
        self._running: dict[int, tuple[float, SliceReport | SliceLost]] = {}

    def submit(self, items: Sequence[WorkItem], seconds: float) -> Hashable:
        """Ask the script how it will end."""
        handle = len(self.slices)
        self.slices.append((self._clock(), list(items)))
        self.lengths_s.append(seconds)
        ended = self.script(items, self._clock())
        self._running[handle] = (self._clock() + ended.after_s, ended.outcome)
        return handle

    def wait(self, timeout_s: float) -> list[tuple[Hashable, SliceReport | SliceLost]]:
        """Let time pass until the first one ends."""
        first_s = min(end_s for end_s, _ in self._running.values())
        self._clock.sleep(min(timeout_s, max(0.0, first_s - self._clock())))
        done = [handle for handle, (end_s, _) in self._running.items() if end_s <= self._clock()]
        return [(handle, self._running.pop(handle)[1]) for handle in done]

    @property
    def names(self) -> list[list[tuple[str, int]]]:
        """Server and partition of the batches of each slice, in the order of submission."""
        return [[(item.batch.server_name, item.batch.partition_id) for item in items] for _, items in self.slices]


@dataclass
class RememberedActors:
    """Budget actors (`ports.BudgetActors`) that remember what they were told, with the time."""

    clock: VirtualClock
    rates_rps: Mapping[str, float] = field(default_factory=dict)
    #: What tasks report with the next news; None while the actor that counts does not answer.
    reported: Progress | None = field(default_factory=Progress)
    waits: dict[str, Waiting] = field(default_factory=dict)
    answered_before: frozenset[str] = frozenset()
    saving_takes_s: float = 0.0
    told: list[tuple[float, str, Any]] = field(default_factory=list)

    def expected_rate_rps(self, batch: Batch) -> float:
        return self.rates_rps.get(batch.server_name, 3.0)

    def progress(self, received: int | None) -> ProgressNews | None:
        if self.reported is None:
            return None
        news, self.reported = self.reported, Progress(busy_at_s=self.reported.busy_at_s)
        return ProgressNews((received or 0) + 1, news)

    def waiting(self) -> Mapping[str, Waiting]:
        return self.waits

    def order(self, order: ServerOrder) -> None:
        self._remember("order", order)

    def has_answered(self, server: str | None = None) -> bool:
        return bool(self.answered_before) if server is None else server in self.answered_before

    def forget(self, holder: str) -> None:
        self._remember("forget", holder)

    def enter(self, mode: RunMode) -> None:
        self._remember("mode", mode)

    def save(self) -> None:
        self._remember("save", None)
        self.clock.sleep(self.saving_takes_s)

    def learned(self) -> Mapping[str, LearnedFacts]:
        return {}

    def _remember(self, what: str, value: Any) -> None:
        self.told.append((self.clock(), what, value))

    def calls_of(self, what: str) -> list[tuple[float, Any]]:
        """When they were told of this, and what."""
        return [(at_s, value) for at_s, kind, value in self.told if kind == what]


@dataclass
class Views:
    """A watcher that keeps what it is shown."""

    seen: list[tuple[float, RunView]] = field(default_factory=list)

    def update(self, view: RunView, now_s: float) -> None:
        self.seen.append((now_s, view))


class DrivenRun:
    """A driver, and all that it acts through.

    Args:
        folder: The run folder.
        script: How slices end.
        slots: How many run at once.
        rates_rps: What servers are expected to allow, by name; others 3.
        groups: Settings, as the configuration spells them.
    """

    def __init__(
        self, folder: Path, script: Script, slots: int = 2, rates_rps: Mapping[str, float] | None = None, **groups: Any
    ) -> None:
        settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": folder, **groups})
        self.layout = RunLayout.of(settings)
        self.clock = VirtualClock()
        self.pool = ScriptedPool(self.clock, script)
        self.actors = RememberedActors(self.clock, rates_rps or {})
        self.views = Views()
        #: Rows left of each batch, as a rescan after a lost slice finds them; by default all.
        self.left: dict[int, int] = {}
        ports = DriverPorts(self.pool, self.actors, self._rescan, (self.views,), self.clock, self.clock.sleep)
        self.driver = Driver(RunContext(settings, self.layout), slots, ports)

    def _rescan(self, batches: Sequence[Batch]) -> list[WorkItem]:
        return [WorkItem(batch, left) for batch in batches if (left := self.left.get(batch.batch_id, batch.rows))]


def work_items(server: str, count: int, rows: int, first_id: int = 0) -> list[WorkItem]:
    """So many batches of one server, none of their rows settled."""
    batches = [Batch(first_id + n, server, n, "rows-00000.parquet", n, rows, 1) for n in range(count)]
    return [WorkItem(batch, rows) for batch in batches]
