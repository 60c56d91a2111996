"""How a limited server answers, as pure state: a request that arrives at a time gets a reply.

The limit of each behaviour is known, so that what a client gets can be held against what it could have had. Nothing
here reads a clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

#: What every limited behaviour allows.
LIMIT_RPS = 30.0
#: A loopback server would answer at once; a museum's does not.
LATENCY_S = 0.03


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer.

    Args:
        wait_s: Time before the status line.
        drip_s: Time over which the body is spread.
    """

    status: int
    retry_after_s: float | None = None
    wait_s: float = LATENCY_S
    drip_s: float = 0.0


class Healthy:
    """Answers everything."""

    def reply(self, now_s: float) -> Reply:
        """Always the picture."""
        return Reply(200)


class TokenBucket:
    """Allows `LIMIT_RPS` with a bucket of `depth`; what exceeds it is refused.

    Args:
        drip_s: How long each body takes.
    """

    def __init__(self, depth: float, status: int, retry_after_s: float | None, drip_s: float = 0.0) -> None:
        self._depth = self._tokens = depth
        self._at_s = 0.0
        self._refusal = Reply(status, retry_after_s)
        self._answer = Reply(200, drip_s=drip_s)

    def reply(self, now_s: float) -> Reply:
        """The picture where there is a token, else the refusal."""
        self._tokens = min(self._depth, self._tokens + (now_s - self._at_s) * LIMIT_RPS)
        self._at_s = now_s
        if self._tokens < 1:
            return self._refusal
        self._tokens -= 1
        return self._answer


class Window:
    """Allows `LIMIT_RPS` requests in any second; refused requests count too."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def reply(self, now_s: float) -> Reply:
        """The picture, or 429 with Retry-After."""
        self._times_s.append(now_s)
        while self._times_s[0] <= now_s - 1:
            self._times_s.popleft()
        return Reply(200) if len(self._times_s) <= LIMIT_RPS else Reply(429, 1.0)


class Queue:
    """Serves one request after the other, `LIMIT_RPS` of them a second: it refuses nothing and becomes slow."""

    def __init__(self) -> None:
        self._free_s = 0.0

    def reply(self, now_s: float) -> Reply:
        """The picture, when it is its turn."""
        self._free_s = max(now_s, self._free_s) + 1 / LIMIT_RPS
        return Reply(200, wait_s=LATENCY_S + self._free_s - now_s)


class Ban:
    """Refuses like a bucket, and after `patience` refusals answers 403 to everything for `ban_s`."""

    def __init__(self, patience: int, ban_s: float) -> None:
        self._bucket = TokenBucket(LIMIT_RPS, 429, None)
        self._patience = self._left = patience
        self._ban_s = ban_s
        self._until_s = float("-inf")

    def reply(self, now_s: float) -> Reply:
        """The picture, 429 or, while the ban lasts, 403."""
        if now_s < self._until_s:
            return Reply(403)
        reply = self._bucket.reply(now_s)
        if reply.status == 429:
            self._left -= 1
            if not self._left:
                self._left, self._until_s = self._patience, now_s + self._ban_s
        return reply


Behaviour = Healthy | TokenBucket | Window | Queue | Ban

#: By the name that a host carries. The first group is the benchmark's, the second varies the limiter.
BEHAVIOURS: dict[str, Callable[[], Behaviour]] = {
    "healthy": Healthy,
    "retry-after": lambda: TokenBucket(LIMIT_RPS, 429, 1.0),
    "bare-429": lambda: TokenBucket(LIMIT_RPS, 429, None),
    "busy-503": lambda: TokenBucket(LIMIT_RPS, 503, 2.0),
    "latency": Queue,
    "ban": lambda: Ban(patience=20, ban_s=30.0),
    "drip": lambda: TokenBucket(LIMIT_RPS, 429, 1.0, drip_s=0.4),
    "bucket-1": lambda: TokenBucket(1, 429, 1.0),
    "bucket-5": lambda: TokenBucket(5, 429, 1.0),
    "bucket-30": lambda: TokenBucket(30, 429, 1.0),
    "window": Window,
}
