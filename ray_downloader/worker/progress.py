"""What tasks report about their work, and its sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProgressDelta:
    """What a task did since its last report.

    Args:
        settled: Rows by server and error kind ("" for images).
        size_bytes: Bytes received.
        disallowed: Rows that robots.txt would exclude, by server.
        answered: Requests that a server answered, whatever the answer.
        unreached: Requests that reached no server (no address, no connection), by server.
        unresolved: Requests for whose names the resolver gave no answer.
        holder: Unique name of the task.
        is_busy: Whether it moves bytes, or has rows that only wait for their turn, not for a server in trouble.
    """

    settled: Mapping[tuple[str, str], int]
    size_bytes: int
    disallowed: Mapping[str, int] = field(default_factory=dict)
    answered: int = 0
    unreached: Mapping[str, int] = field(default_factory=dict)
    unresolved: int = 0
    holder: str = ""
    is_busy: bool = True


@dataclass(slots=True)
class Progress:
    """The sum of what tasks reported; see `ProgressDelta`.

    Args:
        busy_at_s: When a task last reported that it was busy, on the clock of the actor that counts.
    """

    settled: Counter[tuple[str, str]] = field(default_factory=Counter)
    size_bytes: int = 0
    disallowed: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    unreached: Counter[str] = field(default_factory=Counter)
    unresolved: int = 0
    busy_at_s: float = 0.0

    def add(self, delta: ProgressDelta, now_s: float) -> None:
        """Count what one task reported."""
        self.settled.update(delta.settled)
        self.size_bytes += delta.size_bytes
        self.disallowed.update(delta.disallowed)
        self.answered += delta.answered
        self.unreached.update(delta.unreached)
        self.unresolved += delta.unresolved
        if delta.is_busy:
            self.busy_at_s = now_s
