"""Which limit explains a server's answers and refusals: the kinds in `limiters` are compared with a log of requests.

A single refusal does not show where the limit is: a bucket of one refuses the first request that comes too early, one
with a second's worth only long after its rate was exceeded. After one refusal several kinds explain it, after the next
usually one. Pure.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Sequence

from ray_downloader.politeness.server.limiters import (
    Bounds,
    bucket_bounds,
    calendar_bounds,
    distance_bounds,
    window_bounds,
)

#: Requests that are remembered: 8 kB. A fit takes 0.4 ms if a window explains all, else 34 ms, once per incident.
#: With 512 a bucket of 300 was not found (bare 429s, virtual time: 0.2 of its rate in 20 minutes, not 0.8).
KEPT = 1024
#: Number of requests over which the mean rate is computed.
MEAN_OF = 256
#: Fewer answers than this are no evidence.
MIN_ANSWERED = 8
#: A refused request was clearly too close to the one before it if no answered one came within this factor of that.
CLEARLY_NEARER = 1.12
#: That means a bucket of one, unless the rate rose so fast that the last second's rate is this far below it: then a
#: deeper bucket is likelier.
MOST_OVER_WINDOW = 1.5
#: Then the limit is between the answered and the refused distance, but at most this far from the answered one.
MOST_UNPROVEN = 1.3


class LimitFit:
    """The log of requests to one server, and the limit that explains it."""

    __slots__ = ("_answered_s", "_first_refused_s", "_most_depth", "_refused_s")

    def __init__(self) -> None:
        self._answered_s = array("d")
        self._refused_s = array("d")
        self._first_refused_s: float | None = None
        self._most_depth = math.inf

    def answered(self, sent_s: float) -> None:
        """Add an answered request; holders report in batches, so the times come only roughly in order."""
        insort(self._answered_s, sent_s)
        if len(self._answered_s) > KEPT:
            del self._answered_s[0]
            del self._refused_s[: bisect_left(self._refused_s, self._answered_s[0])]

    @property
    def answered_s(self) -> Sequence[float]:
        """When the answered requests were sent, in order."""
        return self._answered_s

    def refused(self, sent_s: float) -> None:
        """Add the first request that an incident refused."""
        insort(self._refused_s, sent_s)
        if self._first_refused_s is None:
            self._first_refused_s = sent_s

    def was_not_refused(self, sent_s: float) -> None:
        """That refusal had nothing to do with the rate."""
        if sent_s in self._refused_s:
            self._refused_s.remove(sent_s)
        if sent_s == self._first_refused_s:
            self._first_refused_s = None

    def _bound_depth(self) -> None:
        """A bucket is no deeper than what it answered, full at the start, until it refused for the first time."""
        if self._first_refused_s is not None and len(self._answered_s) < KEPT:
            self._most_depth = bisect_left(self._answered_s, self._first_refused_s)

    def mean_rps(self) -> float:
        """Rate of the last answered requests."""
        latest_s = self._answered_s[-MEAN_OF:]
        return len(latest_s) / max(latest_s[-1] - latest_s[0], 1e-3)

    def limit_rps(self, asked_rps: float, *, is_careful: bool) -> float | None:
        """The server's limit, if a kind of limiter explains what happened; else None.

        1. The refused request was clearly closer than any answered one: a bucket of one, which depends on how evenly
           requests arrive and not on the rate that was used.
        2. Otherwise, and at most the rate that was used: a number of requests in any second, which is between what
           shallow and deep buckets would mean, if it explains all; then a bucket of one; then deeper ones; then a
           calendar's seconds.

        Args:
            asked_rps: The rate at the last refusal.
            is_careful: Choose the slowest of several buckets.
        """
        if len(self._answered_s) < MIN_ANSWERED or not self._refused_s:
            return None
        self._bound_depth()
        log = (self._answered_s, self._refused_s)
        distance, window = distance_bounds(*log), window_bounds(*log)
        is_nearer = distance.high_rps >= CLEARLY_NEARER * distance.low_rps
        if is_nearer and distance.low_rps <= MOST_OVER_WINDOW * window.low_rps:
            return max(distance.low_rps, min(MOST_UNPROVEN * distance.low_rps, _middle_rps(distance) / CLEARLY_NEARER))
        for bounds in (window, distance):
            if bounds.agrees:
                return min(asked_rps, _middle_rps(bounds))
        buckets = bucket_bounds(*log, most_depth=self._most_depth)
        limit_rps = _bucket_rps(buckets, is_careful=is_careful) or _calendar_rps(calendar_bounds(*log))
        return min(asked_rps, limit_rps) if limit_rps else None


def _bucket_rps(kinds: list[Bounds], *, is_careful: bool) -> float | None:
    """The fastest bucket that explains all, as a further incident shows if it was too fast; or the slowest."""
    agreeing = [it for it in kinds if it.is_exact] or [it for it in kinds if it.agrees]
    limits_rps = [_middle_rps(it) for it in agreeing]
    if not limits_rps:
        return None
    return min(limits_rps) if is_careful else max(limits_rps)


def _calendar_rps(phases: list[Bounds]) -> float | None:
    """The middle one of the phases that explain all: neighbouring ones differ by a request or two."""
    agreeing = sorted(_middle_rps(it) for it in phases if it.agrees)
    return agreeing[(len(agreeing) - 1) // 2] if agreeing else None


def _middle_rps(bounds: Bounds) -> float:
    return math.sqrt(bounds.low_rps * bounds.high_rps)
