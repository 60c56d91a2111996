"""Whether a failed request is retried, and how many retries may be charged to a server.

Retries have one owner: the row goes back to the worker's queue and through the budget like a first request. At most
`max_attempts` requests per row and 10 % of a server's requests (Google's SRE book, "Handling Overload").
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ray_downloader.errors import TRANSIENT_KINDS, ErrorKind
from ray_downloader.politeness.headers.retry_after import MAX_RETRY_AFTER_S

#: Share of a server's requests that may be retries.
RETRY_SHARE = 0.10
#: Retries that are exempt from the share, so that a short list's first failures can be retried.
RETRY_ALLOWANCE = 10
#: Full jitter (AWS architecture blog, "Exponential Backoff and Jitter"): uniform from 0 to `BASE_S * 2 ** attempt`.
BASE_S = 0.5
MAX_BACKOFF_S = 60.0

#: Failures for which a row is retried in the same run. A server that was given up, or a bug of ours, can only do better
#: in a later run; bytes that differ from the listed ones may have been garbled in transit.
TRANSIENT = (TRANSIENT_KINDS - {ErrorKind.SERVER_DEAD, ErrorKind.SERVER_REFUSED, ErrorKind.INTERNAL}) | {
    ErrorKind.CHECKSUM_MISMATCH
}
#: Requests for which a failure counts as transient, if fewer than `max_attempts`: bytes that were garbled in transit
#: arrive intact the second time; if not, the file has changed.
MAX_REQUESTS = {ErrorKind.CHECKSUM_MISMATCH: 2}


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, not before `delay_s` from now."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Settle the row with this failure."""


def decide(
    kind: ErrorKind, attempt: int, max_attempts: int, retry_after_s: float | None, rng: random.Random
) -> Retry | GiveUp:
    """The decision about a row whose `attempt`-th request (from 1) ended with this failure."""
    if kind not in TRANSIENT or attempt >= min(max_attempts, MAX_REQUESTS.get(kind, max_attempts)):
        return GiveUp()
    backoff_s = rng.uniform(0.0, min(MAX_BACKOFF_S, BASE_S * 2**attempt))
    return Retry(max(backoff_s, min(retry_after_s or 0.0, MAX_RETRY_AFTER_S)))


class RetryBudget:
    """Requests and retries of one server, and how many more retries that allows."""

    __slots__ = ("requests", "retries")

    def __init__(self, requests: int = 0, retries: int = 0) -> None:
        self.requests = requests
        self.retries = retries

    def add(self, is_retry: bool) -> None:
        """Count one request that ended."""
        self.requests += 1
        self.retries += is_retry

    def available(self) -> int:
        """Retries that may be made now, on top of those that ended."""
        return max(0, RETRY_ALLOWANCE + int(RETRY_SHARE * self.requests) - self.retries)
