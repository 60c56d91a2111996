"""The one clock of a simulated world: what happens when, in an order that depends on nothing but the world."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class NeverEndsError(Exception):
    """The run went on beyond every bound."""


class DriverKilled(BaseException):
    """The process of the driver is gone, in the middle of whatever it did."""


class Scheduler:
    """Virtual time.

    Args:
        deadline_s: Nothing may go on after that.
        most_steps: Events, and waits of the driver, after which something goes round in circles.
    """

    def __init__(self, deadline_s: float, most_steps: int) -> None:
        self.now_s = 0.0
        self.steps = 0
        self._deadline_s = deadline_s
        self._most_steps = most_steps
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._driver_is_killed = False

    def __call__(self) -> float:
        return self.now_s

    def at(self, at_s: float, action: Callable[[], None]) -> None:
        """Do something then; what is due at one moment happens in the order in which it was asked for."""
        heapq.heappush(self._events, (max(at_s, self.now_s), next(self._order), action))

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something so much later."""
        self.at(self.now_s + delay_s, action)

    def kill_driver(self) -> None:
        """The driver, which waits in `run_until`, comes back no more."""
        self._driver_is_killed = True

    def run_until(self, until_s: float, has_come: Callable[[], bool] = lambda: False) -> None:
        """Let the world go on until then, or until what is waited for has come.

        Raises:
            DriverKilled: Who waits was killed meanwhile.
            NeverEndsError: The world's bounds are passed.
        """
        self._step()
        while self._events and self._events[0][0] <= until_s and not has_come():
            self._step()
            self.now_s, _, action = heapq.heappop(self._events)
            action()
            if self._driver_is_killed:
                self._driver_is_killed = False
                raise DriverKilled
        if not has_come():
            self.now_s = max(self.now_s, until_s)

    def _step(self) -> None:
        self.steps += 1
        if self.now_s > self._deadline_s:
            raise NeverEndsError(f"still going on after {self._deadline_s:.0f} s")
        if self.steps > self._most_steps:
            raise NeverEndsError(f"{self.steps} events, and only {self.now_s:.0f} s have passed")
