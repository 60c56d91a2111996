"""Sums for a whole run, of the news of the actor that counts. Pure."""

from __future__ import annotations

from ray_downloader.worker.news import ProgressNews
from ray_downloader.worker.progress import Progress


class ProgressSum:
    """Adds up news; an actor that was restarted continues with its own."""

    def __init__(self) -> None:
        #: All that was counted so far.
        self.total = Progress()
        #: Number of the last news; None before the first.
        self.received: int | None = None

    def take(self, news: ProgressNews) -> None:
        """Add what is new."""
        self.received = news.number
        self.total.merge(news.progress)
