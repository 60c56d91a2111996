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

    def answered(self, budget: str, result: FetchResult) -> None:
        """Count how a request ended."""
        how = str(result.status) if result.status is not None else str(result.kind or "none")
        self.statuses[budget, how] += 1
        if result.status is not None and result.ttfb_s is not None:
            self.ttfb_s[budget] += result.ttfb_s

    def stored_rendition(self, server: str, size_bytes: int) -> None:
        """Count a smaller version that was received instead of a listed picture of that server."""
        self.renditions[server] += 1
        self.rendition_bytes[server] += size_bytes

    def clear(self) -> None:
        """Start again after a report."""
        self.stored_bytes, self.decode_s = 0, 0.0
        self.statuses.clear()
        for sums in (self.ttfb_s, self.renditions, self.rendition_bytes):
            sums.clear()
