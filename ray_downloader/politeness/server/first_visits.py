"""Whether a server refuses URLs when they are requested for the first time, and serves them after that. Pure.

Servers that make thumbnails on demand, or fetch from an archive, answer 503 or 504 at first. Neither a lower rate nor a
pause helps there: only the second request does. A limiter of any kind may look like that as well, if second requests
come after long pauses. So what counts is a URL that was refused before, and is served at most half as long after
another request as URLs that were refused at their first visit. Refusals with another status still say what they say.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from ray_downloader.politeness.server.events import Event
from ray_downloader.politeness.server.evidence import Evidence

#: So many second visits must be served that came sooner after another request than refused first ones.
SHOWN = 2
#: ... at most this share of the time.
SOONER_SHARE = 0.5
#: Refused URLs, and requests, that are remembered.
REMEMBERED = 256
#: Answers that a server may give to the first request for a file only.
MAY_BE_FIRST_VISIT = frozenset({Evidence.REFUSED, Evidence.FAILED})


class FirstVisits:
    """The evidence for one server."""

    __slots__ = ("_refused", "_refused_s", "_sent_s", "http_status", "shown")

    def __init__(self) -> None:
        #: Refused URLs, and with what status.
        self._refused: dict[int, int | None] = {}
        #: When the first visits were sent that were refused since one was served.
        self._refused_s: list[float] = []
        #: When the last requests were sent, in order; their answers come in another, as a refusal takes less time.
        self._sent_s: list[float] = []
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

    @property
    def widest_s(self) -> float:
        """The longest time after another request at which a first visit was refused, since one was served."""
        return max(map(self._after_s, self._refused_s), default=0.0)

    def note(self, event: Event) -> bool:
        """Take in one answer; returns True for a refusal that was to be expected."""
        insort(self._sent_s, event.sent_s)
        del self._sent_s[:-REMEMBERED]
        if event.evidence in MAY_BE_FIRST_VISIT:
            return self._on_refusal(event)
        if event.evidence is Evidence.SERVED:
            self._on_file(event)
        return False

    def _after_s(self, sent_s: float) -> float:
        """How long after another request that one was sent."""
        before = bisect_left(self._sent_s, sent_s)
        return sent_s - self._sent_s[before - 1] if before else 0.0

    def _on_refusal(self, event: Event) -> bool:
        if not event.url_hash or event.url_hash in self._refused:
            self.shown = 0
            return False
        self._refused[event.url_hash] = event.http_status
        if len(self._refused) > REMEMBERED:
            del self._refused[next(iter(self._refused))]
        self._refused_s.append(event.sent_s)
        del self._refused_s[:-REMEMBERED]
        return self.are_refused and event.http_status == self.http_status

    def _on_file(self, event: Event) -> None:
        if event.url_hash not in self._refused:
            self._refused_s = [at_s for at_s in self._refused_s if at_s > event.sent_s]
            return
        http_status = self._refused.pop(event.url_hash)
        if self._after_s(event.sent_s) <= SOONER_SHARE * self.widest_s:
            self.shown = self.shown + 1 if http_status == self.http_status else 1
            self.http_status = http_status
