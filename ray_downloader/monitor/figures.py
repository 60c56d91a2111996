"""The figures of a download while it runs: rows, speed of the last minute, time left, slow servers, waits. Pure."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray_downloader.monitor.waiting import Waiting
from ray_downloader.output.batch_folder import SUCCESS
from ray_downloader.partition.summary import PartitionSummary
from ray_downloader.politeness.messages import WaitReason
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.server.patience import NEVER_ANSWERED_S
from ray_downloader.run_folder.packed_states import LearnedFacts
from ray_downloader.schedule.eta import BudgetLoad, MeasuredRates, eta_s
from ray_downloader.worker.progress import Progress

#: The speed is measured over this time.
WINDOW_S = 60.0
#: How many waiting servers are listed: those with the most rows.
MOST_WAITING = 1_000
#: How many of the budgets that take longest are listed.
MOST_SLOWEST = 20
#: Conditions of a server (`politeness.server.condition`) in which it may be given up.
_IN_TROUBLE = frozenset({"suspect", "throttled", "waiting", "unreachable"})
_NOTHING = LearnedFacts()


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known about the servers of a run at one time.

    Args:
        now_s: Monotonic time, for measuring speed.
        now_unix_s: The time of day, for the ends of waits.
        waiting: Budgets that get no request.
        learned: What was learned about budgets.
        is_idle: Whether the run can only wait for servers in trouble.
    """

    now_s: float
    now_unix_s: float
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    learned: Mapping[str, LearnedFacts] = field(default_factory=dict)
    is_idle: bool = False


class RowsLeft:
    """Rows left for each budget, and for each host of a group.

    Args:
        at_start: Rows left when the run began, by server.
        budget_key: The budget of a server.
    """

    def __init__(self, at_start: Mapping[str, int], budget_key: Callable[[str], str]) -> None:
        self._at_start: Counter[str] = Counter()
        self._budgets: dict[str, None] = {}
        for server, rows in at_start.items():
            budget = budget_key(server)
            self._budgets[budget] = None
            for name in {server, budget}:
                self._at_start[name] += rows
        self._budget_key = budget_key
        #: Rows settled in this run, by host and by budget, and in all.
        self.settled: Counter[str] = Counter()
        self.settled_rows = 0

    def take(self, progress: Progress) -> None:
        """Take into account what this run has settled so far."""
        self.settled.clear()
        self.settled_rows = progress.settled.total()
        for (server, _), rows in progress.settled.items():
            for name in {server, self._budget_key(server)}:
                self.settled[name] += rows

    def of(self, name: str) -> int:
        """Rows left for a budget or host."""
        return max(0, self._at_start[name] - self.settled[name])

    def by_budget(self) -> Iterator[tuple[str, int]]:
        """Budgets with rows left, and how many."""
        return ((budget, rows) for budget in self._budgets if (rows := self.of(budget)))


class RunEta:
    """The time that is left of a run: from measured rates, or learned ones, or those it started with.

    Args:
        rows_left: Rows left by budget.
        policy: The limits of a budget.
        capacity_rps: Rows/s that the cluster can process, until the real throughput is measured.
        now_s: When the run started; monotonic.
    """

    def __init__(
        self, rows_left: RowsLeft, policy: Callable[[str], ServerPolicy], capacity_rps: float, now_s: float
    ) -> None:
        self._rows_left = rows_left
        self._policy = policy
        self._capacity_rps = capacity_rps
        self._rates = MeasuredRates(now_s)
        #: How long the run has been idle while each budget was in trouble: its patience runs out only then.
        self._idle_s: defaultdict[str, float] = defaultdict(float)
        self._noted_s = now_s

    def loads(self, now: Moment) -> list[BudgetLoad]:
        """What is left of each budget; `rows_left` has taken the latest progress."""
        paused = [budget for budget, wait in now.waiting.items() if wait.reason is not WaitReason.CRAWL_DELAY]
        left = list(self._rows_left.by_budget())
        settled = self._rows_left.settled
        rows = {budget: settled[budget] for budget, _ in left if budget in settled}
        self._rates.note(rows, self._rows_left.settled_rows, paused, now.now_s)
        idle_s, self._noted_s = (now.now_s - self._noted_s if now.is_idle else 0.0), now.now_s
        return [self._load(budget, rows, now, idle_s) for budget, rows in left]

    def _load(self, budget: str, rows: int, now: Moment, idle_s: float) -> BudgetLoad:
        policy, wait, learned = self._policy(budget), now.waiting.get(budget), now.learned.get(budget, _NOTHING)
        until_unix_s = wait.until_unix_s if wait else None
        wait_s = max(0.0, until_unix_s - now.now_unix_s) if until_unix_s is not None else 0.0
        if learned.condition in _IN_TROUBLE and not learned.has_served:
            patience_s = policy.patience_s if learned.has_answered else min(NEVER_ANSWERED_S, policy.patience_s)
            self._idle_s[budget] += idle_s
            return BudgetLoad(budget, rows, math.inf, max(0.0, patience_s - self._idle_s[budget]), is_last=True)
        expected_rps = learned.rate_rps or policy.start_rate_rps or math.inf
        is_busy = wait_s <= 0 and not self._rates.is_often_paused(budget)
        return BudgetLoad(budget, rows, self._rates.of(budget, expected_rps), wait_s, is_busy=is_busy)

    def seconds(self, loads: Iterable[BudgetLoad]) -> float:
        """Seconds until all rows are settled."""
        return eta_s(loads, self._rates.throughput_rps or self._capacity_rps)


class RunFigures:
    """Figures of a run for `logs/progress.json`, `status` and the live view.

    Args:
        partition: The counts of the list.
        settled: Rows by error kind or `SUCCESS` when the run began.
        rows_left: Rows left by budget.
        eta: Estimates the time that is left.
    """

    def __init__(
        self, partition: PartitionSummary, settled: Mapping[str, int], rows_left: RowsLeft, eta: RunEta
    ) -> None:
        self._partition = partition
        self._settled = Counter(settled)
        self._rows_left = rows_left
        self._eta = eta
        self._seen: deque[tuple[float, int, int, int]] = deque()

    def of(self, progress: Progress, now: Moment) -> dict[str, Any]:
        """The figures now.

        Args:
            progress: Sums of this run.
            now: What else there is to know.
        """
        kinds = Counter(self._settled)
        for (_, kind), rows in progress.settled.items():
            kinds[kind or SUCCESS] += rows
        images, rows = kinds[SUCCESS], kinds.total()
        images_per_s, received_per_s, stored_per_s = self._speeds(now.now_s, images, progress)
        left = max(0, self._partition.accepted_rows - rows)
        self._rows_left.take(progress)
        loads = self._eta.loads(now)
        return {
            "rows": {
                "input": self._partition.input_rows,
                "rejected": self._partition.input_rows - self._partition.accepted_rows,
                "successes": images,
                "errors": rows - images,
                "left": left,
            },
            "images_per_s": round(images_per_s, 2),
            "received_mb_per_s": round(received_per_s / 1e6, 3),
            "stored_mb_per_s": round(stored_per_s / 1e6, 3),
            "eta_s": round(self._eta.seconds(loads)) if loads else (None if left else 0),
            "waiting": [_waiting_entry(*item) for item in self._with_rows(now.waiting)],
            "errors_by_kind": dict(sorted((kind, count) for kind, count in kinds.items() if kind != SUCCESS)),
            "slowest": [_slow_entry(load, now.waiting) for load in _slowest(loads)],
        }

    def _speeds(self, now_s: float, images: int, progress: Progress) -> tuple[float, ...]:
        """Images, bytes received and bytes stored per second of the last minute."""
        self._seen.append((now_s, images, progress.size_bytes, progress.stored_bytes))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - WINDOW_S:
            self._seen.popleft()
        seconds = now_s - self._seen[0][0]
        changes = [now - then for now, then in zip(self._seen[-1], self._seen[0], strict=True)]
        return tuple(change / seconds if seconds else 0.0 for change in changes[1:])

    def _with_rows(self, waiting: Mapping[str, Waiting]) -> list[tuple[str, int, Waiting]]:
        """Waiting budgets with rows left, and how many; the largest first."""
        listed = [(name, rows, wait) for name, wait in waiting.items() if (rows := self._rows_left.of(name))]
        return sorted(listed, key=lambda item: (-item[1], item[0]))[:MOST_WAITING]


def _slowest(loads: Iterable[BudgetLoad]) -> list[BudgetLoad]:
    return heapq.nlargest(MOST_SLOWEST, loads, key=lambda load: (load.is_last, load.eta_s, load.rows))


def _waiting_entry(budget: str, rows: int, wait: Waiting) -> dict[str, Any]:
    said = {"said": wait.said} if wait.said else {}
    return {"server": budget, "rows": rows, "reason": wait.reason.value, "until": wait.until, **said}


def _slow_entry(load: BudgetLoad, waiting: Mapping[str, Waiting]) -> dict[str, Any]:
    wait = waiting.get(load.budget)
    return {
        "server": load.budget,
        "rows": load.rows,
        "rate_rps": round(load.rate_rps, 3) if math.isfinite(load.rate_rps) else None,
        "eta_s": round(load.eta_s),
        "reason": wait.reason.value if wait else None,
        "until": wait.until if wait else None,
    }
