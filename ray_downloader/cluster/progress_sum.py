"""Sums for a whole run, although the counting actor may die and restart from zero. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from ray_downloader.worker.progress import Progress


class ProgressSum:
    """Adds what was counted before each restart of the counting actor."""

    def __init__(self) -> None:
        self._before = Progress()
        self._latest = Progress()

    def take(self, latest: Progress | None) -> Progress:
        """The sum of all reports so far, given the actor's latest answer (None: it does not answer)."""
        if latest is not None:
            if _events(latest) < _events(self._latest):
                self._before = _added(self._before, self._latest)
            self._latest = latest
        return _added(self._before, self._latest)


def _events(progress: Progress) -> int:
    """A number that only grows while the actor lives."""
    return progress.settled.total() + progress.answered + progress.unreached.total() + progress.size_bytes


def _added(before: Progress, latest: Progress) -> Progress:
    return Progress(
        settled=before.settled + latest.settled,
        size_bytes=before.size_bytes + latest.size_bytes,
        disallowed=before.disallowed + latest.disallowed,
        answered=before.answered + latest.answered,
        unreached=before.unreached + latest.unreached,
        unresolved=before.unresolved + latest.unresolved,
        turned_away=before.turned_away + latest.turned_away,
        busy_at_s=latest.busy_at_s,
        stored_bytes=before.stored_bytes + latest.stored_bytes,
        statuses=before.statuses + latest.statuses,
        ttfb_s=_summed(before.ttfb_s, latest.ttfb_s),
        decode_s=before.decode_s + latest.decode_s,
        queues=latest.queues,
        renditions=before.renditions + latest.renditions,
        rendition_bytes=before.rendition_bytes + latest.rendition_bytes,
    )


def _summed(before: Mapping[str, float], latest: Mapping[str, float]) -> defaultdict[str, float]:
    seconds = defaultdict(float, before)
    for budget, more in latest.items():
        seconds[budget] += more
    return seconds
