"""Host names that did not resolve a moment ago. Pure: the time is an argument.

Lists hold thousands of URLs of hosts that are long gone. Libraries remember good DNS answers only, so without this
every such URL would ask the site's resolver again.
"""

from __future__ import annotations

from collections import OrderedDict


class FailedNames:
    """Remembers failed lookups for a while.

    Args:
        remembered_s: How long. RFC 9520 section 3.2 allows 1 s to 5 minutes for failures.
        capacity: The oldest names are forgotten beyond this many.
    """

    def __init__(self, remembered_s: float = 30.0, capacity: int = 100_000) -> None:
        self._remembered_s = remembered_s
        self._capacity = capacity
        self._until_s: OrderedDict[str, float] = OrderedDict()

    def add(self, host: str, now_s: float) -> None:
        """`host` did not resolve."""
        self._until_s[host] = now_s + self._remembered_s
        self._until_s.move_to_end(host)
        if len(self._until_s) > self._capacity:
            self._until_s.popitem(last=False)

    def has(self, host: str, now_s: float) -> bool:
        """Whether a lookup of `host` failed so lately that another would be rude."""
        until_s = self._until_s.get(host)
        if until_s is None:
            return False
        if now_s < until_s:
            return True
        del self._until_s[host]
        return False
