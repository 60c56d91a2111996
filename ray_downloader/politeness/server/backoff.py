"""How long a server is left alone: as long as it demands, or else for seconds at first, then for minutes that double.

Minutes as apache/stormcrawler (pull requests 1973 and 1984): 60 s without `Retry-After`, doubled by each incident,
at most a day, forgiven after 30 quiet minutes, up to 10 % longer at random so that hosts do not all resume at once.
"""

from __future__ import annotations

from typing import Any

from ray_downloader.politeness.headers.retry_after import MAX_RETRY_AFTER_S
from ray_downloader.politeness.server.snapshot import Reader

#: A single refusal may be about its URL: wait this long before another URL, doubled while that reveals nothing new.
FIRST_SECONDS_S = 2.0
MAX_SECONDS_S = 60.0
LEAST_SECONDS_S = 0.2
FIRST_PAUSE_S = 60.0
MAX_PAUSE_S = 86_400.0
FORGIVEN_AFTER_S = 1_800.0
JITTER_SHARE = 0.10
#: Times that were sent as ages are converted back: a request was sent before a pause only if by more than this.
_CLOCK_ERROR_S = 1e-3


class Backoff:
    """Pauses of one server."""

    __slots__ = ("_quiet_from_s", "_seconds_s", "doublings", "epoch_s", "incidents", "is_asked", "length_s", "until_s")

    def __init__(self, now_s: float) -> None:
        self.until_s = now_s
        #: Requests sent before this belong to the last incident, whatever comes of them.
        self.epoch_s = now_s
        self.doublings = 0
        self.incidents = 0
        #: Whether the server stated how long; then nothing shortens the pause.
        self.is_asked = False
        self.length_s = 0.0
        self._seconds_s = FIRST_SECONDS_S
        self._quiet_from_s = now_s

    def is_new(self, sent_s: float) -> bool:
        """Whether the result of a request that was sent then is new evidence."""
        return sent_s >= self.epoch_s - _CLOCK_ERROR_S

    def remaining_s(self, now_s: float) -> float:
        """How much longer the server is to be left alone."""
        return max(0.0, self.until_s - now_s)

    def end(self, now_s: float) -> None:
        """End a pause that no longer has a reason."""
        self.until_s = self.epoch_s = now_s

    def begin_seconds(self, odd_urls: int) -> None:
        """Start a new suspicion with seconds; with fewer if the last refusals were all about their URLs."""
        self._seconds_s = max(LEAST_SECONDS_S, FIRST_SECONDS_S / (1 + odd_urls))

    def pause_seconds(self, now_s: float, free_s: float) -> None:
        """Pause for a moment before another URL is requested.

        Args:
            now_s: Monotonic time.
            free_s: Until when permits granted before may be used: their answers belong to this incident, too.
        """
        self.incidents += 1
        self._begin(now_s, now_s, self._seconds_s, free_s)
        self._seconds_s = min(MAX_SECONDS_S, 2 * self._seconds_s)

    def pause_minutes(self, now_s: float, free_s: float, jitter: float) -> None:
        """Pause for a minute, or twice as long as last time; `jitter` from 0 to 1 makes it longer."""
        self._forgive(now_s)
        pause_s = FIRST_PAUSE_S * 2.0 ** min(self.doublings, 20) * (1 + JITTER_SHARE * jitter)
        self.doublings += 1
        self.incidents += 1
        self._begin(now_s, now_s, min(MAX_PAUSE_S, pause_s), free_s)
        self._quiet_from_s = self.epoch_s

    def pause_as_asked(self, now_s: float, answered_s: float, wait_s: float, free_s: float) -> None:
        """Pause as long as the server stated, counted from the arrival of its answer."""
        self._forgive(now_s)
        self.incidents += 1
        self._begin(now_s, answered_s, min(wait_s, MAX_RETRY_AFTER_S), free_s)
        self._quiet_from_s = self.epoch_s
        self.is_asked = True

    def pause_for(self, now_s: float, pause_s: float, free_s: float) -> None:
        """Pause for a given time; this is not an incident: the server did not say that we are too fast."""
        self._begin(now_s, now_s, pause_s, free_s)

    def prolong(self, answered_s: float, wait_s: float) -> None:
        """Another answer demands a wait: it only matters if it is longer."""
        until_s = answered_s + min(wait_s, MAX_RETRY_AFTER_S)
        if until_s > self.until_s:
            self.until_s, self.is_asked = until_s, True
            self.epoch_s = max(self.epoch_s, until_s)
            self._quiet_from_s = max(self._quiet_from_s, until_s)

    def begins_again(self, sent_s: float) -> None:
        """A probe may be sent then; its result is new evidence."""
        self.epoch_s = min(self.epoch_s, sent_s)
        self.until_s = min(self.until_s, sent_s)

    def forgive(self) -> None:
        """The refusals before were not about the number of requests: the next pause is as long as the first."""
        self.doublings = 0

    def _forgive(self, now_s: float) -> None:
        """Suspicions of seconds, which may be about single URLs, do not interrupt the quiet time."""
        if now_s - self._quiet_from_s > FORGIVEN_AFTER_S:
            self.doublings = 0

    def _begin(self, now_s: float, from_s: float, pause_s: float, free_s: float) -> None:
        self.is_asked = False
        self.length_s = pause_s
        self.until_s = max(self.until_s, now_s, from_s + pause_s)
        self.epoch_s = max(self.until_s, free_s)

    def dump(self, now_s: float) -> dict[str, Any]:
        """The pause, as JSON-able values."""
        return {
            "pause_s": self.remaining_s(now_s),
            "pause_length_s": self.length_s,
            "quiet_s": max(0.0, now_s - self._quiet_from_s),
            "is_asked": self.is_asked,
            "doublings": self.doublings,
            "incidents": self.incidents,
        }

    def load(self, saved: Reader, elapsed_s: float, now_s: float) -> None:
        """Continue a pause that was in progress `elapsed_s` ago."""
        pause_s = max(0.0, min(saved.number("pause_s", 0.0), MAX_PAUSE_S) - elapsed_s)
        self.doublings, self.incidents = saved.count("doublings"), saved.count("incidents")
        self.is_asked = saved.flag("is_asked")
        self.length_s = saved.number("pause_length_s", pause_s)
        self.until_s = self.epoch_s = now_s + pause_s
        quiet_s = saved.number("quiet_s", 0.0)
        self._quiet_from_s = now_s - quiet_s - elapsed_s if quiet_s else self.until_s
