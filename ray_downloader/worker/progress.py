"""What tasks report about their work, and its sum."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

#: A task that has not reported for so long has ended.
SILENT_S = 10.0


@dataclass(frozen=True, slots=True)
class ProgressDelta:
    """What a task did since its last report.

    Args:
        settled: Rows by server and error kind ("" for images).
        size_bytes: Bytes received.
        disallowed: Rows that robots.txt would exclude, by server.
        answered: Requests that a server answered, whatever the answer; whoever resets a connection is there, too.
        unreached: Requests that reached no server (no address, no connection), by server.
        unresolved: Requests for whose names the resolver gave no answer.
        turned_away: Requests that reached no server but that the network answered: a host refused the connection, or a
            resolver knows no such name.
        holder: Unique name of the task.
        is_busy: Whether it moves bytes, or has rows that only wait for their turn, not for a server in trouble.
        stored_bytes: Bytes of images stored.
        statuses: Answers by budget and status, or by how a request failed without one.
        ttfb_s: Sum of the times to first byte, by budget.
        decode_s: Time that decoding and encoding took in this task.
        queues: Rows that wait in the task's queues, its requests in flight, and bodies that wait for the decoder.
        renditions: Smaller versions that were stored, by server of the listed picture.
        rendition_bytes: Bytes received of them.
        renditions_sized: Those of them whose names say how much larger the listed picture is.
        rendition_bytes_saved: About how many bytes these saved.
    """

    settled: Mapping[tuple[str, str], int]
    size_bytes: int
    disallowed: Mapping[str, int] = field(default_factory=dict)
    answered: int = 0
    unreached: Mapping[str, int] = field(default_factory=dict)
    unresolved: int = 0
    turned_away: int = 0
    holder: str = ""
    is_busy: bool = True
    stored_bytes: int = 0
    statuses: Mapping[tuple[str, str], int] = field(default_factory=dict)
    ttfb_s: Mapping[str, float] = field(default_factory=dict)
    decode_s: float = 0.0
    queues: tuple[int, int, int] = (0, 0, 0)
    renditions: Mapping[str, int] = field(default_factory=dict)
    rendition_bytes: Mapping[str, int] = field(default_factory=dict)
    renditions_sized: Mapping[str, int] = field(default_factory=dict)
    rendition_bytes_saved: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """The sum of what tasks reported; see `ProgressDelta`.

    Args:
        busy_at_s: When a task last reported that it was busy, on the clock of the actor that counts.
        queues: The last report of each task, and when it came; of those that still report.
    """

    settled: Counter[tuple[str, str]] = field(default_factory=Counter)
    size_bytes: int = 0
    disallowed: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    unreached: Counter[str] = field(default_factory=Counter)
    unresolved: int = 0
    turned_away: int = 0
    busy_at_s: float = 0.0
    stored_bytes: int = 0
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    ttfb_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    decode_s: float = 0.0
    queues: dict[str, tuple[float, tuple[int, int, int]]] = field(default_factory=dict)
    renditions: Counter[str] = field(default_factory=Counter)
    rendition_bytes: Counter[str] = field(default_factory=Counter)
    renditions_sized: Counter[str] = field(default_factory=Counter)
    rendition_bytes_saved: Counter[str] = field(default_factory=Counter)

    def add(self, delta: ProgressDelta, now_s: float) -> None:
        """Count what one task reported."""
        self._sum(delta)
        self.queues[delta.holder] = (now_s, delta.queues)
        for holder in [holder for holder, (at_s, _) in self.queues.items() if at_s < now_s - SILENT_S]:
            del self.queues[holder]
        if delta.is_busy:
            self.busy_at_s = now_s

    def merge(self, other: Progress) -> None:
        """Add what another one counted; it is the later one."""
        self._sum(other)
        self.queues, self.busy_at_s = other.queues, other.busy_at_s

    def _sum(self, more: ProgressDelta | Progress) -> None:
        self.settled.update(more.settled)
        self.size_bytes += more.size_bytes
        self.disallowed.update(more.disallowed)
        self.answered += more.answered
        self.unreached.update(more.unreached)
        self.unresolved += more.unresolved
        self.turned_away += more.turned_away
        self.stored_bytes += more.stored_bytes
        self.statuses.update(more.statuses)
        for budget, seconds in more.ttfb_s.items():
            self.ttfb_s[budget] += seconds
        self.decode_s += more.decode_s
        self.renditions.update(more.renditions)
        self.rendition_bytes.update(more.rendition_bytes)
        self.renditions_sized.update(more.renditions_sized)
        self.rendition_bytes_saved.update(more.rendition_bytes_saved)
