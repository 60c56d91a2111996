"""How closely one task's requests to a server followed each other: refused and served ones can be compared. Pure.

Any limiter refuses requests that follow others too closely on some scale: the one before, or the last ten. So a refusal
only shows that its row is at fault if the row followed others no more closely, on every scale, than those served.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

#: Scales, as numbers of requests.
SCALES = (1, 2, 3, 4, 5, 6, 7, 8, 13, 21)
#: What comes this long after every other request is refused for another reason: few limits are below six a minute.
APART_S = 10.0
#: Spans that differ by less than this factor are the same pace.
SAME_PACE = 1.25
#: So many served requests are remembered.
REMEMBERED = 32
#: When a request was sent is known within this time of its start.
_SENT_S = 1e-3


class Spacing:
    """The starts of requests, and the spans before those that were served."""

    __slots__ = ("_served", "_starts_s")

    def __init__(self) -> None:
        self._starts_s: list[float] = []
        self._served: deque[tuple[float, tuple[float, ...]]] = deque(maxlen=REMEMBERED)

    def started(self, now_s: float) -> None:
        """A request starts."""
        self._starts_s.append(now_s)
        del self._starts_s[: -(SCALES[-1] + REMEMBERED)]

    def served(self, sent_s: float) -> None:
        """The request that was sent then was answered properly."""
        number = bisect_right(self._starts_s, sent_s + _SENT_S) - 1
        if number >= 0:
            self._served.append((sent_s, self._spans_s(number)))

    def least_s(self, since_s: float, before_s: Sequence[float] = ()) -> tuple[float, ...]:
        """How closely, on each scale, those followed others that were sent after `since_s` and served.

        Args:
            since_s: On this task's clock.
            before_s: The same of earlier tasks; empty if none was served there.

        Returns:
            Nothing if none was served.
        """
        compared = [spans_s for sent_s, spans_s in self._served if sent_s > since_s]
        compared += [tuple(before_s)] if before_s else []
        return tuple(min(spans_s) for spans_s in zip(*compared, strict=True))

    def comparable_at_s(self, since_s: float, before_s: Sequence[float] = ()) -> float:
        """From when on a request is comparable with those that were sent after `since_s` and served."""
        if not self._starts_s:
            return float("-inf")
        apart_s = self._starts_s[-1] + APART_S
        least_s = self.least_s(since_s, before_s)
        if not least_s:
            return apart_s
        known = ((scale, span_s) for scale, span_s in zip(SCALES, least_s, strict=True) if scale <= len(self._starts_s))
        far_s = max(self._starts_s[-scale] + span_s / SAME_PACE for scale, span_s in known)
        return min(apart_s, far_s)

    def _spans_s(self, number: int) -> tuple[float, ...]:
        at_s = self._starts_s[number]
        return tuple(at_s - self._starts_s[number - scale] if number >= scale else float("inf") for scale in SCALES)
