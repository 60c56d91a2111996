"""How often a failure on this server is about its URL alone, and hence how many in a row are not a coincidence. Pure.

Some servers refuse, forbid or break single URLs by the hundred (thumbnails of odd widths, private photos). The more
such URLs there are among those that are served, the more failures in a row it takes until they indicate the server.
"""

from __future__ import annotations

import math
from collections import Counter, deque

from ray_downloader.politeness.server.evidence import Evidence

#: How unlikely a run of failures must be if each were about its URL alone.
ACCIDENT = 1e-3
MOST_NEEDED = 40
#: Counts are halved beyond this, so that what a server did long ago is forgotten.
REMEMBERED = 1_000
#: Refused URLs whose next answer is awaited.
AWAITED = 256
#: After this many refusals in a row that were about their URLs, another one is assumed to be, too.
USED_TO_IT = 3


class OwnFaults:
    """Failures on one server that turned out to be about their URLs."""

    __slots__ = ("_awaited", "_own", "_served", "is_noise", "odd_in_a_row")

    def __init__(self) -> None:
        self._own: Counter[Evidence] = Counter()
        self._served = 0
        self._awaited: deque[int] = deque(maxlen=AWAITED)
        #: Refusals about URLs since the last refusal that was about the server.
        self.odd_in_a_row = 0
        #: Whether refusals come at random, whatever the URL and the rate (`noise.py`).
        self.is_noise = False

    def served(self, url_hash: int) -> None:
        """Count a file; if its URL was refused before, that was about the server."""
        self._served += 1
        if self._is_awaited(url_hash):
            self.odd_in_a_row = 0
        if self._served > REMEMBERED:
            self._served //= 2
            self._own = Counter({evidence: number // 2 for evidence, number in self._own.items()})

    def refused(self, url_hash: int) -> None:
        """Remember a refusal; the next answer to its URL shows whose fault it was."""
        if url_hash:
            self._awaited.append(url_hash)

    def was_odd(self, url_hash: int, *, is_forbidden: bool = False) -> None:
        """Count a URL that failed again while others were served."""
        if is_forbidden:
            self._own[Evidence.FORBIDDEN] += 1
        elif self._is_awaited(url_hash):
            self.odd_in_a_row += 1
            self._own[Evidence.REFUSED] += 1

    def passed(self, evidence: Evidence, urls: int) -> None:
        """Count a run of this many failed URLs after which others were served."""
        self._own[evidence] += urls

    def needed(self, evidence: Evidence, least: int) -> int:
        """How many distinct URLs must fail in a row."""
        own = self._own[evidence]
        if not own:
            return least
        share = own / (own + self._served + 1)
        return max(least, min(MOST_NEEDED, math.ceil(math.log(ACCIDENT) / math.log(share))))

    @property
    def knows_refused(self) -> bool:
        """Whether there are URLs that are refused while others are served."""
        return self._own[Evidence.REFUSED] > 0

    @property
    def is_used_to_refusals(self) -> bool:
        """Whether another refusal is more likely about its URL."""
        return self.odd_in_a_row >= USED_TO_IT

    def _is_awaited(self, url_hash: int) -> bool:
        if url_hash not in self._awaited:
            return False
        self._awaited.remove(url_hash)
        return True
