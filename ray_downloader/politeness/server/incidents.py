"""Which answers mean "you are too fast": one by itself, or a run of them."""

from __future__ import annotations

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import Outcome

#: 403 "so often just means forbidden" (StormCrawler), yet some servers limit by it (Nutch): only a run counts, after
#: a history of files, and a server that goes on so after this many pauses does mean "forbidden".
FORBIDDEN_RUN = 5
FORBIDDEN_HISTORY = 10
MAX_FORBIDDEN_INCIDENTS = 3
#: Googlebot slows down on a "significant number" of 5xx; a single 500 is that file's.
TROUBLE_RUN = 10
_TROUBLE = frozenset({ErrorKind.HTTP_5XX, ErrorKind.TIMEOUT, ErrorKind.TOO_SLOW, ErrorKind.RESET})


def is_throttled(kind: ErrorKind | None, http_status: int | None) -> bool:
    """Whether one such answer is an incident by itself: its holder should give its lease back and report at once."""
    return kind is ErrorKind.HTTP_429 or http_status in {429, 503}


class IncidentDetector:
    """Reads one server's answers in their order."""

    __slots__ = ("_forbidden", "_forbidden_incidents", "_successes", "_trouble")

    def __init__(self) -> None:
        self._successes = 0
        self._forbidden = 0
        self._forbidden_incidents = 0
        self._trouble = 0

    @property
    def is_403_ban(self) -> bool:
        """Whether the last 403s were taken for a throttled answer, and nothing has contradicted that."""
        return 0 < self._forbidden_incidents < MAX_FORBIDDEN_INCIDENTS

    def sees_incident(self, outcome: Outcome) -> bool:
        """Take in one answer; True where it makes an incident."""
        kind, status = outcome.kind, outcome.http_status
        if kind is None:
            self._on_success()
            return False
        if is_throttled(kind, status):
            return True
        if status == 403 or kind is ErrorKind.HTTP_403_BAN:
            return self._on_forbidden()
        self._forbidden = 0
        if kind not in _TROUBLE:
            self._trouble = 0
            return False
        self._trouble = (self._trouble + 1) % TROUBLE_RUN
        return self._trouble == 0

    def _on_success(self) -> None:
        self._successes += 1
        self._forbidden = self._forbidden_incidents = self._trouble = 0

    def _on_forbidden(self) -> bool:
        self._forbidden += 1
        is_limiting = self._successes >= FORBIDDEN_HISTORY and self._forbidden_incidents < MAX_FORBIDDEN_INCIDENTS
        if self._forbidden < FORBIDDEN_RUN or not is_limiting:
            return False
        self._forbidden = 0
        self._forbidden_incidents += 1
        return True
