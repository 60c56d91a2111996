"""The usual kinds of limiters, and the limit of each according to a server's answers and refusals.

In: times at which requests were sent, in order. Out: bounds of the rate; answers bound it from below, refusals from
above, and only for the server's actual kind of limiter do the two agree for long. Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

WINDOW_S = 1.0
#: Depths of token buckets that are tried: in requests (nginx's `burst`), and in seconds of their rate (gateways).
DEPTHS = (2.0, 5.0, 10.0)
DEPTHS_S = (0.5, 1.0, 2.0, 5.0, 10.0)
#: Number of positions at which a second of the server's clock may begin.
PHASES = 20
#: How precisely the answers before the first refusal are known: the rate rises, and refills the bucket meanwhile.
DEPTH_TOLERANCE = 1.25
#: Requests arrive a little unevenly: a bucket that lacks this share of a token may have had it.
TOKEN_TOLERANCE = 0.1
#: Bounds of a bucket that miss each other by less than this may still be those of the server.
BUCKET_TOLERANCE = 1.025
#: A bucket's rate is searched from an eighth of the mean rate to eight times it, to 0.4 %.
_SPAN = 8.0
_HALVINGS = 10

Times = Sequence[float]
_Requests = Sequence[tuple[float, bool]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limit of one kind: `low_rps` was answered, `high_rps` refused."""

    low_rps: float
    high_rps: float
    tolerance: float = BUCKET_TOLERANCE

    @property
    def is_exact(self) -> bool:
        """Whether such a limit would have answered all answered requests and refused all refused ones."""
        return self.low_rps <= self.high_rps

    @property
    def agrees(self) -> bool:
        """The same, if requests did not arrive quite as evenly as they were sent."""
        return self.low_rps <= self.tolerance * self.high_rps


def distance_bounds(answered_s: Times, refused_s: Times) -> Bounds:
    """A bucket of one: no two requests closer than 1/rate."""
    least_s = min(after - before for before, after in pairwise(answered_s))
    refused_gap_s = max(_gap_before_s(answered_s, at_s) for at_s in refused_s)
    return Bounds(1 / max(least_s, 1e-6), 1 / max(refused_gap_s, 1e-6))


def window_bounds(answered_s: Times, refused_s: Times) -> Bounds:
    """A number of requests in any second."""
    low = max(_in_second_before(answered_s, at_s) + 1 for at_s in answered_s)
    return _counted(low, min(_in_second_before(answered_s, at_s) for at_s in refused_s))


def calendar_bounds(answered_s: Times, refused_s: Times) -> list[Bounds]:
    """A number of requests in each second of an unknown clock, for each phase of it."""
    return [_in_seconds(answered_s, refused_s, phase / PHASES * WINDOW_S) for phase in range(PHASES)]


def bucket_bounds(answered_s: Times, refused_s: Times, most_depth: float = math.inf) -> list[Bounds]:
    """Token buckets of several depths that were full before the first of these requests.

    Args:
        answered_s: Times at which answered requests were sent.
        refused_s: Times at which refused requests were sent.
        most_depth: Upper bound of the depth, as far as known.
    """
    requests = sorted([*((at_s, True) for at_s in answered_s), *((at_s, False) for at_s in refused_s)])
    most_depth *= DEPTH_TOLERANCE
    fixed = [_bucket(requests, lambda _, depth=depth: depth) for depth in DEPTHS if depth <= most_depth]  # type: ignore[misc]
    timed = [(depth_s, _bucket(requests, lambda rps, s=depth_s: max(1.0, s * rps))) for depth_s in DEPTHS_S]  # type: ignore[misc]
    return fixed + [bounds for depth_s, bounds in timed if depth_s * bounds.low_rps <= most_depth]


def _gap_before_s(answered_s: Times, at_s: float) -> float:
    before = bisect_left(answered_s, at_s)
    return at_s - answered_s[before - 1] if before else float("inf")


def _in_second_before(answered_s: Times, at_s: float) -> int:
    return bisect_left(answered_s, at_s) - bisect_right(answered_s, at_s - WINDOW_S)


def _in_seconds(answered_s: Times, refused_s: Times, phase_s: float) -> Bounds:
    counts = Counter((at_s + phase_s) // WINDOW_S for at_s in answered_s)
    starts_s = [(at_s + phase_s) // WINDOW_S * WINDOW_S - phase_s for at_s in refused_s]
    spans = zip(starts_s, refused_s, strict=True)
    high = min(bisect_left(answered_s, at_s) - bisect_left(answered_s, start_s) for start_s, at_s in spans)
    return _counted(max(counts.values()), high)


def _counted(low: int, high: int) -> Bounds:
    """Bounds by counting; one request near an edge may count or not."""
    high = max(1, high)
    return Bounds(low / WINDOW_S, high / WINDOW_S, 1 + 1 / high)


def _bucket(requests: _Requests, depth_at: Callable[[float], float]) -> Bounds:
    """Bounds of a bucket whose depth depends on its rate."""
    mean_rps = len(requests) / max(requests[-1][0] - requests[0][0], 1e-3)
    low_rps = _least_rps(mean_rps, lambda rps: not _starves(requests, rps, depth_at(rps)))
    high_rps = _least_rps(mean_rps, lambda rps: _would_answer(requests, rps, depth_at(rps)))
    return Bounds(low_rps, high_rps)


def _least_rps(mean_rps: float, holds: Callable[[float], bool]) -> float:
    """The lowest rate at which `holds` is true, by bisection."""
    low_rps, high_rps = mean_rps / _SPAN, mean_rps * _SPAN
    for _ in range(_HALVINGS):
        middle_rps = math.sqrt(low_rps * high_rps)
        low_rps, high_rps = (low_rps, middle_rps) if holds(middle_rps) else (middle_rps, high_rps)
    return math.sqrt(low_rps * high_rps)


def _starves(requests: _Requests, rps: float, depth: float) -> bool:
    """Whether the bucket would have refused an answered request."""
    return any(is_answered and tokens < 1 - TOKEN_TOLERANCE for tokens, is_answered in _tokens(requests, rps, depth))


def _would_answer(requests: _Requests, rps: float, depth: float) -> bool:
    """Whether the bucket would have answered a refused request."""
    return any(not is_answered and tokens >= 1 for tokens, is_answered in _tokens(requests, rps, depth))


def _tokens(requests: _Requests, rps: float, depth: float) -> Iterator[tuple[float, bool]]:
    """The tokens in the bucket as each request arrives, and whether that was answered."""
    tokens, before_s = depth, requests[0][0]
    for at_s, is_answered in requests:
        tokens = min(depth, tokens + (at_s - before_s) * rps)
        before_s = at_s
        yield tokens, is_answered
        if is_answered:
            tokens = max(0.0, tokens - 1)
