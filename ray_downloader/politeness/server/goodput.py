"""How fast a server really delivered: the evidence that its rate is used, and where its limit lies."""

from __future__ import annotations

from collections import deque

#: Time over which the recent rate is measured: limits are commonly stated per second.
WINDOW_S = 1.0
#: Fewer successes than this are not a measurement; a slow server's window is as long as they take.
MIN_SUCCESSES = 8
_KEPT = 256


class GoodputMeter:
    """Times of recent successes, and their number since the last incident."""

    __slots__ = ("_latest_s", "_resumes_s", "_since_s", "_times_s", "successes")

    def __init__(self, now_s: float) -> None:
        self._times_s: deque[float] = deque(maxlen=_KEPT)
        self.restart(now_s)

    def restart(self, since_s: float, resumes_s: float | None = None) -> None:
        """Forget everything: what came before is no indication of what follows.

        Args:
            since_s: From when on the mean counts.
            resumes_s: When a pause ends; what still arrives in it, with the pause after it, is no measurement.
        """
        self._times_s.clear()
        self._latest_s = self._since_s = since_s
        self._resumes_s = since_s if resumes_s is None else resumes_s
        self.successes = 0

    def resume(self, at_s: float, refill_s: float) -> None:
        """The trouble ends now; if that was not foreseen, measure anew, with `refill_s` of it."""
        if not at_s - refill_s <= self._resumes_s <= at_s:
            self.restart(at_s - refill_s, at_s)

    def copy(self) -> GoodputMeter:
        """A copy, to return to later."""
        meter = GoodputMeter(self._since_s)
        meter._resumes_s = self._resumes_s
        meter._times_s.extend(self._times_s)
        meter._latest_s, meter.successes = self._latest_s, self.successes
        return meter

    def add(self, at_s: float) -> None:
        """Count one success; holders report in batches, so the times come only roughly in order."""
        self.successes += 1
        if at_s < self._resumes_s:
            return
        self._latest_s = max(self._latest_s, at_s)
        self._times_s.append(at_s)
        while len(self._times_s) > MIN_SUCCESSES and self._times_s[0] < self._latest_s - WINDOW_S:
            self._times_s.popleft()

    def recent_rps(self) -> float | None:
        """Rate of the last second, or of the last few successes if they took longer; None: not measured."""
        if len(self._times_s) < MIN_SUCCESSES:
            return None
        span_s = self._latest_s - self._times_s[0]
        return (len(self._times_s) - 1) / span_s if span_s > 0 else None

    def mean_rps(self, now_s: float) -> float | None:
        """Rate since the last incident, including its pause: what a token bucket refilled in that time."""
        if self.successes < MIN_SUCCESSES or now_s <= self._since_s:
            return None
        return self.successes / (now_s - self._since_s)
