"""Figures of one client at one server, from what the server saw."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.politeness.behaviours import LIMIT_RPS
from benchmarks.politeness.running import Request

REFUSALS = frozenset({403, 429, 503})
#: Goodput is judged by this window; a rate has settled when every later window stays within `SETTLED_SHARE` of the
#: goodput that the whole remaining run has.
WINDOW_S = 5.0
SETTLED_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class Figures:
    """What is compared.

    Args:
        images: 200 answers.
        share: Images a second over the whole run, as a share of the true limit.
        settled_share: The same from `settle_s` on.
        refusals: 403, 429 and 503 answers per 1,000 images.
        settle_s: Seconds until the rate settled; None: it did not.
        requests: Per image.
        peak: Most requests in any second, over what one configured ceiling and a burst of 1 allow; None: no ceiling.
    """

    images: int
    share: float
    settled_share: float
    refusals: float
    settle_s: float | None
    requests: float
    peak: float | None

    @classmethod
    def of(cls, log: Sequence[Request], ceiling_rps: float | None, until_s: float | None = None) -> Figures:
        """Figures of one server's log, from its first request until `until_s` (or its last request)."""
        start_s = log[0].at_s
        end_s = until_s or log[-1].at_s
        images_s = [entry.at_s - start_s for entry in log if entry.status == 200 and entry.at_s <= end_s]
        refusals = sum(entry.status in REFUSALS for entry in log)
        settle_s = settled_after_s(images_s, end_s - start_s)
        images = max(1, len(images_s))
        return cls(
            images=len(images_s),
            share=_rps(images_s, 0.0, end_s - start_s) / LIMIT_RPS,
            settled_share=_rps(images_s, settle_s or 0.0, end_s - start_s) / LIMIT_RPS,
            refusals=1000 * refusals / images,
            settle_s=settle_s,
            requests=len(log) / images,
            peak=most_in_a_second([entry.at_s for entry in log]) / (ceiling_rps + 1) if ceiling_rps else None,
        )


def excess_over(rate_rps: float, times_s: Sequence[float]) -> float:
    """Most requests above `rate_rps * w` in any window of w seconds: the burst that a client would need."""
    worst, best_start = 0.0, float("-inf")
    for number, at_s in enumerate(sorted(times_s)):
        best_start = max(best_start, rate_rps * at_s - number)
        worst = max(worst, number + 1 - rate_rps * at_s + best_start)
    return worst


def most_in_a_second(times_s: Sequence[float]) -> int:
    """The largest number of requests within any second."""
    return max(index - bisect_left(times_s, at_s - 1.0) + 1 for index, at_s in enumerate(times_s))


def settled_after_s(images_s: Sequence[float], length_s: float) -> float | None:
    """When the goodput settled; None where that was not before the last quarter of the run."""
    windows = [_rps(images_s, step * WINDOW_S, (step + 1) * WINDOW_S) for step in range(int(length_s / WINDOW_S))]
    for first in range(3 * len(windows) // 4):
        rest = windows[first:]
        mean_rps = sum(rest) / len(rest)
        if all(abs(rps - mean_rps) <= SETTLED_SHARE * mean_rps for rps in rest) and mean_rps:
            return first * WINDOW_S
    return None


def _rps(times_s: Sequence[float], start_s: float, end_s: float) -> float:
    """Mean rate between two times."""
    count = bisect_left(times_s, end_s) - bisect_left(times_s, start_s)
    return count / (end_s - start_s) if end_s > start_s else 0.0
