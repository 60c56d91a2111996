"""What tasks report of their work, and the sum of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProgressDelta:
    """What a task did since it last told.

    Args:
        settled: Rows by server and error kind ("" for images).
        size_bytes: Bytes received.
        disallowed: Rows that robots.txt would exclude, by server.
    """

    settled: Mapping[tuple[str, str], int]
    size_bytes: int
    disallowed: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """The sum of what tasks told; see `ProgressDelta`."""

    settled: Counter[tuple[str, str]] = field(default_factory=Counter)
    size_bytes: int = 0
    disallowed: Counter[str] = field(default_factory=Counter)

    def add(self, delta: ProgressDelta) -> None:
        """Count what one task told."""
        self.settled.update(delta.settled)
        self.size_bytes += delta.size_bytes
        self.disallowed.update(delta.disallowed)
