"""Whether Ray's head accepts connections, asked in one place: for the step of a Slurm job, and when slices are lost.

Nothing here imports Ray: its client would retry for a minute and then end this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: On Slurm the head's own node reports its end within two seconds, as a rule, and says more.
HEAD_PATIENCE_S = 6.0


class HeadWatch:
    """Distinguishes a head that is lost from one that is busy for a moment.

    Args:
        listens: Whether a process accepts connections at the head's address now.
        clock: Monotonic time.
    """

    def __init__(self, listens: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._listens = listens
        self._clock = clock
        self._silent_since_s: float | None = None

    @property
    def is_silent(self) -> bool:
        """Whether it accepted no connection when it was last checked."""
        return self._silent_since_s is not None

    def is_lost(self) -> bool:
        """Check the head now.

        Returns:
            Whether it has accepted no connection for `HEAD_PATIENCE_S`, as far as it was checked.
        """
        if self._listens():
            self._silent_since_s = None
            return False
        now_s = self._clock()
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        return now_s - self._silent_since_s >= HEAD_PATIENCE_S
