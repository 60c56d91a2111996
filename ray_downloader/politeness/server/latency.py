"""Time to first byte as an early sign that a server is near its limit.

The median of a window of answers is compared with the lowest median of recent windows (the idea of Vegas and of
Netflix's Gradient2). Only the first byte counts: whole downloads vary with the size of the image, by a factor of 1000.
"""

from __future__ import annotations

import statistics
from collections import deque
from enum import Enum

#: Answers per window: the congestion limiters named above sample percentiles of some tens of requests.
WINDOW = 20
#: Windows whose lowest median counts as "unloaded". Old ones are dropped, so a server that became slower is accepted.
REMEMBERED = 32
#: A median is suspicious beyond twice the unloaded one, and high beyond four times; differences within these margins
#: never count, as the noise of a busy worker reaches them.
RISING, RISING_MARGIN_S = 2.0, 0.25
HIGH, HIGH_MARGIN_S = 4.0, 1.0


class Load(Enum):
    """What the times to first byte reveal about a server."""

    NORMAL = "normal"
    RISING = "rising"
    HIGH = "high"


class LatencySign:
    """Judges windows of time to first byte."""

    __slots__ = ("_medians", "_window", "load")

    def __init__(self) -> None:
        self._window: list[float] = []
        self._medians: deque[float] = deque(maxlen=REMEMBERED)
        self.load = Load.NORMAL

    def add(self, ttfb_s: float) -> bool:
        """Add one answer; returns True if it completed a window, so that `load` is new."""
        self._window.append(ttfb_s)
        if len(self._window) < WINDOW:
            return False
        median_s = statistics.median(self._window)
        self._window.clear()
        self._medians.append(median_s)
        self.load = _judge(median_s, min(self._medians))
        return True


def _judge(median_s: float, unloaded_s: float) -> Load:
    if median_s > max(HIGH * unloaded_s, unloaded_s + HIGH_MARGIN_S):
        return Load.HIGH
    if median_s > max(RISING * unloaded_s, unloaded_s + RISING_MARGIN_S):
        return Load.RISING
    return Load.NORMAL
