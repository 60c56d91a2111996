"""Which workers use a server at this moment, and how they share its connections.

A holder keeps its in-flight requests, and what its last two leases allowed, until it reports less; the share of a
silent holder returns only when its transfers must have ended. So the sum never exceeds the server's connections.
"""

from __future__ import annotations

from ray_downloader.politeness.leases.timeline import Interval

#: A silent holder that cannot have requests in flight is forgotten after this long.
HOLDER_TIMEOUT_S = 30.0
#: One that can have transfers in flight is slow to report, or lost: they end with `network.request_timeout_s`. If the
#: driver knows that a worker is lost, it reports that (`forget`).
TRANSFER_TIMEOUT_S = 330.0
#: Holders that sent requests within this time share a server's seconds in short leases.
ACTIVE_S = 2.0


class Holder:
    """One worker's standing with a server."""

    __slots__ = ("allowed", "allowed_before", "asked_s", "in_flight", "interval", "retries", "until_s", "wanted")

    def __init__(self) -> None:
        self.asked_s = 0.0
        self.wanted = 0
        self.in_flight = 0
        self.allowed = 0
        self.allowed_before = 0
        self.retries = 0
        self.interval: Interval | None = None
        #: Until when its leases can be used.
        self.until_s = 0.0

    @property
    def held(self) -> int:
        """Connections that it may have open now, under either of its last two leases."""
        return max(self.allowed, self.allowed_before, self.in_flight)

    @property
    def needed(self) -> int:
        """Connections that it could use."""
        return self.wanted + self.in_flight

    def is_forgotten(self, now_s: float) -> bool:
        """Whether its share returns: it has been silent for long, and what it was allowed must have ended."""
        timeout_s = TRANSFER_TIMEOUT_S if self.held else HOLDER_TIMEOUT_S
        return now_s - max(self.asked_s, self.until_s) > timeout_s

    def allow(self, connections: int) -> None:
        """Apply a new lease: the previous one may still be in use until the answer arrives."""
        self.allowed_before, self.allowed = self.allowed, connections


class Holders:
    """All holders of one server."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, Holder] = {}

    def note_report(self, name: str, wanted: int, in_flight: int, now_s: float) -> Holder:
        """Record that a holder reported, and drop the silent ones."""
        silent = [other for other, it in self._known.items() if it.is_forgotten(now_s)]
        for other in silent:
            del self._known[other]
        holder = self._known.setdefault(name, Holder())
        holder.asked_s, holder.wanted, holder.in_flight = now_s, wanted, in_flight
        return holder

    def forget(self, name: str) -> None:
        """Forget a holder that is known to be gone."""
        self._known.pop(name, None)

    def names(self) -> list[str]:
        """The known holders."""
        return list(self._known)

    def get(self, name: str) -> Holder | None:
        """The holder with this name, or None."""
        return self._known.get(name)

    def stop(self, name: str) -> None:
        """The holder wants nothing more: it keeps only what it has in flight."""
        holder = self._known[name]
        holder.allowed = holder.allowed_before = holder.retries = 0
        holder.interval = None
        if not holder.in_flight:
            del self._known[name]

    def active(self, now_s: float) -> int:
        """Holders that want permits at this time."""
        return sum(1 for it in self._known.values() if it.wanted and now_s - it.asked_s <= ACTIVE_S)

    def connections_for(self, name: str, limit: int, turn: int = 1) -> int:
        """How many connections a holder may use, so that together all stay below `limit` and each gets its share.

        Holders take turns in a server's time, and during its turn one needs `turn` connections to keep up with the
        rate; fewer would waste the turn. So if there are not enough for all, some holders wait.
        """
        mine = self._known[name]
        others = [it for other, it in self._known.items() if other != name]
        fair = max(turn, limit // (1 + sum(1 for it in others if it.needed)))
        spare = limit - sum(min(fair, it.needed) for it in others)
        free = limit - sum(it.held for it in others)
        return min(mine.needed, max(fair, spare), free) if free >= min(turn, mine.needed) else 0

    def retries_out(self, name: str) -> int:
        """Retries that leases of others allow and that may not be reported yet, plus those `name` has in flight."""
        return sum(min(it.retries, it.in_flight) if other == name else it.retries for other, it in self._known.items())

    def held_by_others(self, name: str) -> int:
        """Connections that all holders but this one may have open."""
        return sum(it.held for other, it in self._known.items() if other != name)

    @property
    def in_flight(self) -> int:
        """Requests in flight, as far as reported."""
        return sum(it.in_flight for it in self._known.values())
