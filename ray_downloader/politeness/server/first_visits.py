"""Whether a server refuses URLs when they are requested for the first time, and serves them after that. Pure.

Servers that make thumbnails on demand, or fetch from an archive, answer 503 or 504 at first. Neither a lower rate nor a
pause helps there: only the second request does. A limiter of any kind may look like that as well, if second requests
come after long pauses. So what counts is a URL that was refused before, and is served at most half as long after
another request as URLs that were refused at their first visit. Refusals with another status still say what they say.
"""

from __future__ import annotations

from ray_downloader.politeness.server.events import Event
from ray_downloader.politeness.server.evidence import Evidence

#: So many second visits must be served that came sooner after another request than refused first ones.
SHOWN = 2
#: ... at most this share of the time.
SOONER_SHARE = 0.5
#: Refused URLs that are remembered.
REMEMBERED = 256
#: Answers that a server may give to the first request for a file only.
MAY_BE_FIRST_VISIT = frozenset({Evidence.REFUSED, Evidence.FAILED})


class FirstVisits:
    """The evidence for one server."""

    __slots__ = ("_last_s", "_refused", "http_status", "shown", "widest_s")

    def __init__(self) -> None:
        #: Refused URLs, and with what status.
        self._refused: dict[int, int | None] = {}
        self._last_s: float | None = None
        #: The longest time after another request at which a first visit was refused, since one was served.
        self.widest_s = 0.0
        self.shown = 0
        #: The answer to first visits.
        self.http_status: int | None = None

    @property
    def are_refused(self) -> bool:
        """Whether such a refusal of a first visit says nothing about the server."""
        return self.shown >= SHOWN

    @property
    def may_be_refused(self) -> bool:
        """Whether a second visit is the better probe: it shows most if it follows the refusal of a first one."""
        return self.shown > 0

    def note(self, event: Event) -> bool:
        """Take in one answer; returns True for a refusal that was to be expected."""
        after_s = event.sent_s - self._last_s if self._last_s is not None else 0.0
        self._last_s = event.sent_s
        if event.evidence in MAY_BE_FIRST_VISIT:
            return self._on_refusal(event, after_s)
        if event.evidence is Evidence.SERVED:
            self._on_file(event.url_hash, after_s)
        return False

    def _on_refusal(self, event: Event, after_s: float) -> bool:
        if not event.url_hash or event.url_hash in self._refused:
            self.shown = 0
            return False
        self._refused[event.url_hash] = event.http_status
        if len(self._refused) > REMEMBERED:
            del self._refused[next(iter(self._refused))]
        self.widest_s = max(self.widest_s, after_s)
        return self.are_refused and event.http_status == self.http_status

    def _on_file(self, url_hash: int, after_s: float) -> None:
        if url_hash not in self._refused:
            self.widest_s = 0.0
            return
        http_status = self._refused.pop(url_hash)
        if after_s <= SOONER_SHARE * self.widest_s:
            self.shown = self.shown + 1 if http_status == self.http_status else 1
            self.http_status = http_status
