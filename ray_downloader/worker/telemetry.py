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

    def answered(self, budget: str, result: FetchResult) -> None:
        """Count how a request ended."""
        how = str(result.status) if result.status is not None else str(result.kind or "none")
        self.statuses[budget, how] += 1
        if result.status is not None and result.ttfb_s is not None:
            self.ttfb_s[budget] += result.ttfb_s

    def clear(self) -> None:
        """Start again after a report."""
        self.stored_bytes, self.decode_s = 0, 0.0
        self.statuses.clear()
        self.ttfb_s.clear()
