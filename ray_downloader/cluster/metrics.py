"""What Ray's metrics endpoints (and so Prometheus and Grafana) show about a run.

Every metric has the tag `run`, the output folder, as several runs may share one Ray.
"""

from __future__ import annotations

import string
from collections import Counter
from urllib.parse import quote

from ray.util import metrics

from ray_downloader.cluster.ports import RunView

#: Number of servers whose rate is shown; thousands would flood the metrics store.
BUSIEST_SERVERS = 20
INTERVAL_S = 5.0


class RunMetrics:
    """Images, bytes, errors by kind, and rows/s of the busiest servers.

    Args:
        run: Name of the run.
        now_s: Monotonic time.
    """

    def __init__(self, run: str, now_s: float) -> None:
        # Ray accepts ASCII only, and folders can have any name.
        self._tags = {"run": quote(run, safe=string.punctuation + " ")}
        self._images = metrics.Counter("ray_downloader_images", "Images settled.", ("run",))
        self._bytes = metrics.Counter("ray_downloader_bytes", "Bytes received.", ("run",))
        self._errors = metrics.Counter("ray_downloader_errors", "Rows that ended as an error.", ("run", "kind"))
        self._rates = metrics.Gauge(
            "ray_downloader_server_rps", f"Rows/s of the {BUSIEST_SERVERS} busiest servers.", ("run", "server")
        )
        self._shown: set[str] = set()
        self._settled: Counter[tuple[str, str]] = Counter()
        self._size_bytes = 0
        self._at_s = now_s

    def update(self, view: RunView, now_s: float) -> None:
        """Publish what was added since the last time (`ports.Watcher`).

        Args:
            view: The run as it is now.
            now_s: Monotonic time.
        """
        if now_s < self._at_s + INTERVAL_S and not view.is_final:
            return
        progress = view.progress
        added = progress.settled - self._settled
        for (_, kind), rows in added.items():
            if kind:
                self._errors.inc(rows, {**self._tags, "kind": kind})
            else:
                self._images.inc(rows, self._tags)
        if progress.size_bytes > self._size_bytes:
            self._bytes.inc(progress.size_bytes - self._size_bytes, self._tags)
        self._show_rates(added, max(now_s - self._at_s, 1e-9))
        self._settled, self._size_bytes, self._at_s = progress.settled.copy(), progress.size_bytes, now_s

    def _show_rates(self, added: Counter[tuple[str, str]], seconds: float) -> None:
        by_server: Counter[str] = Counter()
        for (server, _), rows in added.items():
            by_server[server] += rows
        busiest = dict(by_server.most_common(BUSIEST_SERVERS))
        for server in self._shown | set(busiest):
            self._rates.set(busiest.get(server, 0) / seconds, {**self._tags, "server": server})
        self._shown = set(busiest)
