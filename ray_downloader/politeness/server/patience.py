"""How long a server in trouble is waited for before its rows are given up. Time counts only while nothing else is left.

The clock runs while the server is in trouble, the run is idle (has nothing else to do), our own network works and the
operator has not paused it. It restarts with each trouble. Pure.
"""

from __future__ import annotations

import math

#: The maximum for a server that never answered, in this run or an earlier one, or never with anything but 403.
NEVER_ANSWERED_S = 120.0
#: If less than this is left, it counts as used up, as another probe would reveal nothing new.
LEAST_S = 0.5
#: A worker that waits comes back at least this often: the run may become idle, which shortens the wait.
CHECKS = 20
LEAST_CHECK_S = 0.25
#: A sample of its URLs may take this share of it in addition.
OVERTIME_SHARE = 0.5
#: While it runs out there are at least this many probes: one or two may fail by chance.
PROBES = 5


class Patience:
    """The patience for one server.

    Args:
        patience_s: For a server that has answered.
        now_s: Monotonic time.
    """

    __slots__ = (
        "_is_idle",
        "_is_paused",
        "_is_trouble",
        "_noted_s",
        "_patience_s",
        "_spent_s",
        "has_answered",
        "has_only_forbidden",
        "is_outage",
    )

    def __init__(self, patience_s: float, now_s: float) -> None:
        self._patience_s = patience_s
        self._noted_s = now_s
        self._spent_s = 0.0
        self._is_trouble = self._is_idle = self._is_paused = False
        #: Whether our own network is down.
        self.is_outage = False
        #: Whether it answered in this run or an earlier one, whatever the answer.
        self.has_answered = False
        #: Whether all that it answered to requests for files was that they are forbidden, which is most likely true.
        self.has_only_forbidden = False

    @property
    def _is_counting(self) -> bool:
        return self._is_trouble and self._is_idle and not self._is_paused and not self.is_outage

    @property
    def allowed_s(self) -> float:
        """How long it is waited for in total."""
        is_long = self.has_answered and not self.has_only_forbidden
        return self._patience_s if is_long else min(NEVER_ANSWERED_S, self._patience_s)

    @property
    def check_s(self) -> float:
        """How long a worker that waits may stay away at most."""
        return max(LEAST_CHECK_S, self.allowed_s / CHECKS)

    def note_idle(self, is_idle: bool, now_s: float) -> None:
        """Record whether the run has nothing else to do."""
        self._count(now_s)
        self._is_idle = is_idle

    def note_outage(self, is_outage: bool, now_s: float) -> None:
        """Record whether our own network is down: then nothing is the server's fault."""
        self._count(now_s)
        self.is_outage = is_outage

    def note_pause(self, is_paused: bool, now_s: float) -> None:
        """Record whether the operator lets nothing be requested: then no probe can find out whether it is well."""
        self._count(now_s)
        self._is_paused = is_paused

    def note_trouble(self, is_trouble: bool, now_s: float) -> None:
        """Record whether the server is in trouble; once it is well, the next trouble starts with full patience."""
        self._count(now_s)
        self._is_trouble = is_trouble
        if not is_trouble:
            self.restart(now_s)

    def restart(self, now_s: float) -> None:
        """A file came, so it is worth waiting as long once more."""
        self._count(now_s)
        self._spent_s = 0.0

    def is_used_up(self, now_s: float) -> bool:
        """Whether a probe that fails now is the last."""
        return self._left_s(now_s) < LEAST_S

    def is_in_overtime(self, now_s: float) -> bool:
        """Whether it is used up, but not for so long that nothing may be added to it."""
        return -OVERTIME_SHARE * self.allowed_s < self._left_s(now_s) < LEAST_S

    def last_probe_s(self, now_s: float) -> float | None:
        """When the last probe is due; None while the clock is stopped."""
        return now_s + max(0.0, self._left_s(now_s)) if self._is_counting else None

    @property
    def most_pause_s(self) -> float:
        """The longest pause of our own that leaves time for enough probes; infinite while the clock is stopped."""
        return self.allowed_s / PROBES if self._is_counting else math.inf

    def _left_s(self, now_s: float) -> float:
        self._count(now_s)
        return self.allowed_s - self._spent_s

    def _count(self, now_s: float) -> None:
        if self._is_counting:
            self._spent_s += max(0.0, now_s - self._noted_s)
        self._noted_s = now_s
