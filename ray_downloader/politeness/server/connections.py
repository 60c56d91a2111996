"""How many connections a server accepts: fewer after it reset or refused one while others were open; later more again.

Not a question of rate: a server that serves two connections and resets the third gets requests over two, without a
pause.
"""

from __future__ import annotations

from typing import Any

from ray_downloader.politeness.server.snapshot import Reader

#: After this long, and this many files, one more connection is tried; twice as long after each failure.
RAISE_AFTER_S = 60.0
RAISE_AFTER_FILES = 50
MAX_DOUBLINGS = 6


class Connections:
    """The learned number of connections to one server.

    Args:
        most: The number that the policy allows.
        now_s: Monotonic time.
    """

    __slots__ = ("_before", "_doublings", "_files", "_is_raised", "_most", "_since_s", "limit")

    def __init__(self, most: int, now_s: float) -> None:
        self._most = most
        self.limit = most
        self._since_s = now_s
        self._files = 0
        self._doublings = 0
        self._is_raised = False
        self._before = most

    def lost_one(self, were_open: int, sent_s: float, now_s: float) -> None:
        """A connection was reset or refused while this many were open, including itself: that is one too many.

        1. The first since the last change: one fewer.
        2. Another one of those: some have ended since, so its number is imprecise, and only a much lower one counts.
        3. The last open one: all of them broke without a file, so their number was not the reason.
        """
        is_first = sent_s >= self._since_s
        if were_open == 1:
            if not is_first and not self._files:
                self.limit = self._before
        elif is_first or were_open <= self.limit // 2:
            if is_first:
                self._before = self.limit
                self._doublings = min(MAX_DOUBLINGS, self._doublings + self._is_raised)
            self.limit = min(self.limit, were_open - 1)
            self._is_raised = False
            self._restart(now_s)

    def served(self, now_s: float) -> None:
        """Count a file."""
        if self.limit >= self._most:
            return
        self._files += 1
        if self._files >= RAISE_AFTER_FILES and now_s - self._since_s >= RAISE_AFTER_S * 2**self._doublings:
            self.limit += 1
            self._is_raised = True
            self._restart(now_s)

    def dump(self) -> dict[str, Any]:
        """What was learned, as JSON-able values."""
        return {"connections": self.limit if self.limit < self._most else None, "connection_doublings": self._doublings}

    def load(self, saved: Reader) -> None:
        """Restore what `dump` returned."""
        self.limit = max(1, min(saved.count("connections") or self._most, self._most))
        self._doublings = min(saved.count("connection_doublings"), MAX_DOUBLINGS)
        self._is_raised = self.limit < self._most

    def _restart(self, now_s: float) -> None:
        self._since_s = now_s
        self._files = 0
