"""Requests while our own network is down: a single one from time to time, to any server. Pure."""

from __future__ import annotations

#: Wait before the next request while nothing answers: doubled each time, up to the longest.
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 10.0


class OutageProbes:
    """Admits a single probe from time to time while an outage lasts."""

    __slots__ = ("_delay_s", "_due_s", "is_outage")

    def __init__(self) -> None:
        self.is_outage = False
        self._due_s = 0.0
        self._delay_s = FIRST_DELAY_S

    def note(self, is_outage: bool, now_s: float) -> None:
        """Record that an outage begins or ends; repeating it changes nothing."""
        if is_outage and not self.is_outage:
            self._due_s, self._delay_s = now_s, FIRST_DELAY_S
        self.is_outage = is_outage

    def wait_s(self, now_s: float) -> float:
        """How long until a request may be sent; 0: now."""
        return max(0.0, self._due_s - now_s) if self.is_outage else 0.0

    def sent(self, now_s: float) -> None:
        """Record that a permit was granted."""
        if self.is_outage:
            self._due_s = now_s + self._delay_s
            self._delay_s = min(LONGEST_DELAY_S, 2 * self._delay_s)
