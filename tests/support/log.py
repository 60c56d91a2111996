"""What the origin saw, and the sums over it that tests assert."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Seen:
    """One request as the origin saw it.

    Args:
        at_s: Monotonic time of its arrival.
        status: What was answered; None for a request that got no status line.
        client_port: Port that the client's connection came from.
        client_host: Address that it came from.
        headers: All of its headers, names in lower case.
        in_flight: Requests of this host under way at its arrival, this one included.
    """

    at_s: float
    host: str
    target: str
    status: int | None
    user_agent: str
    accept_encoding: str
    client_port: int
    in_flight: int
    tls: bool
    client_host: str = "127.0.0.1"
    headers: Mapping[str, str] = field(default_factory=dict)


def most_in_window(seen: Iterable[Seen], window_s: float) -> int:
    """The largest number of requests that arrived within any `window_s` seconds."""
    times = sorted(entry.at_s for entry in seen)
    return max((index - bisect_left(times, at_s - window_s) + 1 for index, at_s in enumerate(times)), default=0)


def excess_over_budget(seen: Iterable[Seen], rate_rps: float, burst: int) -> float:
    """How many requests too many the worst window held, by the law `rate_rps * window + burst`; <= 0 is lawful."""
    times = sorted(entry.at_s for entry in seen)
    worst = float("-inf")
    least = float("inf")  # smallest of (rate * start - index) over the windows' first requests
    for index, at_s in enumerate(times):
        least = min(least, index - rate_rps * at_s)
        worst = max(worst, index + 1 - rate_rps * at_s - least - burst)
    return worst


def most_in_flight(seen: Iterable[Seen]) -> int:
    """The largest number of requests of one host that were under way at once."""
    return max((entry.in_flight for entry in seen), default=0)
