"""The single request that finds out whether a server's trouble lasts: who may send it, and how long to wait for it."""

from __future__ import annotations

#: A probe that is not reported within this time after its permit ended is given to another holder.
PROBE_TIMEOUT_S = 60.0


class Probe:
    """The probe of one server; at most one is in progress."""

    __slots__ = ("_ends_s", "_expires_s", "_holder")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Its answer came, or is no longer awaited."""
        self._holder = ""
        self._ends_s = self._expires_s = float("-inf")

    def given(self, holder: str, ends_s: float) -> None:
        """Allow `holder` to use a permit until then."""
        self._holder, self._ends_s, self._expires_s = holder, ends_s, ends_s + PROBE_TIMEOUT_S

    def is_under_way(self, now_s: float) -> bool:
        """Whether its answer is still awaited."""
        return now_s < self._expires_s

    def has_nothing_under_way(self, holder: str, now_s: float, *, is_returned: bool = False) -> None:
        """A holder reports nothing in flight: if it had the probe, another may be sent once its permit cannot be used.

        Args:
            holder: Its name.
            now_s: Monotonic time.
            is_returned: Whether it returned its permits.
        """
        if holder == self._holder and (is_returned or now_s > self._ends_s):
            self.clear()
