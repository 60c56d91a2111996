"""Whether a server refuses each URL when it is requested for the first time, and serves it after that. Pure.

Servers that make thumbnails on demand, or fetch from an archive, answer 503 or 504 at first. Neither a lower rate nor a
pause helps there: only the second request does. A limiter of any kind may look like that as well, if second requests
come after long pauses. So what counts is a URL that was refused before, and is served at most half as long after
another request as URLs that were refused at their first visit.
"""

from __future__ import annotations

from collections import deque

from ray_downloader.politeness.server.evidence import Evidence

#: So many second visits must be served that came sooner after another request than refused first ones.
SHOWN = 2
#: ... at most this share of the time.
SOONER_SHARE = 0.5
#: Refused URLs that are remembered.
REMEMBERED = 256


class FirstVisits:
    """The evidence for one server."""

    __slots__ = ("_last_s", "_refused", "shown", "widest_s")

    def __init__(self, widest_s: float = 0.0, shown: int = 0) -> None:
        self._refused: deque[int] = deque(maxlen=REMEMBERED)
        self._last_s: float | None = None
        #: The longest time after another request at which a first visit was refused, since one was served.
        self.widest_s = widest_s
        self.shown = shown

    @property
    def are_refused(self) -> bool:
        """Whether a refusal of a first visit says nothing about the server."""
        return self.shown >= SHOWN

    @property
    def may_be_refused(self) -> bool:
        """Whether a second visit is the better probe: it shows most if it follows the refusal of a first one."""
        return self.shown > 0

    def note(self, evidence: Evidence, url_hash: int, sent_s: float) -> bool:
        """Take in one answer; returns True for a refusal that was to be expected."""
        after_s = sent_s - self._last_s if self._last_s is not None else 0.0
        self._last_s = sent_s
        if evidence in {Evidence.REFUSED, Evidence.FAILED}:
            return self._on_refusal(url_hash, after_s)
        if evidence is Evidence.SERVED:
            self._on_file(url_hash, after_s)
        return False

    def _on_refusal(self, url_hash: int, after_s: float) -> bool:
        if not url_hash or url_hash in self._refused:
            self.shown = 0
            return False
        self._refused.append(url_hash)
        self.widest_s = max(self.widest_s, after_s)
        return self.are_refused

    def _on_file(self, url_hash: int, after_s: float) -> None:
        if url_hash not in self._refused:
            self.widest_s, self.shown = 0.0, 0
            return
        self._refused.remove(url_hash)
        self.shown += after_s <= SOONER_SHARE * self.widest_s
