"""What a server may be asked for besides requests a second: bytes a second, bytes and requests a day.

Requests are charged when their permits are granted, so that limit is strict. Sizes are known only afterwards: a
permit is charged with the mean size so far, so a byte limit may be passed by what is in flight, and is paid back.
"""

from __future__ import annotations

from collections import deque

HOUR_S = 3600.0
#: A day's use is kept by the hour; the oldest hour counts in full until it has wholly left the last 24.
HOURS_KEPT = 24
#: Weight of a new size in the mean: some ten images.
_SIZE_WEIGHT = 0.1


class DayQuota:
    """A limit on a quantity in any 24 hours.

    Args:
        limit: Most that may be used, or None for no limit.
        now_s: Monotonic time.
    """

    __slots__ = ("_hours", "_limit", "_origin_s", "used")

    def __init__(self, limit: float | None, now_s: float) -> None:
        self._limit = limit
        self._origin_s = now_s
        self._hours: deque[tuple[int, float]] = deque()
        self.used = 0.0

    def add(self, amount: float, now_s: float) -> None:
        """Use `amount`; negative gives back."""
        if self._limit is None:
            return
        self._forget(now_s)
        hour = self._hour(now_s)
        if self._hours and self._hours[-1][0] == hour:
            amount += self._hours.pop()[1]
        self._hours.append((hour, max(0.0, amount)))
        self.used = sum(part for _, part in self._hours)

    def left(self, now_s: float) -> float:
        """What may still be used now."""
        if self._limit is None:
            return float("inf")
        self._forget(now_s)
        return max(0.0, self._limit - self.used)

    def wait_s(self, now_s: float) -> float:
        """When the oldest use is forgotten."""
        if not self._hours:
            return 0.0
        forgotten_s = self._origin_s + (self._hours[0][0] + 1 + HOURS_KEPT) * HOUR_S
        return max(0.0, forgotten_s - now_s)

    def dump(self, now_s: float) -> list[tuple[float, float]]:
        """Uses as (age in seconds, amount), oldest first."""
        return [(now_s - self._origin_s - hour * HOUR_S, amount) for hour, amount in self._hours]

    def load(self, uses: list[tuple[float, float]], elapsed_s: float, now_s: float) -> None:
        """Take over what `dump` gave `elapsed_s` ago."""
        for age_s, amount in uses:
            hour = self._hour(now_s - age_s - elapsed_s)
            self._hours.append((hour, amount))
        self.used = sum(part for _, part in self._hours)
        self._forget(now_s)

    def _hour(self, now_s: float) -> int:
        return int((now_s - self._origin_s) // HOUR_S)

    def _forget(self, now_s: float) -> None:
        oldest = self._hour(now_s) - HOURS_KEPT
        while self._hours and self._hours[0][0] < oldest:
            self._hours.popleft()
            self.used = sum(part for _, part in self._hours)


class ByteRate:
    """A limit on bytes a second, kept by spacing requests at their mean size and by waiting out what went beyond.

    Args:
        limit_bytes_per_s: The limit, or None.
        now_s: Monotonic time.
    """

    __slots__ = ("_limit", "_paid_s", "mean_bytes")

    def __init__(self, limit_bytes_per_s: float | None, now_s: float) -> None:
        self._limit = limit_bytes_per_s
        self._paid_s = now_s
        self.mean_bytes: float | None = None

    @property
    def is_unmeasured(self) -> bool:
        """Whether there is a limit, and nothing yet to say how many requests it allows."""
        return self._limit is not None and self.mean_bytes is None

    @property
    def interval_s(self) -> float:
        """Time that a request of mean size takes of the limit."""
        return self.mean_bytes / self._limit if self._limit and self.mean_bytes else 0.0

    def add(self, size_bytes: int, at_s: float) -> None:
        """Count one answer."""
        if size_bytes:
            mean = self.mean_bytes
            self.mean_bytes = size_bytes if mean is None else mean + _SIZE_WEIGHT * (size_bytes - mean)
        if self._limit:
            self._paid_s = max(self._paid_s, at_s) + size_bytes / self._limit

    @property
    def paid_s(self) -> float:
        """Until when the bytes received so far use the limit: no request before."""
        return self._paid_s
