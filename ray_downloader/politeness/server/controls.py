"""URLs of a server that were served: requested again, they show whether a failure is about a URL or the server. Pure.

They are kept with the budget, as a task that begins with rows that fail knows none.
"""

from __future__ import annotations

from collections.abc import Iterable

#: A group has many hosts; a few of its URLs are enough.
KEPT = 8


class Controls:
    """The URLs that were served last."""

    __slots__ = ("urls",)

    def __init__(self) -> None:
        self.urls: tuple[str, ...] = ()

    def add(self, urls: Iterable[str]) -> None:
        """Remember more, the newest last."""
        self.urls = tuple(dict.fromkeys((*self.urls, *urls)))[-KEPT:]
