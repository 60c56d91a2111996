"""What Ray's metrics endpoints (and so Prometheus and Grafana) show about a run.

Ray puts `ray_` before every name, so `downloader_images` is `ray_downloader_images_total` there. Every metric has the
tag `run`, the output folder, as several runs may share one Ray. The tag `server` has a bounded number of values: the
budgets with the most rows when the run began, and `other`.
"""

from __future__ import annotations

import string
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

from ray.util import metrics

from ray_downloader.cluster.ports import RunView
from ray_downloader.worker.progress import Progress

#: Budgets with a name of their own; thousands would flood the metrics store.
NAMED_SERVERS = 20
OTHER = "other"
INTERVAL_S = 5.0
#: At most this share of the driver's time is spent on metrics: those of 10^6 servers take a second.
METRICS_SHARE = 0.05

#: Counters and gauges by name: what they are, and their tags besides `run`.
COUNTERS = {
    "downloader_images": ("Rows that ended as an image.", ()),
    "downloader_errors": ("Rows that ended as an error.", ("kind",)),
    "downloader_bytes": ("Bytes received.", ()),
    "downloader_stored_bytes": ("Bytes of images stored.", ()),
    "downloader_requests": ("Requests by server and status, or by how they failed without one.", ("server", "status")),
    "downloader_decode_seconds": ("Time that tasks spent on decoding and encoding.", ()),
}
GAUGES = {
    "downloader_rows_left": ("Rows without a final answer.", ()),
    "downloader_server_rows_per_s": ("Rows settled per second.", ("server",)),
    "downloader_server_rate": ("Requests/s that the server is known to allow.", ("server",)),
    "downloader_server_budget_use": ("Share of that rate which is used.", ("server",)),
    "downloader_server_paused": ("1 while the server gets no request (other: how many do not).", ("server",)),
    "downloader_server_pause_seconds": ("How long it still gets no request, as far as that is known.", ("server",)),
    "downloader_server_ttfb_seconds": ("Mean time to the first byte.", ("server",)),
    "downloader_queue_rows": ("Rows that tasks have and that wait for their turn.", ()),
    "downloader_queue_in_flight": ("Requests in flight.", ()),
    "downloader_queue_bodies": ("Bodies that wait for the decoder.", ()),
}


class RunMetrics:
    """Publishes the metrics of a run (`ports.Watcher`).

    Args:
        run: Name of the run.
        rows_by_budget: Rows left when it began.
        budget_key: The budget of a server.
        now_s: Monotonic time.
        wall_clock: Unix time.
    """

    def __init__(
        self,
        run: str,
        rows_by_budget: Mapping[str, int],
        budget_key: Callable[[str], str],
        now_s: float,
        wall_clock: Callable[[], float],
    ) -> None:
        # Ray accepts ASCII only, and folders can have any name.
        self._run = quote(run, safe=string.punctuation + " ")
        self._named = frozenset(name for name, _ in Counter(rows_by_budget).most_common(NAMED_SERVERS))
        self._rows = sum(rows_by_budget.values())
        self._budget_key = budget_key
        self._wall_clock = wall_clock
        self._counters = {name: metrics.Counter(name, text, ("run", *tags)) for name, (text, tags) in COUNTERS.items()}
        self._gauges = {name: metrics.Gauge(name, text, ("run", *tags)) for name, (text, tags) in GAUGES.items()}
        self._before = Progress()
        self._at_s = now_s
        self._due_s = now_s + INTERVAL_S

    def update(self, view: RunView, now_s: float) -> None:
        """Publish what was added since the last time.

        Args:
            view: The run as it is now.
            now_s: Monotonic time.
        """
        if now_s < self._due_s and not view.is_final:
            return
        started_s = time.perf_counter()
        progress, before, seconds = view.progress, self._before, max(now_s - self._at_s, 1e-9)
        self._count(progress, before)
        self._set("downloader_rows_left", self._rows - progress.settled.total())
        self._show_queues(progress)
        self._show_servers(view, before, seconds)
        self._before, self._at_s = _copy(progress), now_s
        self._due_s = now_s + max(INTERVAL_S, (time.perf_counter() - started_s) / METRICS_SHARE)

    def _count(self, progress: Progress, before: Progress) -> None:
        for kind, rows in _by(progress.settled - before.settled, 1).items():
            if kind:
                self._add("downloader_errors", rows, kind=kind)
            else:
                self._add("downloader_images", rows)
        self._add("downloader_bytes", progress.size_bytes - before.size_bytes)
        self._add("downloader_stored_bytes", progress.stored_bytes - before.stored_bytes)
        self._add("downloader_decode_seconds", progress.decode_s - before.decode_s)
        requests: Counter[tuple[str, str]] = Counter()
        for (budget, status), count in (progress.statuses - before.statuses).items():
            requests[self._label(budget), status] += count
        for (server, status), count in requests.items():
            self._add("downloader_requests", count, server=server, status=status)

    def _show_queues(self, progress: Progress) -> None:
        sums = [sum(lengths) for lengths in zip(*(queues for _, queues in progress.queues.values()), strict=True)]
        for name, length in zip(("rows", "in_flight", "bodies"), sums or [0, 0, 0], strict=True):
            self._set(f"downloader_queue_{name}", length)

    def _show_servers(self, view: RunView, before: Progress, seconds: float) -> None:
        progress = view.progress
        rows = self._sums(
            (self._budget_key(server), count) for (server, _), count in (progress.settled - before.settled).items()
        )
        added = progress.statuses - before.statuses
        requests = self._sums((budget, count) for (budget, _), count in added.items())
        answers = self._sums((budget, count) for (budget, status), count in added.items() if status.isdigit())
        waits_s = self._sums(
            (budget, spent - before.ttfb_s.get(budget, 0.0)) for budget, spent in progress.ttfb_s.items()
        )
        rates = self._sums((budget, facts.rate_rps or 0.0) for budget, facts in view.learned.items())
        paused = self._sums((budget, 1) for budget in view.waiting)
        now_unix_s = self._wall_clock()
        for server in (*self._named, OTHER):
            self._set("downloader_server_rows_per_s", rows[server] / seconds, server)
            self._set("downloader_server_rate", rates[server], server)
            use = requests[server] / seconds / rates[server] if rates[server] else 0.0
            self._set("downloader_server_budget_use", use, server)
            self._set("downloader_server_paused", paused[server], server)
            ttfb_s = waits_s[server] / answers[server] if answers[server] else 0.0
            self._set("downloader_server_ttfb_seconds", ttfb_s, server)
            wait = view.waiting.get(server)
            until_unix_s = wait.until_unix_s if wait else None
            self._set("downloader_server_pause_seconds", max(0.0, (until_unix_s or 0.0) - now_unix_s), server)

    def _sums(self, values: Iterable[tuple[str, float]]) -> Counter[str]:
        """Sums by the name that a budget has among the metrics."""
        sums: Counter[str] = Counter()
        for budget, value in values:
            sums[self._label(budget)] += value  # type: ignore[assignment]  # a Counter also holds fractions
        return sums

    def _label(self, budget: str) -> str:
        return budget if budget in self._named else OTHER

    def _add(self, name: str, amount: float, **tags: str) -> None:
        if amount > 0:
            self._counters[name].inc(amount, {"run": self._run, **tags})

    def _set(self, name: str, value: float, server: str | None = None) -> None:
        tags = {"run": self._run} if server is None else {"run": self._run, "server": server}
        self._gauges[name].set(value, tags)


def _by(counts: Counter[tuple[str, str]], place: int) -> Counter[str]:
    sums: Counter[str] = Counter()
    for key, count in counts.items():
        sums[key[place]] += count
    return sums


def _copy(progress: Progress) -> Progress:
    return Progress(
        settled=progress.settled.copy(),
        size_bytes=progress.size_bytes,
        stored_bytes=progress.stored_bytes,
        statuses=progress.statuses.copy(),
        ttfb_s=progress.ttfb_s.copy(),
        decode_s=progress.decode_s,
    )
