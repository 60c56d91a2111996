"""The rate that a server never exceeds: that of the policy or the operator, and that of its robots.txt. Pure."""

from __future__ import annotations

import math
from typing import Any

from ray_downloader.politeness.server.snapshot import Reader

#: The longest delay that one file can impose on a server.
MAX_CRAWL_DELAY_S = 86_400.0
#: A robots.txt is read again after a day (RFC 9309), so the delay of an older one is not remembered for longer.
CRAWL_DELAY_KEPT_S = 86_400.0
#: A delay of at least this is reported as a reason to wait.
LONG_DELAY_S = 5.0


class Ceiling:
    """The ceiling of one server.

    Args:
        policy_rps: The configured ceiling; None: no limit on the rate.
    """

    __slots__ = ("_policy_rps", "_reported_s", "crawl_delay_s", "ordered_rps")

    def __init__(self, policy_rps: float | None) -> None:
        self._policy_rps = policy_rps
        self._reported_s = 0.0
        #: The operator's order, in place of the policy's.
        self.ordered_rps: float | None = None
        #: The longest Crawl-delay that was reported.
        self.crawl_delay_s = 0.0

    @property
    def rps(self) -> float | None:
        """The strictest of the ceilings; None: no limit."""
        base_rps = self._policy_rps and (self.ordered_rps or self._policy_rps)
        if not self.crawl_delay_s:
            return base_rps
        return min(base_rps or math.inf, 1 / self.crawl_delay_s)

    @property
    def keeps_distance(self) -> bool:
        """Whether it was demanded as a distance between requests, or ordered: no burst of the policy breaks it."""
        return self.crawl_delay_s > 0 or self.ordered_rps is not None

    @property
    def is_long_delay(self) -> bool:
        """Whether robots.txt is why requests are far apart."""
        return self.crawl_delay_s >= LONG_DELAY_S

    def note_crawl_delay(self, delay_s: float, now_s: float) -> None:
        """Record the distance that a robots.txt demands; of several hosts of a group the longest applies."""
        if delay_s > 0:
            self.crawl_delay_s = max(self.crawl_delay_s, min(delay_s, MAX_CRAWL_DELAY_S))
            self._reported_s = now_s

    def dump(self, now_s: float) -> dict[str, Any]:
        """What was learned or ordered."""
        return {
            "ordered_rps": self.ordered_rps,
            "crawl_delay_s": self.crawl_delay_s,
            "crawl_delay_age_s": now_s - self._reported_s,
        }

    def load(self, saved: Reader, elapsed_s: float, now_s: float) -> None:
        """Restore what `dump` returned `elapsed_s` ago."""
        self.ordered_rps = saved.number("ordered_rps", 0.0) or None
        age_s = saved.number("crawl_delay_age_s", 0.0) + elapsed_s
        # Without a limit only a robots.txt that names us counts, and tasks report its delay before they send anything.
        if age_s < CRAWL_DELAY_KEPT_S and self._policy_rps is not None:
            self.note_crawl_delay(saved.number("crawl_delay_s", 0.0), now_s - age_s)
