"""Which batches are at fault when tasks die: those at which tasks die repeatedly without any progress. Pure.

A task works on up to hundreds of batches, and only one of them may have killed it. So batches that were in two dying
tasks get tasks of their own, and a batch whose task still dies is given up, instead of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ray_downloader.schedule.planner import WorkItem

#: A batch whose tasks died this often in a row, with no row settled in between, is given up. Its tasks find out which
#: row it is by halving those that they had in hand (`worker/suspects.py`): 14 deaths for 16,384 rows, and some more.
MAX_CRASHES = 24
#: After this many crashes it gets tasks of its own.
ALONE_FROM = 2


class Crashes:
    """Counts crashes by batch. Lost nodes do not count."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int]] = {}

    def judge(self, items: Iterable[WorkItem]) -> tuple[list[WorkItem], list[WorkItem]]:
        """Decide about the batches of a task that died.

        Args:
            items: The batches, with the rows that are left of each.

        Returns:
            Those to be assigned again, and those to be given up.
        """
        again: list[WorkItem] = []
        abandoned: list[WorkItem] = []
        for item in items:
            crashes, left = self._seen.get(item.batch.batch_id, (0, item.left))
            crashes = crashes + 1 if item.left >= left else 1
            self._seen[item.batch.batch_id] = (crashes, item.left)
            if crashes >= MAX_CRASHES:
                abandoned.append(item)
            else:
                again.append(replace(item, is_alone=crashes >= ALONE_FROM))
        return again, abandoned
