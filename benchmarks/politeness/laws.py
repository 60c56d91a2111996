"""The laws of others, as pure state: when the next request goes, and what an answer changes about that.

Written from what is published about them; the facts stand at each class. None of them knows of other processes.
"""

from __future__ import annotations

import math
from typing import Protocol

RETRIED = frozenset({429, 500, 502, 503, 504})


class Law(Protocol):
    """One client's law for one server.

    Args:
        concurrency: Requests under way at once.
        max_attempts: Requests for one image at most.
        waits_in_place: How often a request is sent again at once, after the wait that the server asked for, before
            the law is notified (an HTTP library's own retries).
    """

    concurrency: int
    max_attempts: int
    waits_in_place: int

    @property
    def delay_s(self) -> float:
        """Wait between two requests."""

    def on_answer(self, status: int, latency_s: float) -> None:
        """An answer came."""


class FixedRate:
    """A constant rate, and two retries."""

    concurrency = 16
    max_attempts = 3
    waits_in_place = 0

    def __init__(self, rate_rps: float) -> None:
        self._delay_s = 1 / rate_rps

    @property
    def delay_s(self) -> float:
        """Always the same."""
        return self._delay_s

    def on_answer(self, status: int, latency_s: float) -> None:
        """Nothing is learned."""


class DistributedDownloader:
    """Imageomics/distributed-downloader, `core/mpi_downloader`.

    A process sleeps 1/rate before each request. A success adds (1/rate - time of the request) to the rate, a retried
    error takes 1 off, clamped to rate x (1 -+ multiplier), at least 1. As many requests are under way as the upper
    bound says; 5 attempts, each around urllib3's 5 retries of 5xx and of anything with Retry-After. The rate 10 and
    the multiplier 0.8 are those of TreeOfLife-toolbox's general configuration, which runs up to 40 such processes.
    """

    max_attempts = 5
    waits_in_place = 5

    def __init__(self, rate_rps: float = 10.0, multiplier: float = 0.8) -> None:
        self._rate_rps = rate_rps
        self._lowest_rps = math.floor(max(rate_rps * (1 - multiplier), 1))
        self._highest_rps = math.floor(rate_rps * (1 + multiplier))
        self.concurrency = self._highest_rps

    @property
    def delay_s(self) -> float:
        """The inverse of the rate."""
        return 1 / self._rate_rps

    def on_answer(self, status: int, latency_s: float) -> None:
        """Up or down, within the window."""
        if status in RETRIED:
            self._rate_rps = max(self._rate_rps - 1, self._lowest_rps)
        elif status == 200:
            raised_rps = self._rate_rps + 1 / self._rate_rps - latency_s
            self._rate_rps = min(max(raised_rps, self._lowest_rps), self._highest_rps)


class AutoThrottle:
    """Scrapy's AutoThrottle with its defaults (docs.scrapy.org, topics/autothrottle).

    The delay moves halfway to latency / target concurrency, and at once where that is longer; an answer other than
    200 never shortens it. Start 5 s, at most 60 s, 8 requests under way, two retries, Retry-After unread.
    """

    concurrency = 8
    max_attempts = 3
    waits_in_place = 0
    _TARGET_CONCURRENCY = 1.0
    _MAX_DELAY_S = 60.0

    def __init__(self) -> None:
        self._delay_s = 5.0

    @property
    def delay_s(self) -> float:
        """As learned; Scrapy's random factor of 0.5 to 1.5 evens out and is left away."""
        return self._delay_s

    def on_answer(self, status: int, latency_s: float) -> None:
        """Halfway to the target."""
        target_s = latency_s / self._TARGET_CONCURRENCY
        delay_s = min(max(target_s, (self._delay_s + target_s) / 2), self._MAX_DELAY_S)
        if status == 200 or delay_s > self._delay_s:
            self._delay_s = delay_s


class AdaptiveTokenBucket:
    """ATB, by one client's own answers (Farkiani, Liu, Crowley: Rethinking HTTP API Rate Limiting, arXiv 2510.04516).

    A success multiplies the rate by 1.5 below the rate at which it was last refused, and by 1.2 from there on; a 429 or
    5xx remembers the rate, halves it and empties the bucket. Refused requests are sent again until they are served. The
    start is ours, 10/s over all nodes; a client that always wants more never saves up the bucket's four tokens.

    Args:
        start_rps: First rate.
        nodes: Clients that share this state; each sends so much less often.
    """

    concurrency = 16
    max_attempts = 1_000
    waits_in_place = 0
    _BELOW, _ABOVE = 1.5, 1.2
    _BACK_OFF = 0.5
    _LOWEST_RPS = 0.01

    def __init__(self, start_rps: float, nodes: int = 1) -> None:
        self._rate_rps = self._refused_rps = start_rps
        self._nodes = nodes

    @property
    def delay_s(self) -> float:
        """One token."""
        return self._nodes / self._rate_rps

    def on_answer(self, status: int, latency_s: float) -> None:
        """Up by a factor, down by half."""
        if status in RETRIED:
            self._refused_rps = self._rate_rps
            self._rate_rps = max(self._LOWEST_RPS, self._BACK_OFF * self._rate_rps)
        elif status == 200:
            self._rate_rps *= self._BELOW if self._rate_rps < self._refused_rps else self._ABOVE


class AssistedTokenBuckets:
    """AATB of the same paper, whose clients hear from an aggregator what all of them met: at its best.

    Here all nodes of a server have one state, which no telemetry can better. Called once for each node of a server.
    """

    def __init__(self, start_rps: float, nodes: int) -> None:
        self._start_rps, self._nodes = start_rps, nodes
        self._shared: AdaptiveTokenBucket | None = None
        self._left = 0

    def __call__(self) -> AdaptiveTokenBucket:
        """The state of the next node."""
        if self._shared is None or not self._left:
            self._shared, self._left = AdaptiveTokenBucket(self._start_rps, self._nodes), self._nodes
        self._left -= 1
        return self._shared
