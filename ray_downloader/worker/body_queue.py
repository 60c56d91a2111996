"""Fetched bodies that wait to be processed, and how many more may be fetched, so that memory stays bounded.

In-flight bodies fill memory, too: what was announced or has arrived of them is charged to the same room, and one body
of mean size is expected for each in-flight request.
"""

from __future__ import annotations

from collections import deque

from ray_downloader.fetch.base import FetchResult
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.worker.row import Row


class BodyQueue:
    """Bodies in the order in which they arrived, and those that are being decoded elsewhere.

    Args:
        room: What they share with the bodies that are in flight.
    """

    def __init__(self, room: BodyRoom) -> None:
        self._room = room
        self._bodies: deque[tuple[Row, FetchResult]] = deque()
        self._held_bytes = 0
        self._seen = 0
        self._seen_bytes = 0

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, row: Row, result: FetchResult) -> None:
        """Add a body that has arrived."""
        self._bodies.append((row, result))
        self._room.charge(len(result.body))
        self._held_bytes += len(result.body)
        self._seen += 1
        self._seen_bytes += len(result.body)

    def take(self) -> tuple[Row, FetchResult]:
        """The body that has waited longest. It is charged until it is `dropped`."""
        return self._bodies.popleft()

    def dropped(self, result: FetchResult) -> None:
        """A body is needed no more."""
        self._room.release(len(result.body))
        self._held_bytes -= len(result.body)
        if result.file is not None:
            result.file.close()

    def has_room(self, under_way: int) -> bool:
        """Whether one more request may start beside this many; one is always allowed."""
        mean_bytes = self._seen_bytes / self._seen if self._seen else 0.0
        expected_bytes = self._held_bytes + (under_way + 1) * mean_bytes
        known_bytes = self._room.in_memory_bytes + mean_bytes
        return max(expected_bytes, known_bytes) < self._room.memory_bytes or not (under_way or self._held_bytes)

    def close(self) -> None:
        """Drop what still waits: the slice ends, and its rows are fetched again."""
        while self._bodies:
            self.dropped(self.take()[1])
