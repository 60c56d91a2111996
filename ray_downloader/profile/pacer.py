"""The pace of one budget's probes: requests start at least `spacing_s` apart, over all servers that share it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class ProbePacer:
    """When the next request of one budget may start; times are on the scale of `clock`."""

    spacing_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    next_s: float = field(default=0.0)

    def wait_turn(self, deadline_s: float) -> bool:
        """Wait for the next turn and take it; False, at once, if it would come after the deadline."""
        now_s = self.clock()
        turn_s = max(now_s, self.next_s)
        if turn_s >= deadline_s:
            return False
        self.sleep(turn_s - now_s)
        self.next_s = turn_s + self.spacing_s
        return True

    def pause(self, wait_s: float) -> None:
        """Allow no turn before that much time has passed."""
        self.next_s = max(self.next_s, self.clock() + wait_s)

    def wait_s(self) -> float:
        """Time until the next turn."""
        return max(0.0, self.next_s - self.clock())

    def slow_down(self, spacing_s: float) -> None:
        """Keep at least this distance from now on, also to the last request."""
        later_s = max(0.0, spacing_s - self.spacing_s)
        self.spacing_s += later_s
        self.next_s += later_s
