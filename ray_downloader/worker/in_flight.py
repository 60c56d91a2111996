"""The requests that a task has under way: which job and which budget each belongs to, and when it really went out."""

from __future__ import annotations

from itertools import count

from ray_downloader.fetch.base import Fetcher, FetchRequest, FetchResult
from ray_downloader.worker.batch_work import Job
from ray_downloader.worker.robots_gate import RobotsRequest
from ray_downloader.worker.server_queue import BudgetQueue


class InFlightRequests:
    """Keeps the books of a fetcher.

    Args:
        fetcher: Moves the bytes.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self.requests = 0
        self.size_bytes = 0
        self._fetcher = fetcher
        self._tokens = count()
        self._under_way: dict[int, tuple[BudgetQueue, Job | RobotsRequest]] = {}
        self._unsent: dict[int, BudgetQueue] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def start(self, queue: BudgetQueue, job: Job | RobotsRequest) -> None:
        """Begin the request that the job waits for; its permit is spent."""
        token = next(self._tokens)
        self._under_way[token] = (queue, job)
        self._unsent[token] = queue
        self.requests += 1
        route = job.route
        self._fetcher.start(FetchRequest(token, route.target, headers=route.headers, verify_tls=route.verify_tls))

    def poll(self, timeout_s: float) -> list[tuple[BudgetQueue, Job | RobotsRequest, FetchResult]]:
        """What has ended, after at most `timeout_s`."""
        results = self._fetcher.poll(timeout_s)
        for token, sent_s in self._fetcher.take_sent():
            self._went_out(token, sent_s)
        for result in results:
            self._went_out(result.token, None)  # it failed before that, if it still counts as unsent
            self.size_bytes += len(result.body)
        return [(*self._under_way.pop(result.token), result) for result in results]

    def _went_out(self, token: int, sent_s: float | None) -> None:
        queue = self._unsent.pop(token, None)
        if queue is not None:
            queue.went_out(sent_s)

    def close(self) -> None:
        """Drop what is under way."""
        self._fetcher.close()
