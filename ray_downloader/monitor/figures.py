"""The figures of a download while it runs: rows, speed of the last minute, time left, waiting servers. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_downloader.monitor.waiting import Waiting
from ray_downloader.output.batch_folder import SUCCESS
from ray_downloader.partition.summary import PartitionSummary
from ray_downloader.worker.progress import Progress

#: The speed is measured over this time.
WINDOW_S = 60.0
#: How many waiting servers are listed: those with the most rows.
MOST_WAITING = 1_000


class RowsLeft:
    """Rows left for each budget, and for each host of a group.

    Args:
        at_start: Rows left when the run began, by server.
        budget_key: The budget of a server.
    """

    def __init__(self, at_start: Mapping[str, int], budget_key: Callable[[str], str]) -> None:
        self._at_start: Counter[str] = Counter()
        for server, rows in at_start.items():
            for name in {server, budget_key(server)}:
                self._at_start[name] += rows
        self._budget_key = budget_key
        self._settled: Counter[str] = Counter()

    def take(self, progress: Progress) -> None:
        """Take into account what this run has settled so far."""
        self._settled.clear()
        for (server, _), rows in progress.settled.items():
            for name in {server, self._budget_key(server)}:
                self._settled[name] += rows

    def of(self, name: str) -> int:
        """Rows left for a budget or host."""
        return max(0, self._at_start[name] - self._settled[name])


class RunFigures:
    """Figures of a run for `logs/progress.json` and `status`.

    Args:
        partition: The counts of the list.
        settled: Rows by error kind or `SUCCESS` when the run began.
        rows_left: Rows left by budget.
    """

    def __init__(self, partition: PartitionSummary, settled: Mapping[str, int], rows_left: RowsLeft) -> None:
        self._partition = partition
        self._settled = Counter(settled)
        self._rows_left = rows_left
        self._seen: deque[tuple[float, int, int]] = deque()

    def of(self, progress: Progress, waiting: Mapping[str, Waiting], now_s: float, now_unix_s: float) -> dict[str, Any]:
        """The figures now.

        Args:
            progress: Sums of this run.
            waiting: Budgets that get no request.
            now_s: Monotonic time, for measuring speed.
            now_unix_s: The time of day, for the ends of waits.
        """
        kinds = Counter(self._settled)
        for (_, kind), rows in progress.settled.items():
            kinds[kind or SUCCESS] += rows
        images, rows = kinds[SUCCESS], kinds.total()
        images_per_s, rows_per_s = self._speed(now_s, images, rows)
        left = max(0, self._partition.accepted_rows - rows)
        listed = self._with_rows(progress, waiting)
        return {
            "rows": {
                "input": self._partition.input_rows,
                "rejected": self._partition.input_rows - self._partition.accepted_rows,
                "successes": images,
                "errors": rows - images,
                "left": left,
            },
            "images_per_s": round(images_per_s, 2),
            "eta_s": _eta_s(left / rows_per_s, listed, now_unix_s) if rows_per_s else None,
            "waiting": [_entry(*item) for item in listed],
            "errors_by_kind": dict(sorted((kind, count) for kind, count in kinds.items() if kind != SUCCESS)),
        }

    def _speed(self, now_s: float, images: int, rows: int) -> tuple[float, float]:
        """Images/s and rows/s of the last minute."""
        self._seen.append((now_s, images, rows))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - WINDOW_S:
            self._seen.popleft()
        then_s, images_then, rows_then = self._seen[0]
        seconds = now_s - then_s
        return ((images - images_then) / seconds, (rows - rows_then) / seconds) if seconds else (0.0, 0.0)

    def _with_rows(self, progress: Progress, waiting: Mapping[str, Waiting]) -> list[tuple[str, int, Waiting]]:
        """Waiting budgets with rows left, and how many; the largest first."""
        if not waiting:
            return []
        self._rows_left.take(progress)
        listed = [(name, rows, wait) for name, wait in waiting.items() if (rows := self._rows_left.of(name))]
        return sorted(listed, key=lambda item: (-item[1], item[0]))[:MOST_WAITING]


def _eta_s(by_speed_s: float, waiting: Sequence[tuple[str, int, Waiting]], now_unix_s: float) -> int:
    """Estimated seconds left: from the speed of the last minute, but not before a server may be requested again."""
    waits_s = (wait.until_unix_s - now_unix_s for _, _, wait in waiting if wait.until_unix_s is not None)
    return round(max(by_speed_s, max(waits_s, default=0.0)))


def _entry(budget: str, rows: int, wait: Waiting) -> dict[str, Any]:
    said = {"said": wait.said} if wait.said else {}
    return {"server": budget, "rows": rows, "reason": wait.reason.value, "until": wait.until, **said}
