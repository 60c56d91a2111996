"""Fetched bodies that wait to be processed, and how many more may be fetched, so that memory stays bounded.

In-flight bodies fill memory, too, so one body of mean size is expected for each in-flight request.
"""

from __future__ import annotations

from collections import deque

from ray_downloader.fetch.base import FetchResult
from ray_downloader.worker.row import Row

#: Bodies in memory, in flight or waiting; a worker is promised to stay below 400 MB, of which imports take 190.
MAX_BODIES_BYTES = 64 * 2**20


class BodyQueue:
    """Bodies in the order in which they arrived."""

    def __init__(self) -> None:
        self._bodies: deque[tuple[Row, FetchResult]] = deque()
        self._waiting_bytes = 0
        self._seen = 0
        self._seen_bytes = 0

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, row: Row, result: FetchResult) -> None:
        """Add a body that has arrived."""
        self._bodies.append((row, result))
        self._waiting_bytes += len(result.body)
        self._seen += 1
        self._seen_bytes += len(result.body)

    def take(self) -> tuple[Row, FetchResult]:
        """The body that has waited longest."""
        row, result = self._bodies.popleft()
        self._waiting_bytes -= len(result.body)
        return row, result

    def has_room(self, under_way: int) -> bool:
        """Whether one more request may start beside this many; one is always allowed."""
        mean_bytes = self._seen_bytes / self._seen if self._seen else 0.0
        expected_bytes = self._waiting_bytes + (under_way + 1) * mean_bytes
        return expected_bytes < MAX_BODIES_BYTES or not (under_way or self._bodies)
