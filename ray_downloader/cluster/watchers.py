"""Those who are shown the state of a run, as watchers (`ports.Watcher`)."""

from __future__ import annotations

from collections import Counter

from ray_downloader.cluster.ports import RunMode, RunView
from ray_downloader.progress import DownloadProgress


class BarWatcher:
    """Moves the progress bar."""

    def __init__(self, bar: DownloadProgress) -> None:
        self._bar = bar

    def update(self, view: RunView, now_s: float) -> None:
        """Show rows by kind, and whether the run drains."""
        by_kind: Counter[str] = Counter()
        for (_, kind), rows in view.progress.settled.items():
            by_kind[kind] += rows
        self._bar.update(by_kind, view.progress.size_bytes, _note(view.mode))


def _note(mode: RunMode) -> str:
    if mode.is_draining:
        return "draining"
    return "waiting for the network" if mode.is_outage else ""
