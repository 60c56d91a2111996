"""News that are repeated until whoever asked for them has confirmed them: an answer may be lost. Pure.

All that 10^5 servers have done is 7 MB twice a second, and what was learned about them half a second of an actor's
time; what is new is little.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ray_downloader.worker.progress import Progress, ProgressDelta


@dataclass(frozen=True, slots=True)
class ProgressNews:
    """What was counted since the last confirmed news.

    Args:
        number: Confirms it; no other process of the run uses the same ones.
    """

    number: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class StateNews:
    """What was learned about some of the budgets that have changed since the last confirmed news.

    Args:
        number: As in `ProgressNews`.
        states: Snapshots by budget.
        is_more: Whether others have changed, too.
    """

    number: int
    states: dict[str, dict[str, Any]]
    is_more: bool


class UnconfirmedProgress:
    """Counts until that was confirmed.

    Args:
        number: The first number.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._sent = Progress()
        self._new = Progress()

    def add(self, delta: ProgressDelta, now_s: float) -> None:
        """Count what one task reported."""
        self._new.add(delta, now_s)

    def news(self, confirmed: int | None) -> ProgressNews:
        """What was not confirmed yet.

        Args:
            confirmed: Number of the last news that came.
        """
        if confirmed == self._number:
            self._sent = Progress()
        self._sent.merge(self._new)
        self._new = Progress(busy_at_s=self._new.busy_at_s, queues=dict(self._new.queues))
        self._number += 1
        return ProgressNews(self._number, self._sent)


class UnconfirmedChanges:
    """Notes which budgets have changed until that was confirmed; those that have waited longest come first.

    Args:
        number: The first number.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._changed: dict[str, None] = {}
        self._sent: list[str] = []

    def __len__(self) -> int:
        return len(self._changed)

    def note(self, budget: str) -> None:
        """The budget has changed."""
        self._changed[budget] = None

    def take(self, confirmed: Collection[int], most: int) -> list[str]:
        """Some of the budgets whose changes are not confirmed yet.

        Args:
            confirmed: Numbers of the news that came last, of all actors.
            most: How many at most.
        """
        if self.number not in confirmed:
            self._changed = dict.fromkeys([*self._sent, *self._changed])
        self._sent = list(islice(self._changed, most))
        for budget in self._sent:
            del self._changed[budget]
        self.number += 1
        return self._sent
