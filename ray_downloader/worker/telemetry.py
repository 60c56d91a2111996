"""What a task measures about itself and its servers between two reports, for the live view and for metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ray_downloader.fetch.base import FetchResult


@dataclass(slots=True)
class Telemetry:
    """Sums since the last report; see `ProgressDelta`."""

    stored_bytes: int = 0
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    ttfb_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    decode_s: float = 0.0
    renditions: Counter[str] = field(default_factory=Counter)
    rendition_bytes: Counter[str] = field(default_factory=Counter)
    renditions_sized: Counter[str] = field(default_factory=Counter)
    rendition_bytes_saved: Counter[str] = field(default_factory=Counter)

    def answered(self, budget: str, result: FetchResult) -> None:
        """Count how a request ended."""
        how = str(result.status) if result.status is not None else str(result.kind or "none")
        self.statuses[budget, how] += 1
        if result.status is not None and result.ttfb_s is not None:
            self.ttfb_s[budget] += result.ttfb_s

    def stored_rendition(self, server: str, size_bytes: int, listed_bytes: int | None) -> None:
        """Count a smaller version that was received instead of a listed picture of that server.

        Args:
            listed_bytes: What the listed picture has, if that is known.
        """
        self.renditions[server] += 1
        self.rendition_bytes[server] += size_bytes
        if listed_bytes is not None:
            self.renditions_sized[server] += 1
            self.rendition_bytes_saved[server] += listed_bytes - size_bytes

    def clear(self) -> None:
        """Start again after a report."""
        self.stored_bytes, self.decode_s = 0, 0.0
        self.statuses.clear()
        renditions = (self.renditions, self.rendition_bytes, self.renditions_sized, self.rendition_bytes_saved)
        for sums in (self.ttfb_s, *renditions):
            sums.clear()
