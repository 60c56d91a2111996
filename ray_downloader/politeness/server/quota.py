"""What a server allows besides requests per second: bytes per second, bytes and requests per day.

Requests are charged when their permits are granted, so that limit is strict. Sizes are known only afterwards: a permit
is charged with the mean size so far, so what is in flight may exceed a byte limit, and is paid back.
"""

from __future__ import annotations

from collections import deque

from ray_downloader.politeness.messages import LeaseRequest

HOUR_S = 3600.0
#: A day's use is kept by the hour; the oldest hour counts fully until all of it has left the last 24.
HOURS_KEPT = 24
#: A message may take this long: permits count as lapsed only this long after the end of their lease.
LAPSE_CHECK_S = 1.0
#: A holder that is silent for this long after the end of its lease is lost, and may have used what it had.
LOST_AFTER_S = 600.0
#: Times that were saved as ages differ by less than this when they are computed back.
_ROUNDING_S = 1e-3
#: Weight of a new size in the mean: about ten images.
_SIZE_WEIGHT = 0.1


class DayQuota:
    """A limit on a quantity in any 24 hours.

    Args:
        limit: Maximum that may be used, or None for no limit.
        now_s: Monotonic time.
    """

    __slots__ = ("_hours", "_limit", "_origin_s", "used")

    def __init__(self, limit: float | None, now_s: float) -> None:
        self._limit = limit
        self._origin_s = now_s
        self._hours: deque[tuple[int, float]] = deque()
        self.used = 0.0

    def add(self, amount: float, now_s: float) -> None:
        """Use `amount`; a negative amount is a return."""
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

    def unsaved(self, ahead: float, now_s: float) -> float:
        """What may be used, of `ahead`, before this is saved again; 0 without a limit."""
        return 0.0 if self._limit is None else min(ahead, self.left(now_s))

    def wait_s(self, now_s: float) -> float:
        """When the oldest use is forgotten."""
        if not self._hours:
            return 0.0
        forgotten_s = self._origin_s + (self._hours[0][0] + 1 + HOURS_KEPT) * HOUR_S
        return max(0.0, forgotten_s - now_s)

    def dump(self, now_s: float) -> list[tuple[float, float]]:
        """Uses by the hour as (age in seconds of the beginning of that hour, amount), oldest first."""
        return [(now_s - self._origin_s - hour * HOUR_S, amount) for hour, amount in self._hours]

    def load(self, uses: list[tuple[float, float]], elapsed_s: float, now_s: float) -> None:
        """Restore what `dump` returned `elapsed_s` ago.

        The hours go on as they began: others would make uses older, or younger, by up to an hour at each restart.
        """
        if uses:
            self._origin_s = now_s - elapsed_s - max(age_s for age_s, _ in uses)
        for age_s, amount in sorted(uses, reverse=True):
            hour = self._hour(now_s - age_s - elapsed_s + _ROUNDING_S)
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


class DayRequests:
    """A limit on requests in any 24 hours, kept by what may still be sent: permits count until they are used or lapse.

    Args:
        limit: Maximum that may be sent, or None for no limit.
        now_s: Monotonic time.
    """

    __slots__ = ("_in_flight", "_outstanding", "_sent")

    def __init__(self, limit: float | None, now_s: float) -> None:
        self._sent = DayQuota(limit, now_s)
        self._outstanding: dict[str, deque[tuple[float, int]]] = {}
        self._in_flight: dict[str, int] = {}

    def note_report(self, request: LeaseRequest, holder: str, now_s: float) -> None:
        """Count what a holder reports: its requests in flight and how many have ended, hence how many permits it used.

        Permits of leases that have ended, and those that it returns, were not used and can be granted again.
        """
        in_flight, ended = request.in_flight, len(request.outcomes)
        has_dropped = request.unused > 0 or not request.wanted
        sent = max(0, ended + in_flight - self._in_flight.pop(holder, 0))
        if in_flight:
            self._in_flight[holder] = in_flight
        running = _without(self._outstanding.pop(holder, deque()), sent, now_s)
        if running and not has_dropped:
            self._outstanding[holder] = running
        self._sent.add(sent, now_s)

    def granted(self, holder: str, permits: int, ends_s: float) -> None:
        """Count the permits of a granted lease."""
        self._outstanding.setdefault(holder, deque()).append((ends_s, permits))

    def left(self, now_s: float) -> float:
        """Permits that may still be granted now."""
        self._count_lost(now_s)
        return max(0.0, self._sent.left(now_s) - self._unused)

    def unsaved(self, ahead: float, now_s: float) -> float:
        """Permits that may be granted, of `ahead`, before this is saved again; 0 without a limit."""
        return min(self._sent.unsaved(ahead, now_s), self.left(now_s))

    def wait_s(self, now_s: float) -> float:
        """When there may be permits again: granted ones lapse, or the oldest use is forgotten."""
        self._count_lost(now_s)
        if self._sent.left(now_s) >= 1:
            ends_s = (leases[0][0] for leases in self._outstanding.values())
            return max(LAPSE_CHECK_S, min(ends_s, default=now_s) - now_s)
        return self._sent.wait_s(now_s)

    def dump(self, now_s: float) -> list[tuple[float, float]]:
        """Uses as (age in seconds, amount); granted permits count as used."""
        self._count_lost(now_s)
        return [*self._sent.dump(now_s), *([(0.0, self._unused)] if self._unused else [])]

    def load(self, uses: list[tuple[float, float]], elapsed_s: float, now_s: float) -> None:
        """Restore what `dump` returned `elapsed_s` ago."""
        self._sent.load(uses, elapsed_s, now_s)

    def _count_lost(self, now_s: float) -> None:
        """Count the permits of holders that have been silent for long as sent: nobody knows better."""
        for holder, leases in list(self._outstanding.items()):
            if leases[-1][0] + LOST_AFTER_S < now_s:
                self._sent.add(sum(permits for _, permits in leases), now_s)
                del self._outstanding[holder]

    @property
    def _unused(self) -> float:
        """Granted permits that may still be used."""
        return float(sum(permits for leases in self._outstanding.values() for _, permits in leases))


def _without(leases: deque[tuple[float, int]], sent: int, now_s: float) -> deque[tuple[float, int]]:
    """Leases that are still running, without the permits that were used, the oldest first."""
    running: deque[tuple[float, int]] = deque()
    for ends_s, permits in leases:
        used = min(sent, permits)
        sent -= used
        if ends_s + LAPSE_CHECK_S > now_s and permits > used:
            running.append((ends_s, permits - used))
    return running


class ByteRate:
    """A limit on bytes per second, kept by spacing requests at their mean size and by waiting out any excess.

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
        """Whether there is a limit, but no measurement yet of how many requests it allows."""
        return self._limit is not None and self.mean_bytes is None

    @property
    def interval_s(self) -> float:
        """Time for which a request of mean size uses the limit."""
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
        """Until when the bytes received so far use up the limit: no request before that."""
        return self._paid_s
