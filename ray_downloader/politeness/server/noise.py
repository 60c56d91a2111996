"""Whether a server's refusals depend on our rate at all. Pure.

A limiter of any kind (distance, window, calendar, bucket) refuses exactly those requests that follow others too
closely on some scale of time: on that scale none that it answered followed others more closely. A server that refuses
one request in twenty whatever the rate (a broken backend behind a balancer, files that are made on their first visit)
refuses some that followed no others closely. Slowing down does not help there, and would never end: each refusal would
halve the rate again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from itertools import takewhile

#: A refused request was too close to others if at most this share of the answered ones was at least as close, on some
#: scale. Not 0: requests do not arrive as evenly as they were sent.
CLOSEST_SHARE = 0.2
#: Differences below this are rounding.
TIE_SHARE = 1e-6
#: Fewer answered requests than this are no comparison.
MIN_ANSWERED = 12
#: Only the answers since the third refusal before this one are compared: the limit may have fallen since.
REFUSALS_BACK = 3
#: ... but at least so many: where refusals are frequent, few answers come between three of them.
LEAST_COMPARED = 16
#: Log-likelihoods. Of refusals that are noise about 40 % are not too close; of a limiter's about 2 % seem so.
UNEXPLAINED, EXPLAINED = 3.0, -0.5
IS_NOISE, LEAST_SCORE, MOST_SCORE = 3.0, -3.0, 6.0
#: Scales of time, as numbers of requests: a bucket shows only on the scale of what it holds.
_SCALES = tuple(sorted({round(1.3**power) for power in range(24)}))
#: A scale on which fewer requests can be compared reveals nothing.
MIN_COMPARED = 5


class RefusalNoise:
    """The evidence for and against noise.

    Args:
        score: What an earlier process found.
    """

    __slots__ = ("_refused_s", "is_noise", "score")

    def __init__(self, score: float = 0.0) -> None:
        self.score = max(LEAST_SCORE, min(MOST_SCORE, score))
        self.is_noise = self.score >= IS_NOISE
        self._refused_s: deque[float] = deque(maxlen=REFUSALS_BACK + 1)

    def refused(self, sent_s: float) -> None:
        """Remember when the refused request was sent; `judge` it when the answers before it have been reported."""
        self._refused_s.append(sent_s)

    def was_not_refused(self, sent_s: float) -> None:
        """That refusal was about its URL."""
        if sent_s in self._refused_s:
            self._refused_s.remove(sent_s)

    @property
    def is_certainly_none(self) -> bool:
        """Whether refusals were about the rate so often that the earlier ones were, too."""
        return self.score <= LEAST_SCORE

    def judge(self, answered_s: Sequence[float]) -> bool | None:
        """Whether the last refusal seems to be about the rate; None: unknown.

        Args:
            answered_s: When answered requests were sent, in order.
        """
        if not self._refused_s:
            return None
        at_s = self._refused_s[-1]
        since_s = self._refused_s[0] if len(self._refused_s) > REFUSALS_BACK else float("-inf")
        before = bisect_left(answered_s, at_s)
        first = min(bisect_left(answered_s, since_s), max(0, before - LEAST_COMPARED))
        compared_s = answered_s[first:before]
        if len(compared_s) < MIN_ANSWERED:
            return None
        is_explained = _is_closest(compared_s, at_s)
        change = EXPLAINED if is_explained else UNEXPLAINED
        self.score = max(LEAST_SCORE, min(MOST_SCORE, self.score + change))
        self.is_noise = self.score >= (0.0 if self.is_noise else IS_NOISE)
        return is_explained


def _is_closest(answered_s: Sequence[float], at_s: float) -> bool:
    """Whether the request at that time followed the ones before it more closely than most, on any scale."""
    for behind in takewhile(lambda scale: scale <= len(answered_s) - MIN_COMPARED, _SCALES):
        span_s = (at_s - answered_s[-behind]) * (1 + TIE_SHARE)
        spans = len(answered_s) - behind
        closer = sum(
            answered_s[later] - answered_s[later - behind] <= span_s for later in range(behind, behind + spans)
        )
        if closer <= CLOSEST_SHARE * spans:
            return True
    return False
