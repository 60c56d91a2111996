"""How long a server is left alone after an incident, and when it is given up.

Constants as apache/stormcrawler (pull requests 1973 and 1984): 60 s without `Retry-After`, doubled by each incident,
at most a day, forgiven after 30 quiet minutes, up to 10 % longer by chance so that hosts do not all come back at once.
"""

from __future__ import annotations

import random

from ray_downloader.politeness.headers.retry_after import MAX_RETRY_AFTER_S

FIRST_PAUSE_S = 60.0
MAX_PAUSE_S = 86_400.0
FORGIVEN_AFTER_S = 1_800.0
JITTER_SHARE = 0.10
#: This many incidents without a single file in between, over at least this long: the server is as good as dead.
#: 60 + 120 + 240 s of headerless pauses make seven minutes.
FRUITLESS_INCIDENTS = 4
FRUITLESS_S = 300.0


class Backoff:
    """Pauses of one server."""

    __slots__ = (
        "_first_fruitless_s",
        "_fruitless",
        "_quiet_from_s",
        "doublings",
        "epoch_s",
        "incidents",
        "pause_until_s",
    )

    def __init__(self, now_s: float) -> None:
        self.pause_until_s = now_s
        self.epoch_s = now_s
        self.doublings = 0
        self.incidents = 0
        self._quiet_from_s = now_s
        self._first_fruitless_s = now_s
        self._fruitless = 0

    def is_new(self, sent_s: float) -> bool:
        """Whether a throttled answer against a request sent then is news: earlier ones belong to the last incident."""
        return sent_s >= self.epoch_s

    def remaining_s(self, now_s: float) -> float:
        """How long the server is still to be left alone."""
        return max(0.0, self.pause_until_s - now_s)

    def is_fruitless(self, now_s: float) -> bool:
        """Whether incident follows incident without a file, for long enough to stop."""
        return self._fruitless >= FRUITLESS_INCIDENTS and now_s - self._first_fruitless_s >= FRUITLESS_S

    def resume(self, pause_s: float, doublings: int, now_s: float) -> None:
        """Go on with a pause that was under way."""
        self.doublings = doublings
        self.pause_until_s = self.epoch_s = self._quiet_from_s = now_s + pause_s

    def on_success(self) -> None:
        """The server delivers."""
        self._fruitless = 0

    def begin(
        self, now_s: float, answered_s: float, retry_after_s: float | None, free_s: float, rng: random.Random
    ) -> None:
        """A new incident.

        Args:
            now_s: Monotonic time.
            answered_s: When the answer came.
            retry_after_s: What it asked for.
            free_s: Until when permits handed out before may be used: their answers belong to this incident too.
            rng: For the jitter.
        """
        if now_s - self._quiet_from_s > FORGIVEN_AFTER_S:
            self.doublings = 0
        if self._fruitless == 0:
            self._first_fruitless_s = now_s
        self._fruitless += 1
        self.incidents += 1
        if retry_after_s is None:
            pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0**self.doublings)
            pause_s = min(MAX_PAUSE_S, pause_s * (1 + rng.uniform(0.0, JITTER_SHARE)))
            self.doublings += 1
        else:
            pause_s = min(retry_after_s, MAX_RETRY_AFTER_S)
        self.pause_until_s = max(self.pause_until_s, answered_s + pause_s)
        self.epoch_s = max(self.pause_until_s, free_s)
        self._quiet_from_s = self.epoch_s

    def prolong(self, answered_s: float, retry_after_s: float | None) -> None:
        """Another answer of the last incident: only a longer `Retry-After` counts."""
        if retry_after_s is None:
            return
        self.pause_until_s = max(self.pause_until_s, answered_s + min(retry_after_s, MAX_RETRY_AFTER_S))
        self.epoch_s = max(self.epoch_s, self.pause_until_s)
        self._quiet_from_s = max(self._quiet_from_s, self.pause_until_s)
