"""Writes leases: turns what a server allows at this moment into permits for one holder.

It keeps track of holders (connections, intervals of the timeline, retries), not of the server's answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ray_downloader.politeness.leases.holders import Holder, Holders
from ray_downloader.politeness.leases.timeline import SLACK_SHARE, Interval, LeaseTimeline
from ray_downloader.politeness.messages import Lease, LeaseRequest, Verdict

#: Length of a lease among several holders: short, so that each gets its turn and a pause soon reaches all.
SHARED_S = 0.4
#: A lease starts at most this long after it is granted, so that a pause takes effect soon.
LEAD_S = 1.0
#: ... and at most this share of a lease's length, so that a change of rate takes effect at once: from 10/s to 30/s,
#: four tasks took 4 s with a second of lead, and 2 s with this (virtual time).
LEAD_SHARE = 0.5
#: When a holder that got no connection may request again.
RECHECK_S = 0.25
#: Validity of a lease for a server without a rate.
UNLIMITED_S = 30.0
#: Without a rate, one connection of this many stays free for the next holder: otherwise it waits until the first, which
#: took them all, has reported twice (measured: a second task idle for 2 s at each start).
NEWCOMERS_SHARE = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """What a server allows now.

    Args:
        not_before_s: No permit before this time.
        interval_s: Mean distance between permits; 0: no limit on the rate.
        least_s: Minimum distance between any two.
        burst: Permits that may be used at once.
        connections: Requests in flight at once, over all holders.
        turn_connections: The number that the rate keeps busy.
        length_s: Length of the lease of a holder that is alone.
        most_permits: Permits that the quotas leave.
        retries: Retries that the retry budget leaves, not counting those that running leases allow.
        is_probe: A single permit while no other is granted: its holder has as long to use it as one that is alone.
    """

    not_before_s: float
    interval_s: float
    least_s: float
    burst: int
    connections: int
    turn_connections: int
    length_s: float
    most_permits: float
    retries: float
    is_probe: bool = False


class LeaseAllocator:
    """All leases of one budget."""

    __slots__ = ("_holders", "_timeline")

    def __init__(self, not_before_s: float) -> None:
        self._timeline = LeaseTimeline(not_before_s)
        self._holders = Holders()

    @property
    def expires_s(self) -> float:
        """Until when granted permits may be used."""
        return self._timeline.expires_s

    @property
    def in_flight(self) -> int:
        """Requests in flight, as far as reported."""
        return self._holders.in_flight

    def held_by_others(self, name: str) -> int:
        """Connections that all holders but this one may have open."""
        return self._holders.held_by_others(name)

    def is_wanted(self, now_s: float) -> bool:
        """Whether a holder waits for permits."""
        return self._holders.active(now_s) > 0

    def forget(self, worker: str) -> None:
        """Forget a worker that is known to be gone, and its transfers with it."""
        for name in self._holders.names():
            if name.split(" ", 1)[0] == worker:
                self._holders.forget(name)

    def receive(self, request: LeaseRequest, now_s: float) -> None:
        """Record what the holder reports about itself."""
        name = holder_name(request)
        holder = self._holders.note_report(name, request.wanted, request.in_flight, now_s)
        if request.unused or not request.wanted:
            self._timeline.release(name, now_s)
            holder.interval, holder.until_s = None, now_s
        if holder.until_s <= now_s:
            holder.allowed = holder.allowed_before = 0
        if not request.wanted:
            self._holders.stop(name)

    def refuse(self, request: LeaseRequest, wait_s: float, verdict: Verdict, now_s: float) -> Lease:
        """No permits; a lease that is still running keeps its connections, unless the verdict ends it."""
        holder = self._holders.get(holder_name(request))
        runs_on = holder is not None and holder.interval is not None and holder.interval.end_s > now_s
        connections = holder.allowed if holder and runs_on and verdict is Verdict.OPEN else 0
        if holder:
            holder.allow(connections)
            holder.interval = holder.interval if connections else None
        return Lease(request.server, 0, connections=connections, request_again_in_s=wait_s, verdict=verdict)

    def offer(self, request: LeaseRequest, terms: Terms, now_s: float) -> Lease:
        """As many permits as the terms and the other holders allow; possibly none yet."""
        name = holder_name(request)
        holder = self._holders.get(name)
        connections = self._holders.connections_for(name, terms.connections, terms.turn_connections)
        if holder is None or not connections:
            return self.refuse(request, RECHECK_S, Verdict.OPEN, now_s)
        if not terms.interval_s:
            most = terms.connections - terms.connections // NEWCOMERS_SHARE
            return self._unlimited(request, holder, min(connections, most), now_s)
        interval = self._interval(name, holder, request, terms, now_s)
        if isinstance(interval, float):
            return self.refuse(request, interval, Verdict.OPEN, now_s)
        retries = terms.retries - self._holders.retries_out(name)
        in_hand = interval.permits + _permits_before(holder.interval, interval, now_s)
        holder.allow(min(connections, interval.permits + request.in_flight))
        holder.until_s = max(holder.until_s, interval.end_s)
        holder.interval, holder.retries = interval, int(min(in_hand, max(0, retries)))
        lease = _lease(request, holder, interval, now_s)
        return replace(lease, may_retry_later=terms.retries >= holder.retries + 1)

    def _interval(
        self, name: str, holder: Holder, request: LeaseRequest, terms: Terms, now_s: float
    ) -> Interval | float:
        """The holder's next interval, or how long to wait before requesting one.

        A lease that has not begun is granted again: its answer was lost, or the holder repeats itself.
        """
        again = holder.interval
        if again is not None and again.start_s > now_s:
            return again
        start_s = max(terms.not_before_s, self._timeline.earliest_s(name))
        lead_s = min(LEAD_S, LEAD_SHARE * terms.length_s)
        if start_s > now_s + lead_s:
            return start_s - now_s - lead_s / 2
        is_alone = terms.is_probe or self._holders.active(now_s) <= 1
        length_s, interval_s = self._pace(terms, is_alone)
        permits = max(1, int(min(float(request.wanted), length_s / interval_s, terms.most_permits)))
        return self._timeline.reserve(name, permits, interval_s, terms.burst, start_s, is_alone=is_alone)

    def _pace(self, terms: Terms, is_alone: bool) -> tuple[float, float]:
        """Length of a lease and distance of its permits; if no burst covers the slack, these compensate for it."""
        if is_alone:
            return terms.length_s, terms.interval_s
        faster = 1 + SLACK_SHARE if terms.burst == 1 else 1.0
        return min(SHARED_S, terms.length_s), max(terms.least_s, terms.interval_s / faster)

    def _unlimited(self, request: LeaseRequest, holder: Holder, connections: int, now_s: float) -> Lease:
        holder.allow(connections)
        holder.until_s = now_s + UNLIMITED_S
        wanted = request.wanted
        return Lease(
            request.server,
            wanted,
            burst=wanted,
            valid_s=UNLIMITED_S,
            connections=connections,
            retries=wanted,
            serial=self._timeline.next_serial(),
        )


def holder_name(request: LeaseRequest) -> str:
    """Name of a holder: a worker with several hosts of a group, each with its own pacer, is several holders."""
    return f"{request.holder} {request.server}"


def _permits_before(before: Interval | None, interval: Interval, now_s: float) -> int:
    """Permits of the holder's last lease that it may not have used: they may go to retries as well."""
    is_in_hand = before is not None and before is not interval and before.end_s > now_s
    return before.permits if is_in_hand else 0  # type: ignore[union-attr]


def _lease(request: LeaseRequest, holder: Holder, interval: Interval, now_s: float) -> Lease:
    return Lease(
        request.server,
        interval.permits,
        first_in_s=max(0.0, interval.first_s - now_s),
        interval_s=interval.interval_s,
        burst=interval.burst,
        valid_s=interval.end_s - now_s,
        connections=holder.allowed,
        retries=holder.retries,
        serial=interval.serial,
    )
