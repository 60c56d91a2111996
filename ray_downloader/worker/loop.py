"""The worker loop: one thread that leases permits, moves bytes, makes images and records them.

It serves many servers at once. A request, including a retry and each hop of a redirect, starts only with a permit of
the budget it spends. Between two turns of the network it processes at most one image, so that no permit waits long: a
second thread for decoding was measured to halve the speed (GIL: 446 against 866 images/s). What may take long is
decoded in another process, while the network goes on.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from zlib import crc32

from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.fetch.base import DnsFailure, FetchResult
from ray_downloader.fetch.cookies import RedirectCookies
from ray_downloader.image import ImageError, ProcessedImage
from ray_downloader.partition.server_key import without_user_info
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, Verdict
from ray_downloader.run_folder.checksums import agreements
from ray_downloader.worker.batch_work import BatchWork
from ray_downloader.worker.body_queue import BodyQueue
from ray_downloader.worker.evidence import Fault, is_own_fault
from ray_downloader.worker.image_record import image_record, is_complete
from ray_downloader.worker.in_flight import Ended, InFlightRequests
from ray_downloader.worker.parked_hosts import NEVER
from ray_downloader.worker.ports import Ports, SliceReport, TimeSlice
from ray_downloader.worker.progress import ProgressDelta
from ray_downloader.worker.publisher import Publisher
from ray_downloader.worker.renditions import Renditions
from ray_downloader.worker.request_policy import Failure, RequestPolicy, Route, failure_of_checksum
from ray_downloader.worker.robots_gate import MAX_HOPS, Admission, RobotsGate, RobotsRequest
from ray_downloader.worker.row import Row, RowState
from ray_downloader.worker.server_queue import ControlRequest, ServerQueue
from ray_downloader.worker.suspects import BLAMED_AFTER
from ray_downloader.worker.telemetry import Telemetry

#: In-flight requests of one task; the number for one server depends on its lease.
MAX_IN_FLIGHT = 256
#: With fewer in-flight requests, most assigned rows belong to servers that wait, so others are assigned.
FEW_IN_FLIGHT = 16
#: How long a drain waits for in-flight requests. Without a drain none is cut: a transfer may use all of its time.
DRAIN_GRACE_S = 10.0
#: A transfer that takes longer is slow. While a slice that is over waits for slow ones, its other servers continue.
SLOW_S = 10.0
#: How often progress is reported; the answer says whether the run drains.
PROGRESS_INTERVAL_S = 1.0
#: How often journals are flushed: a kill costs what was settled since, besides what is in flight.
FLUSH_INTERVAL_S = 0.1
#: How soon a server that only waits for room in this worker is looked at again: of 2,000 servers with a row each, most
#: were looked at in each turn, which was half of the CPU time.
ROOM_RECHECK_S = 0.02
#: How soon a task whose rows are all paused looks again.
PAUSED_RECHECK_S = 5.0
#: Answers of an actor do not wake the network poll, so it is short while one is awaited.
AWAIT_ANSWER_S = 0.003
IDLE_POLL_S = 0.05
#: The answer to a conditional request for what has not changed.
_NOT_MODIFIED = 304
#: Answers to a conditional request that may be about its condition: it failed, or cannot be read.
_CONDITION_REFUSED = frozenset({400, 412})
#: The answer of IIIF's servers to what they cannot do.
_NOT_IMPLEMENTED = 501
#: What is known about a row over which several processes died.
BLAMED = f"{BLAMED_AFTER} worker processes in a row died while they worked on this row alone"
_UNREACHED = frozenset({ErrorKind.DNS, ErrorKind.CONNECT})
#: Verdicts that are a decision: how a row failed before does not matter.
_ORDERED = frozenset({Verdict.BANNED, Verdict.OPTED_OUT})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Decoding:
    """A body that the decoder process has, while the network goes on."""

    image: Future[ProcessedImage]
    row: Row
    result: FetchResult
    checksum_ok: Sequence[bool | None]


class Worker:
    """Works on some batches for some time.

    Args:
        batches: The batches to work on.
        policy: Decisions about requests.
        robots: Knows the servers' robots.txt.
        ports: Network, budgets, pixels, clocks.
        time_slice: The holder, and the duration.
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
        self._renditions = Renditions(policy.least_px, policy.least_shorter_px)
        self._ports = ports
        self._holder = time_slice.holder
        self._open = [batch for batch in batches if batch.left]
        self._publisher = Publisher((batch for batch in batches if not batch.left), ports.publish)
        self._ends_at_s = ports.clock() + time_slice.seconds
        self._lingers_until_s = self._ends_at_s + policy.request_timeout_s
        self._report_at_s = self._flush_at_s = ports.clock()
        self._robots = robots
        self._requests = InFlightRequests(ports.fetcher)
        self._queues: dict[str, ServerQueue] = {}
        #: Those that have something to do or to wait for: of 10^4 servers with a row each most are done.
        self._active: dict[str, ServerQueue] = {}
        self._bodies = BodyQueue(ports.room)
        self._decoding: deque[_Decoding] = deque()
        self._settled_rows: Counter[tuple[str, str]] = Counter()
        self._answered = 0
        self._unreached: Counter[str] = Counter()
        self._unresolved = self._turned_away = 0
        self._reported_bytes = 0
        self._telemetry = Telemetry()
        self._slow: set[int] = set()
        self._hosts: Mapping[str, Verdict] = {}
        self._paused: list[Row] = []

    def run(self) -> SliceReport:
        """Work until all is settled, time is up, the run drains, or no server can get requests again in this slice."""
        while not self.is_over():
            self.turn()
        return self.finish()

    def is_over(self) -> bool:
        """Whether this worker has nothing left to do or to wait for."""
        if not self._open:
            return True
        now_s = self._ports.clock()
        if self._requests or self._bodies or self._decoding:
            return self._is_draining and now_s > self._ends_at_s + DRAIN_GRACE_S
        return self._next_start_s(now_s) >= self._ends_at_s

    @property
    def _is_draining(self) -> bool:
        return self._ports.budgets.is_draining

    def _next_start_s(self, now_s: float) -> float:
        """The earliest time at which a request could start; now, if there are rows that were not assigned yet."""
        if any(batch.wants_chunk or batch.has_room for batch in self._open):
            return now_s
        starts_s = [queue.next_start_s(now_s) for queue in self._queues.values()]
        return min([*starts_s, now_s + PAUSED_RECHECK_S] if self._paused else starts_s, default=now_s)

    def next_turn_s(self) -> float:
        """When a turn can next do something, unless a lease or result comes earlier; for callers of single turns."""
        now_s = self._ports.clock()
        may_assign = now_s < self._ends_at_s and any(batch.wants_chunk for batch in self._open)
        if self._bodies or self._decoding or may_assign or not self._open:
            return now_s
        end_s = self._ends_at_s if self._ends_at_s > now_s else NEVER
        return min(self._report_at_s, end_s, *(queue.wake_at_s for queue in self._queues.values()))

    # -- one turn --------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Start what may start, move bytes for a moment, and handle what ended."""
        now_s = self._ports.clock()
        if self._is_draining:
            self._ends_at_s = min(self._ends_at_s, now_s)
        if now_s < self._ends_at_s:
            self._assign(now_s)
        for lease in self._ports.budgets.receive():
            self._granted(self._queues[lease.server], lease)
        self._obey(self._ports.budgets.hosts)
        # Reading rows takes time; a permit whose time counts from before that would be used too early.
        now_s = self._ports.clock()
        wake_at_s = self._advance_all(now_s)
        for ended in self._requests.poll(self._patience_s(now_s, wake_at_s)):
            if ended.result.lack is not None:
                raise ended.result.lack
            if isinstance(ended.work, RobotsRequest):
                self._receive_robots(ended.queue, ended.work, ended.result)
            elif isinstance(ended.work, ControlRequest):
                self._receive_control(ended.queue, ended.work, ended.result)
            else:
                self._guarded(ended.work, self._receive, ended)
        if self._bodies:
            row, result = self._bodies.take()
            self._guarded(row, self._process, row, result)
        self._take_decoded()
        if now_s >= self._flush_at_s:
            self._flush(now_s)
        if now_s >= self._report_at_s:
            self._report(now_s)

    def _granted(self, queue: ServerQueue, lease: Lease) -> None:
        for url in lease.controls:
            route = self._policy.route(url, url)
            if isinstance(route, Route) and route.budget == queue.budget:
                queue.learn_control(route)
        queue.granted(lease, self._ports.clock())

    def _guarded(self, row: Row, handle: Callable[..., None], *arguments: object) -> None:
        """Whatever one answer or picture does, it only affects its own row."""
        try:
            handle(*arguments)
        except (OSError, MemoryError, MachineError):
            raise  # the journal cannot be written, or the machine is out of resources: not this row's fault
        except Exception as error:
            _log.exception("%s", without_user_info(row.identifier))
            if row.state is not RowState.SETTLED:
                self._settle_error(row, Failure(ErrorKind.INTERNAL, repr(error)))

    def _assign(self, now_s: float) -> None:
        is_idle = now_s >= self._report_at_s and len(self._requests) < FEW_IN_FLIGHT
        for batch in [batch for batch in self._open if batch.wants_chunk or (is_idle and batch.has_room)]:
            rows = list(batch.next_rows())
            self._ports.rng.shuffle(rows)  # lists are sorted and neighbours fail together, which looks like the server
            for row in rows:
                if batch.is_blamed(row):
                    self._settle_error(row, Failure(ErrorKind.INTERNAL, BLAMED))
                    continue
                self._renditions.choose(row)
                self._send_to(row, batch.resume(row, now_s, self._ports.wall_clock()))

    def _send_to(self, row: Row, url: str) -> None:
        """Queue the row at the budget that its next request spends, or settle it if there must not be one."""
        route = self._policy.route(url, row.url)
        if isinstance(route, Failure):
            self._fail(row, route)
            return
        row.route = route
        self._admit(row, route)

    def _admit(self, row: Row, route: Route) -> None:
        """Pass the row through the operator's orders and the server's robots.txt, which may have to be fetched."""
        ordered = self._hosts.get(route.server)
        if ordered is Verdict.BANNED:
            self._fail(row, Failure.of_ban())
            return
        if ordered is not None:
            self._paused.append(row)
            return
        admission = self._robots.admit(row, route)
        if admission is Admission.EXCLUDED:
            self._fail(row, Failure(ErrorKind.ROBOTS, self._robots.reason(route.server)))
        elif admission is Admission.RESERVED:
            self._fail(row, Failure(ErrorKind.OPTED_OUT, self._robots.reserved_by(route)))
        elif admission is Admission.ADMITTED:
            self._enter(row, route)
        else:
            row.hold()
            self._request_robots(row, route)

    def _request_robots(self, row: Row, route: Route) -> None:
        """Fetch the robots.txt, or the `tdmrep.json`, for which the first row of a server is held."""

        def file_route(url: str) -> Route | None:
            found = self._policy.route(url, row.url)
            return found if isinstance(found, Route) else None

        if self._robots.needs_request(route.server):
            request = self._robots.file_request(route, file_route)
            if request is not None:
                self._queue(request.route.budget).add_file(request)

    def _obey(self, hosts: Mapping[str, Verdict]) -> None:
        """Apply the orders for single hosts of a group; the group's other rows continue."""
        if hosts == self._hosts:
            return
        self._hosts = hosts
        moved, self._paused = self._paused, []
        for queue in self._queues.values():
            moved += self._take_ordered(queue)
        for row in moved:
            assert row.route is not None
            self._admit(row, row.route)

    def _take_ordered(self, queue: ServerQueue) -> list[Row]:
        """Take back what waits for hosts of which the operator orders something; returns the rows."""
        work = queue.take_work_of(self._hosts)
        for request in work:
            if isinstance(request, RobotsRequest):
                self._take_back(request)
        return [row for row in work if isinstance(row, Row)]

    def _take_back(self, request: RobotsRequest) -> None:
        """The operator allows no request for this file now; what waits for it does what the order says."""
        self._release(self._robots.take_back(request))

    def _enter(self, row: Row, route: Route) -> None:
        queue = self._queue(route.budget)
        queue.obey_crawl_delay(self._robots.crawl_delay_s(route.server))
        if row.state is RowState.DEFERRED:
            queue.add_deferred(row, row.not_before_s)
        elif row.state is RowState.REDIRECTED or row.attempt > 1 or row.has_lost_version:
            queue.add_first(row)
        else:
            queue.add(row)

    def _queue(self, budget: str) -> ServerQueue:
        queue = self._queues.get(budget)
        if queue is None:
            policy = self._policy
            queue = ServerQueue(budget, self._holder, policy.patience_s, policy.max_attempts)
            self._queues[budget] = queue
        self._active[budget] = queue
        return queue

    def _advance_all(self, now_s: float) -> float:
        """Start what may start; returns when something can be done again."""
        self._slow = self._slow_queues(now_s)
        wake_at_s = NEVER
        requests: list[LeaseRequest] = []
        for queue in list(self._active.values()):
            queue.allow_starts(self._has_time(queue, now_s))
            if queue.wake_at_s <= now_s:
                self._advance(queue, now_s)
                request = queue.request(now_s)
                if request is not None:
                    requests.append(request)
                queue.wake_at_s = queue.next_wake_s(now_s)
                if queue.wake_at_s <= now_s and not self._has_room:
                    queue.wake_at_s = now_s + ROOM_RECHECK_S
                if queue.is_idle:
                    del self._active[queue.budget]
            wake_at_s = min(wake_at_s, queue.wake_at_s)
        if requests:
            self._ports.budgets.request(requests)
        return wake_at_s

    def _slow_queues(self, now_s: float) -> set[int]:
        """Queues with slow transfers for which a slice that is over waits; empty before its end."""
        is_over = now_s >= self._ends_at_s and not self._is_draining
        return self._requests.slow_queues(now_s - SLOW_S) if is_over and now_s < self._lingers_until_s else set()

    def _advance(self, queue: ServerQueue, now_s: float) -> None:
        for row, failure in queue.settle_held(now_s):
            self._fail(row, failure)
        if self._may_start(queue, now_s):
            self._recall_robots(queue, now_s)
        for lost, wait in queue.take_lost():
            if isinstance(lost, Row):
                self._fail(lost, Failure.of_verdict(wait))
            else:
                self._learn_robots(lost, lost.said)
        queue.compare_failed(now_s)
        for work in queue.take_abandoned(now_s):
            if isinstance(work, RobotsRequest):
                self._learn_robots(work, work.said)
            elif isinstance(work, Row):
                self._abandon(work, queue)
        while self._may_start(queue, now_s) and (work := queue.take_due(now_s)):  # type: ignore[assignment]
            if isinstance(work, Row):
                work.move(RowState.IN_FLIGHT)
                work.batch.begin()
                _log.debug("%s: requested (%s)", work.url, work.identifier)
            self._requests.start(queue, work, now_s)

    def _recall_robots(self, queue: ServerQueue, now_s: float) -> None:
        """Look once more, right before they are sent, for files that another task has fetched meanwhile."""
        for request in queue.due_robots_requests(now_s):
            if rows := self._robots.recall(request):
                queue.drop(request)
                self._release(rows)

    def _abandon(self, row: Row, queue: ServerQueue) -> None:
        """Give up a row whose server gets no more requests, or which may not be retried.

        What it failed with is its own if others were served since; else it may have been the server's end already.
        """
        lease = queue.lease
        is_own = queue.verdict is Verdict.OPEN or (row.is_retry and (row.is_odd or queue.judge.would_be_odd(row)))
        if row.failure is not None and is_own and queue.verdict not in _ORDERED:
            self._fail(row, row.failure)
        else:
            assert lease is not None
            self._fail(row, Failure.of_verdict(lease))

    def _may_start(self, queue: ServerQueue, now_s: float) -> bool:
        return self._has_time(queue, now_s) and self._has_room

    @property
    def _has_room(self) -> bool:
        """Whether this worker could handle another request."""
        under_way = len(self._requests)
        return under_way < MAX_IN_FLIGHT and self._bodies.has_room(under_way)

    def _has_time(self, queue: ServerQueue, now_s: float) -> bool:
        """Whether requests may still start: also after the slice's end, beside slow transfers of other servers."""
        return now_s < self._ends_at_s or (bool(self._slow) and id(queue) not in self._slow)

    def _patience_s(self, now_s: float, wake_at_s: float) -> float:
        if self._bodies:
            return 0.0
        if wake_at_s <= now_s:  # something waits for room in this worker or for its last retry, not for time
            return AWAIT_ANSWER_S
        is_requesting = any(queue.is_requesting for queue in self._active.values())
        return min(wake_at_s - now_s, AWAIT_ANSWER_S if is_requesting else IDLE_POLL_S)

    def _flush(self, now_s: float) -> None:
        self._flush_at_s = now_s + FLUSH_INTERVAL_S
        for batch in self._open:
            batch.flush()

    def _report(self, now_s: float) -> None:
        """Flush the journals, so that what is reported is also saved."""
        self._report_at_s = now_s + PROGRESS_INTERVAL_S
        self._flush(now_s)
        size_bytes = self._requests.size_bytes - self._reported_bytes
        self._ports.budgets.report(
            ProgressDelta(
                settled=dict(self._settled_rows),
                size_bytes=size_bytes,
                disallowed=dict(self._robots.disallowed),
                answered=self._answered,
                unreached=dict(self._unreached),
                unresolved=self._unresolved,
                turned_away=self._turned_away,
                holder=self._holder,
                is_busy=bool(self._bodies or self._decoding) or any(queue.is_busy for queue in self._queues.values()),
                stored_bytes=self._telemetry.stored_bytes,
                statuses=dict(self._telemetry.statuses),
                ttfb_s=dict(self._telemetry.ttfb_s),
                decode_s=self._telemetry.decode_s,
                queues=(
                    sum(batch.left for batch in self._open),
                    len(self._requests),
                    len(self._bodies) + len(self._decoding),
                ),
                renditions=dict(self._telemetry.renditions),
                rendition_bytes=dict(self._telemetry.rendition_bytes),
                renditions_sized=dict(self._telemetry.renditions_sized),
                rendition_bytes_saved=dict(self._telemetry.rendition_bytes_saved),
            )
        )
        self._telemetry.clear()
        for counter in (self._settled_rows, self._robots.disallowed, self._unreached):
            counter.clear()
        self._answered = self._unresolved = self._turned_away = 0
        self._reported_bytes += size_bytes

    # -- results ---------------------------------------------------------------------------------------------------

    def _receive(self, ended: Ended) -> None:
        queue, row, result = ended.queue, ended.work, ended.result
        assert isinstance(row, Row)
        if result.status == _NOT_MODIFIED and row.validators:  # we asked for it, so it is no failure
            result = replace(result, kind=None, message="", said="")
        if result.status == _NOT_IMPLEMENTED and row.asks_for_version:  # it has no such version, and never will
            result = replace(result, kind=ErrorKind.HTTP_4XX)
        now_s = self._ports.clock()
        _log.debug(
            "%s: %s after %.2f s, %d bytes", row.url, result.status or result.kind, result.total_s, result.size_bytes
        )
        self._telemetry.answered(queue.budget, result)
        failure, outcome = self._read(queue, result)
        self._count_reach(row.route, result)
        outcome = _of_row(outcome, row, queue, result, failure)
        queue.finished(_of_host(outcome, row.route, queue), now_s)
        if failure is None:
            self._take_answer(queue, row, result, now_s)
        elif result.status in _CONDITION_REFUSED and row.validators:
            row.held = None
            self._notice_served(queue, row, now_s - result.total_s)
            row.move(RowState.QUEUED)
            queue.add_first(row)
        elif self._renditions.may_be_missing(row, failure):
            self._fail(row, failure)
        elif row.has_expired_redirect(failure, now_s):
            row.start_over()
            self._send_to(row, row.url)
        elif queue.may_be_ban(failure):
            self._hold_or_fail(queue, row, failure, now_s)
        else:
            self._try_again_or_fail(queue, row, failure, now_s, now_s - result.total_s)
        if row.host in self._hosts:  # it was under way when the order came
            for waiting in self._take_ordered(queue):
                assert waiting.route is not None
                self._admit(waiting, waiting.route)

    def _hold_or_fail(self, queue: ServerQueue, row: Row, failure: Failure, now_s: float) -> None:
        """Hold a row after a 403, which may be about the whole server; without others for comparison, only so often."""
        if row.attempt >= self._policy.max_attempts:
            self._fail(row, failure)
        else:
            _defer(row, failure, now_s)
            queue.hold(row, failure, now_s)

    def _read(self, queue: ServerQueue, result: FetchResult) -> tuple[Failure | None, Outcome]:
        """What an answer means; if it cannot be processed, its row fails, and its budget is informed as well."""
        now_unix_s = self._ports.wall_clock()
        try:
            failure = self._policy.failure_of(result, now_unix_s, is_403_ban=queue.is_403_ban)
            return failure, self._policy.outcome(result, failure, now_unix_s)
        except Exception as error:
            _log.exception("an answer that could not be processed")
            failure = Failure(ErrorKind.INTERNAL, repr(error), result.status)
            return failure, Outcome(failure.kind, total_s=result.total_s)

    def _take_answer(self, queue: ServerQueue, row: Row, result: FetchResult, now_s: float) -> None:
        """The server answered properly; that also settles rows that it refused while it served others."""
        queue.judge.has_delivered = True
        self._notice_served(queue, row, now_s - result.total_s)
        if result.redirect_url is not None:
            self._follow(row, result, now_s)
        elif result.status == _NOT_MODIFIED:
            self._keep_held(queue, row)
        elif row.asks_for_sizes:
            self._learn_sizes(row, result)
        else:
            assert row.route is not None
            queue.notice_file(row.route, is_listed=not row.hops)
            row.move(RowState.BODY)
            self._bodies.add(row, result)

    def _learn_sizes(self, row: Row, result: FetchResult) -> None:
        """Continue with the version that the document names; if it names none, with the listed picture."""
        if result.file is not None:  # far too large for such a document
            result.file.close()
        if self._renditions.learn_sizes(row, result.body):
            self._send_to(row, row.url)
        else:
            self._fail(row, Failure(ErrorKind.NOT_IMAGE, "no size of this picture is known", result.status))

    def _keep_held(self, queue: ServerQueue, row: Row) -> None:
        """The picture of an earlier run has not changed; if it is lost, it is requested without a condition."""
        if row.batch.keep_held(row):
            _log.debug("%s: not modified", row.identifier)
            self._settled(row, "")
        else:
            row.move(RowState.QUEUED)
            queue.add_first(row)

    def _notice_served(self, queue: ServerQueue, row: Row, sent_s: float) -> None:
        queue.judge.notice_served(sent_s, row.host, is_new=not row.refusals)
        for refused, failure in queue.release_refused(sent_s, row.host):
            self._fail(refused, failure)

    def _count_reach(self, route: Route | None, result: FetchResult) -> None:
        if result.status is not None or result.kind is ErrorKind.RESET:
            self._answered += 1
        elif result.kind in _UNREACHED and route is not None:
            self._unreached[route.server] += 1
            self._unresolved += result.dns_failure is DnsFailure.NO_ANSWER
            self._turned_away += result.is_refused or result.dns_failure is DnsFailure.NO_SUCH_NAME

    def _receive_robots(self, queue: ServerQueue, request: RobotsRequest, result: FetchResult) -> None:
        now_s = self._ports.clock()
        _, outcome = self._read(queue, result)
        self._count_reach(request.route, result)
        is_trouble = self._robots.shows_trouble(request, result, queue.budget)
        is_own = self._robots.is_own_failure(outcome)
        outcome = replace(_of_robots(outcome, queue), is_control=is_trouble, is_odd=is_own)
        queue.finished(_of_host(outcome, request.route, queue), now_s)
        route = self._policy.route(result.redirect_url) if result.redirect_url else None
        delay_s = self._robots.retry_delay_s(request, result, queue.budget)
        request.note(result)
        request.hops += result.redirect_url is not None
        if request.route.server in self._hosts:
            self._take_back(request)
            return
        if isinstance(route, Route) and request.hops <= MAX_HOPS:
            request.route = route
            self._queue(route.budget).add_first(request)
        elif delay_s is not None:
            request.tries += 1
            queue.add_deferred(request, now_s + delay_s)
        else:
            self._learn_robots(request, result)

    def _receive_control(self, queue: ServerQueue, control: ControlRequest, result: FetchResult) -> None:
        """Only its server learns from it: served, the failures of the rows that are left are their own."""
        failure, outcome = self._read(queue, result)
        self._count_reach(control.route, result)
        url_hash = crc32(control.route.url.encode())
        now_s = self._ports.clock()
        outcome = replace(outcome, url_hash=url_hash, connections=queue.in_flight, is_control=True)
        queue.finished(_of_host(outcome, control.route, queue), now_s)
        if failure is None:
            queue.control_served(now_s - result.total_s, control.route.server)
            for refused, own in queue.release_refused(now_s - result.total_s, control.route.server):
                self._fail(refused, own)
        elif self._policy.may_pass(failure):
            queue.control_failed()
        else:
            queue.control_told_nothing()

    def _learn_robots(self, request: RobotsRequest, result: FetchResult | None) -> None:
        self._release(self._robots.learn(request, result))

    def _release(self, rows: Sequence[Row]) -> None:
        for row in rows:
            row.release()
            assert row.route is not None
            self._admit(row, row.route)

    def _follow(self, row: Row, result: FetchResult, now_s: float) -> None:
        """Queue the next hop; it goes before rows that were not requested yet, in whatever slice."""
        row.hops += 1
        if row.hops > self._policy.max_redirects:
            failure = Failure(ErrorKind.REDIRECT_LOOP, f"over {row.hops - 1} redirects", result.status)
            self._fail(row, failure)
            return
        route = self._policy.route(str(result.redirect_url), row.url)
        if isinstance(route, Failure):
            self._fail(row, route)
            return
        assert row.route is not None
        row.cookies = row.cookies or RedirectCookies()
        row.cookies.add(row.route.target, result.headers, self._ports.wall_clock())
        row.redirect(route, now_s)
        self._admit(row, route)

    def _try_again_or_fail(self, queue: ServerQueue, row: Row, failure: Failure, now_s: float, sent_s: float) -> None:
        """The only place where retries are decided; a retry goes back through the budget of its URL."""
        if not self._policy.may_pass(failure):
            self._notice_served(queue, row, sent_s)  # the answer is about its file, so the server does answer
            self._fail(row, failure)
            return
        if queue.judge.judge(row, failure, now_s, queue.open_connections) is Fault.SERVER:
            delay_s: float | None = self._policy.own_wait_s(failure)  # else the server's budget decides when
            row.is_retry = False
        else:
            if row.is_odd and queue.judge.is_lost_by_chance(row):
                row.attempt = max(1, min(row.attempt, self._policy.max_attempts - 1))
            delay_s = self._policy.retry_delay_s(failure, row.attempt, self._ports.rng, is_odd=row.is_odd)
            row.attempt += delay_s is not None
            row.is_retry = True
        if delay_s is None:
            self._fail(row, failure)
            return
        _defer(row, failure, now_s + delay_s)
        queue.add_deferred(row, row.not_before_s)

    def _process(self, row: Row, result: FetchResult) -> None:
        checksum_ok: Sequence[bool | None] = ()
        image: ProcessedImage | Future[ProcessedImage] | None = None
        try:
            checksum_ok = agreements(row.listed, result.content)
            if self._policy.requires_checksum and False in checksum_ok:
                self._refetch(row, result, [index for index, is_ok in enumerate(checksum_ok) if is_ok is False])
                checksum_ok = [is_ok for is_ok in checksum_ok if is_ok is not False]
                if not checksum_ok:
                    return
            started_s = self._ports.clock()
            with row.batch.decoding(row) as is_suspect:
                image = self._ports.process(result.content, is_complete(result), is_suspect)
            self._telemetry.decode_s += self._ports.clock() - started_s
        except ImageError as error:
            self._fail(row, Failure(error.kind, error.message, result.status))
        finally:
            if not isinstance(image, Future):
                self._bodies.dropped(result)
        if isinstance(image, Future):
            self._decoding.append(_Decoding(image, row, result, checksum_ok))
        elif image is not None:
            self._store(row, result, image, checksum_ok)

    def _take_decoded(self) -> None:
        """Settle what the decoder process has finished, in the order in which it was sent there."""
        while self._decoding and self._decoding[0].image.done():
            decoding = self._decoding.popleft()
            self._bodies.dropped(decoding.result)
            self._guarded(decoding.row, self._settle_decoded, decoding)

    def _settle_decoded(self, decoding: _Decoding) -> None:
        try:
            image = decoding.image.result()
        except ImageError as error:
            self._fail(decoding.row, Failure(error.kind, error.message, decoding.result.status))
            return
        self._store(decoding.row, decoding.result, image, decoding.checksum_ok)

    def _store(self, row: Row, result: FetchResult, image: ProcessedImage, checksum_ok: Sequence[bool | None]) -> None:
        if self._renditions.is_too_narrow(row, image.original_size):
            self._fail(row, Failure(ErrorKind.NOT_IMAGE, "this version is narrower than what is stored", result.status))
            return
        record = image_record(row, result, image, self._now(), self._robots.usage(row.route))
        row.batch.settle_image(row, record, checksum_ok)
        if self._renditions.note_stored(row):
            self._choose_again(row.server)
        if record.rendition:
            listed_bytes = self._renditions.listed_bytes(row, image.original_size, result.size_bytes)
            self._telemetry.stored_rendition(row.server, result.size_bytes, listed_bytes)
        self._telemetry.stored_bytes += len(image.image)
        _log.debug("%s: stored, %d bytes", row.identifier, len(image.image))
        self._settled(row, "")

    def _choose_again(self, server: str) -> None:
        """Its server was found not to have some versions of pictures: rows that wait need not ask for them."""
        for row in [row for queue in self._queues.values() for row in queue.take_fresh(server)]:
            self._renditions.choose_again(row)
            self._send_to(row, row.url)

    def _refetch(self, row: Row, result: FetchResult, wrong: Sequence[int]) -> None:
        """Request a URL once more for the input rows whose list describes other bytes."""
        other = row.take_out(wrong) if len(wrong) < len(row.rows.numbers) else row
        if other is not row:
            row.batch.split(other)
        failure = failure_of_checksum(result)
        delay_s = self._policy.retry_delay_s(failure, other.attempt, self._ports.rng)
        if delay_s is None or other.route is None:
            self._fail(other, failure)
            return
        other.attempt += 1
        other.is_retry = True
        _defer(other, failure, self._ports.clock() + delay_s)
        self._queue(other.route.budget).add_deferred(other, other.not_before_s)

    def _fail(self, row: Row, failure: Failure) -> None:
        if row.turn_to_mirror(failure):
            self._send_to(row, row.url)
        else:
            self._settle_error(row, failure)

    def _settle_error(self, row: Row, failure: Failure) -> None:
        row.batch.settle_error(row, failure.record(row.attempt - 1, self._now()))
        _log.debug("%s: ends as %s (%s)", row.identifier, failure.kind, failure.message)
        self._settled(row, str(failure.kind))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._ports.wall_clock(), timezone.utc)

    def _settled(self, row: Row, kind: str) -> None:
        self._settled_rows[row.server, kind] += len(row.rows.numbers)
        if not row.batch.left:
            self._open.remove(row.batch)
            self._publisher.publish(row.batch)

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self) -> SliceReport:
        """Return everything: permits, rows, and what was learned about them."""
        for row in self._requests.rows():  # cut by a drain, which used up no attempt
            row.move(RowState.REDIRECTED if row.hops else RowState.QUEUED)
        for queue in self._queues.values():
            queue.give_back()
        self._requests.close()
        for decoding in self._decoding:
            decoding.image.cancel()
            self._bodies.dropped(decoding.result)
        self._bodies.close()
        self._report(self._ports.clock())
        now_s, now_unix_s = self._ports.clock(), self._ports.wall_clock()
        self._ports.budgets.request([queue.last_request(now_s) for queue in self._queues.values()])
        return SliceReport(
            finished=self._publisher.finish(),
            unfinished=[batch.give_back(self._ready_in_s(now_s), now_s, now_unix_s) for batch in self._open],
            requests=self._requests.requests,
            size_bytes=self._requests.size_bytes,
        )

    def _ready_in_s(self, now_s: float) -> float:
        """How long nothing can be done for what is left.

        Once nothing else is left to do, a server in trouble is asked earlier than it was said to this slice: so nothing
        sleeps for longer than the patience with such servers.
        """
        next_start_s = self._next_start_s(now_s)
        if next_start_s >= NEVER:
            return 0.0
        return min(max(0.0, next_start_s - now_s), self._policy.patience_s)


def _defer(row: Row, failure: Failure, not_before_s: float) -> None:
    row.defer(failure, not_before_s)
    row.batch.rest()


def _of_row(outcome: Outcome, row: Row, queue: ServerQueue, result: FetchResult, failure: Failure | None) -> Outcome:
    """The outcome, with what is known about its row."""
    return replace(
        outcome,
        url_hash=row.url_hash,
        is_row=result.redirect_url is None,
        is_odd=is_own_fault(row, failure),
        is_retry=row.is_retry,
        connections=queue.in_flight,
    )


def _of_host(outcome: Outcome, route: Route | None, queue: ServerQueue) -> Outcome:
    """The outcome, for the budget of a group with the host that was asked."""
    return replace(outcome, host=route.server) if route and route.server != queue.budget else outcome


def _of_robots(outcome: Outcome, queue: ServerQueue) -> Outcome:
    return replace(outcome, is_row=False, connections=queue.in_flight)
