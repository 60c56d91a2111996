"""The worker loop: one thread that asks for budgets, moves bytes, makes images and writes them down.

It serves many servers at once. A request starts only with a permit of the budget it spends, also a retry and each hop
of a redirect. Between two turns of the network it processes at most one image, so that no permit waits long: a second
thread for decoding was measured to halve the speed (GIL: 446 against 866 images/s).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchResult
from ray_downloader.image import ImageError
from ray_downloader.politeness.messages import LeaseRequest
from ray_downloader.run_folder.checksums import agreements
from ray_downloader.worker.batch_work import BatchWork, Job
from ray_downloader.worker.body_queue import BodyQueue
from ray_downloader.worker.image_record import image_record, is_complete
from ray_downloader.worker.in_flight import InFlightRequests
from ray_downloader.worker.ports import Ports, SliceReport, TimeSlice
from ray_downloader.worker.progress import ProgressDelta
from ray_downloader.worker.publisher import Publisher
from ray_downloader.worker.request_policy import Failure, RequestPolicy, Route, failure_of_checksum, failure_of_verdict
from ray_downloader.worker.robots_gate import MAX_HOPS, Admission, RobotsGate, RobotsRequest, robots_url
from ray_downloader.worker.server_queue import NEVER, BudgetQueue

#: Requests under way in one task; what one server is asked for is its lease's matter.
MAX_IN_FLIGHT = 256
#: With fewer requests under way the rows at hand are mostly those of servers that wait, so others are handed out.
FEW_IN_FLIGHT = 16
#: How long requests under way are waited for when a task ends.
GRACE_S = 10.0
#: Progress is told (and journals are flushed) so often; the answer says whether the run drains.
PROGRESS_INTERVAL_S = 1.0
#: Answers of an actor come without waking the network poll, so it is short while one is awaited.
AWAIT_ANSWER_S = 0.003
IDLE_POLL_S = 0.05

_log = logging.getLogger(__name__)


class Worker:
    """Works at some batches for some time.

    Args:
        batches: What to work at.
        policy: Decisions about requests.
        robots: What servers' robots.txt say.
        ports: Network, budgets, pixels, clocks.
        time_slice: Who works, and for how long.
    """

    def __init__(
        self,
        batches: Sequence[BatchWork],
        policy: RequestPolicy,
        robots: RobotsGate,
        ports: Ports,
        time_slice: TimeSlice,
    ) -> None:
        self._policy = policy
        self._ports = ports
        self._holder = time_slice.holder
        self._open = [batch for batch in batches if batch.left]
        self._publisher = Publisher(batch for batch in batches if not batch.left)
        self._ends_at_s = ports.clock() + time_slice.seconds
        self._report_at_s = ports.clock()
        self._robots = robots
        self._requests = InFlightRequests(ports.fetcher)
        self._queues: dict[str, BudgetQueue] = {}
        self._bodies = BodyQueue()
        self._rows_of_server: Counter[str] = Counter()
        self._settled_rows: Counter[tuple[str, str]] = Counter()
        self._reported_bytes = 0

    def run(self) -> SliceReport:
        """Work until all is settled, time is up, the run drains, or no server may be asked again in this slice."""
        while not self._is_over():
            self._turn()
        return self._finish()

    def _is_over(self) -> bool:
        if not self._open:
            return True
        if self._requests or self._bodies:
            return self._ports.clock() > self._ends_at_s + GRACE_S
        return self._next_start_s() >= self._ends_at_s

    def _next_start_s(self) -> float:
        """When a request could start at the earliest; now, where rows were not handed out yet."""
        now_s = self._ports.clock()
        if any(batch.wants_chunk or batch.has_room for batch in self._open):
            return now_s
        return min((queue.next_start_s(now_s) for queue in self._queues.values()), default=now_s)

    # -- one turn ------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        now_s = self._ports.clock()
        if self._ports.budgets.is_draining:
            self._ends_at_s = min(self._ends_at_s, now_s)
        if now_s < self._ends_at_s:
            self._assign(now_s)
        for lease in self._ports.budgets.receive():
            self._queues[lease.server].granted(lease, self._ports.clock())
        # Reading rows takes its time; a permit counted from before that would be used too early.
        now_s = self._ports.clock()
        wake_at_s = self._advance_all(now_s)
        for queue, job, result in self._requests.poll(self._patience_s(now_s, wake_at_s)):
            if isinstance(job, RobotsRequest):
                self._receive_robots(queue, job, result)
            else:
                self._receive(queue, job, result)
        if self._bodies:
            self._process(*self._bodies.take())
        if now_s >= self._report_at_s:
            self._report(now_s)

    def _assign(self, now_s: float) -> None:
        is_idle = now_s >= self._report_at_s and len(self._requests) < FEW_IN_FLIGHT
        for batch in [batch for batch in self._open if batch.wants_chunk or (is_idle and batch.has_room)]:
            jobs = list(batch.next_jobs())
            self._rows_of_server.update(job.server for job in jobs)
            for job in jobs:
                self._send_to(job, job.identifier)

    def _send_to(self, job: Job, url: str, retry_at_s: float | None = None) -> None:
        """Queue the job at the budget that its next request spends, or settle it where there is to be none."""
        route = self._policy.route(url)
        if isinstance(route, Failure):
            self._fail(job, route)
            return
        job.route = route
        if retry_at_s is None:
            self._admit(job)
        else:
            self._queue(route.budget).add_retry(job, retry_at_s)

    def _admit(self, job: Job) -> None:
        """Past the server's robots.txt, which may have to be fetched first."""
        admission = self._robots.admit(job, job.route, self._rows_of_server[job.server])
        if admission is Admission.EXCLUDED:
            self._fail(job, Failure(ErrorKind.ROBOTS, "robots.txt of the server excludes it"))
        elif admission is Admission.ADMITTED:
            self._queue(job.route.budget).add(job)
        elif self._robots.needs_request(job.route.server):
            route = self._policy.route(robots_url(job.route.url))
            if isinstance(route, Route):
                self._queue(route.budget).add_first(RobotsRequest(job.route.server, route))

    def _queue(self, budget: str) -> BudgetQueue:
        queue = self._queues.get(budget)
        if queue is None:
            queue = self._queues[budget] = BudgetQueue(budget, self._holder)
        return queue

    def _advance_all(self, now_s: float) -> float:
        """Start what may start; returns when something can be done again."""
        wake_at_s = NEVER
        requests: list[LeaseRequest] = []
        for queue in list(self._queues.values()):
            if queue.wake_at_s <= now_s:
                self._advance(queue, now_s)
                request = queue.request(now_s)
                if request is not None:
                    requests.append(request)
                queue.wake_at_s = queue.next_wake_s(now_s)
            wake_at_s = min(wake_at_s, queue.wake_at_s)
        if requests:
            self._ports.budgets.request(requests)
        return wake_at_s

    def _advance(self, queue: BudgetQueue, now_s: float) -> None:
        for abandoned in queue.take_abandoned(now_s):
            if isinstance(abandoned, RobotsRequest):
                self._learn_robots(abandoned, None)
            else:
                self._fail(abandoned, abandoned.failure or failure_of_verdict(queue.verdict))
        while self._may_start(now_s) and (job := queue.take_due(now_s)):
            self._requests.start(queue, job)

    def _may_start(self, now_s: float) -> bool:
        under_way = len(self._requests)
        return under_way < MAX_IN_FLIGHT and self._bodies.has_room(under_way) and now_s < self._ends_at_s

    def _patience_s(self, now_s: float, wake_at_s: float) -> float:
        if self._bodies:
            return 0.0
        if wake_at_s <= now_s:  # something waits for room here or for its last retry, not for time
            return AWAIT_ANSWER_S
        is_requesting = any(queue.is_requesting for queue in self._queues.values())
        return min(wake_at_s - now_s, AWAIT_ANSWER_S if is_requesting else IDLE_POLL_S)

    def _report(self, now_s: float) -> None:
        """Flush the journals, so that what is told is also kept."""
        self._report_at_s = now_s + PROGRESS_INTERVAL_S
        for batch in self._open:
            batch.flush()
        size_bytes = self._requests.size_bytes - self._reported_bytes
        delta = ProgressDelta(dict(self._settled_rows), size_bytes, dict(self._robots.disallowed))
        self._ports.budgets.report(delta)
        self._settled_rows.clear()
        self._robots.disallowed.clear()
        self._reported_bytes += size_bytes

    # -- what comes back -----------------------------------------------------------------------------------------

    def _receive(self, queue: BudgetQueue, job: Job, result: FetchResult) -> None:
        now_s, now_unix_s = self._ports.clock(), self._ports.wall_clock()
        failure = self._policy.failure_of(result, now_unix_s, is_403_ban=queue.is_403_ban)
        outcome = self._policy.outcome(result, failure, now_unix_s, is_retry=job.attempt > 1)
        queue.finished(outcome, now_s)
        if failure is not None:
            self._try_again_or_fail(job, failure, now_s)
        elif result.redirect_url is not None:
            self._follow(job, result)
        else:
            self._bodies.add(job, result)

    def _receive_robots(self, queue: BudgetQueue, robots_request: RobotsRequest, result: FetchResult) -> None:
        now_unix_s = self._ports.wall_clock()
        failure = self._policy.failure_of(result, now_unix_s)
        outcome = self._policy.outcome(result, failure, now_unix_s, is_retry=False)
        queue.finished(outcome, self._ports.clock())
        route = self._policy.route(result.redirect_url) if result.redirect_url else None
        robots_request.hops += 1
        if isinstance(route, Route) and robots_request.hops <= MAX_HOPS:
            robots_request.route = route
            self._queue(route.budget).add_first(robots_request)
        else:
            self._learn_robots(robots_request, result)

    def _learn_robots(self, robots_request: RobotsRequest, result: FetchResult | None) -> None:
        for job in self._robots.learn(robots_request, result):
            self._queue(job.route.budget).crawl_delay_s = self._robots.crawl_delay_s(robots_request.server)
            self._admit(job)

    def _follow(self, job: Job, result: FetchResult) -> None:
        job.hops += 1
        if job.hops > self._policy.max_redirects:
            self._fail(job, Failure(ErrorKind.REDIRECT_LOOP, f"over {job.hops - 1} redirects", result.status))
        else:
            self._send_to(job, str(result.redirect_url))

    def _try_again_or_fail(self, job: Job, failure: Failure, now_s: float) -> None:
        """The one place where retries are decided; a retry goes back through the budget of its URL."""
        delay_s = self._policy.retry_delay_s(failure, job.attempt, self._ports.rng)
        if delay_s is None:
            self._fail(job, failure)
            return
        job.spend_attempt(failure)
        self._send_to(job, job.url, retry_at_s=now_s + delay_s)

    def _process(self, job: Job, result: FetchResult) -> None:
        checksum_ok = agreements(job.listed, result.body)
        if self._policy.requires_checksum and False in checksum_ok:
            wrong = job.take_out([index for index, is_ok in enumerate(checksum_ok) if is_ok is False])
            self._try_again_or_fail(wrong, failure_of_checksum(result), self._ports.clock())
            checksum_ok = [is_ok for is_ok in checksum_ok if is_ok is not False]
            if not checksum_ok:
                return
        try:
            with job.batch.decoding(job) as is_suspect:
                image = self._ports.process(result.body, is_complete(result), is_suspect)
        except ImageError as error:
            self._fail(job, Failure(error.kind, error.message, result.status))
            return
        except Exception as error:  # whatever one picture does, the batch goes on
            _log.exception("%s", job.identifier)
            self._fail(job, Failure(ErrorKind.INTERNAL, repr(error), result.status))
            return
        job.batch.settle_image(job, image_record(job, result, image, self._now()), checksum_ok)
        self._settled(job, "")

    def _fail(self, job: Job, failure: Failure) -> None:
        if job.turns_to_mirror(failure):
            self._send_to(job, job.url)
            return
        job.batch.settle_error(job, failure.record(job.attempt - 1, self._now()))
        self._settled(job, str(failure.kind))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._ports.wall_clock(), timezone.utc)

    def _settled(self, job: Job, kind: str) -> None:
        self._settled_rows[job.server, kind] += len(job.rows.numbers)
        if not job.batch.left:
            self._open.remove(job.batch)
            self._publisher.publish(job.batch)

    # -- the end -------------------------------------------------------------------------------------------------

    def _finish(self) -> SliceReport:
        self._requests.close()
        self._report(self._ports.clock())
        now_s = self._ports.clock()
        self._ports.budgets.request([queue.last_request(now_s) for queue in self._queues.values()])
        next_start_s = self._next_start_s()
        ready_in_s = max(0.0, next_start_s - now_s) if next_start_s < NEVER else 0.0
        return SliceReport(
            finished=self._publisher.finish(),
            unfinished=[batch.give_back(ready_in_s) for batch in self._open],
            requests=self._requests.requests,
            size_bytes=self._requests.size_bytes,
        )
