"""How often a failure on this server is about its URL alone, and hence how many in a row are not a coincidence. Pure.

Some servers refuse, forbid or break single URLs by the hundred (thumbnails of odd widths, private photos). The more
such URLs there are among those that are served, the more failures in a row it takes until they indicate the server.
"""

from __future__ import annotations

import math
from collections import Counter

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
#: Page's cumulative sum (Biometrika 41, 1954) finds when more requests are refused with a wait than URLs do for
#: themselves: log-likelihoods of "half of all requests" against the share of such URLs. At one in twelve, two of three
#: are too many, which chance brings once in 80 answers; each time costs one wait.
SHARE_IF_ALL = 0.5
LEAST_WAIT_SHARE = 0.02
TOO_MANY_WAITS = 2.9


class OwnFaults:
    """Failures on one server that turned out to be about their URLs."""

    __slots__ = (
        "_awaited",
        "_own",
        "_own_waits",
        "_served",
        "_waits_score",
        "is_noise",
        "odd_in_a_row",
        "odd_waits_in_a_row",
    )

    def __init__(self) -> None:
        self._own: Counter[Evidence] = Counter()
        self._own_waits = self._served = 0
        self._waits_score = 0.0
        #: Refused URLs, the latest ones last, and whether they stated a wait.
        self._awaited: dict[int, bool] = {}
        #: Refusals about URLs since the last refusal that was about the server.
        self.odd_in_a_row = 0
        #: Those of them that stated how long to wait, since the last one that did and was about the server.
        self.odd_waits_in_a_row = 0
        #: Whether refusals come at random, whatever the URL and the rate (`noise.py`).
        self.is_noise = False

    def served(self, url_hash: int) -> None:
        """Count a file; if its URL was refused before, that was about the server."""
        self._served += 1
        stated_wait = self._awaited.pop(url_hash, None)
        if stated_wait is not None:
            self.odd_in_a_row = 0
        if stated_wait:
            self.odd_waits_in_a_row = 0
        self._waits_score = max(0.0, self._waits_score + math.log((1 - SHARE_IF_ALL) / (1 - self._wait_share)))
        if self._served > REMEMBERED:
            self._served //= 2
            self._own_waits //= 2
            self._own = Counter({evidence: number // 2 for evidence, number in self._own.items()})

    def refused(self, url_hash: int, *, states_wait: bool) -> None:
        """Remember a refusal; the next answer to its URL shows whose fault it was."""
        stated_before = self._awaited.pop(url_hash, False)
        if states_wait and not stated_before:
            self._waits_score += math.log(SHARE_IF_ALL / self._wait_share)
        if url_hash:
            self._awaited[url_hash] = stated_before or states_wait
        if len(self._awaited) > AWAITED:
            del self._awaited[next(iter(self._awaited))]

    def believed_a_wait(self) -> None:
        """Begin to count anew: the server is left alone for as long as was stated."""
        self._waits_score = 0.0

    def was_odd(self, url_hash: int, *, is_forbidden: bool = False, states_wait: bool = False) -> None:
        """Count a URL that failed again while others were served; for itself it states a wait each time, or never."""
        if is_forbidden:
            self._own[Evidence.FORBIDDEN] += 1
        elif url_hash in self._awaited:
            self.odd_in_a_row += 1
            is_own_wait = self._awaited.pop(url_hash) and states_wait
            self.odd_waits_in_a_row += is_own_wait
            self._own_waits += is_own_wait
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

    @property
    def is_used_to_waits(self) -> bool:
        """Whether another refusal that states a wait is more likely about its URL.

        Servers that refuse URLs for themselves without a word about time (thumbnails of odd widths) mean it where they
        do state one. So do those of which more URLs state one than ever did for themselves, whatever is served between.
        """
        return self.odd_waits_in_a_row >= USED_TO_IT and self._waits_score < TOO_MANY_WAITS

    @property
    def _wait_share(self) -> float:
        """The share of URLs that state a wait for themselves."""
        share = self._own_waits / (self._own_waits + self._served + 1)
        return min(SHARE_IF_ALL, max(LEAST_WAIT_SHARE, share))
