"""The rows of one budget in a task: what to fetch, when, and what is known about the budget.

Plain state without clock or network: it answers the worker loop which row may start now and when to look again. Work in
progress (the next hop of a redirect) comes before fresh rows, those before the robots.txt of further hosts, and all of
them before what failed, so that a failure is always retried after others had their turn. Only a row whose second answer
shows whether the first was about it or about the server comes before fresh ones.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import count, islice

from ray_downloader.errors import ErrorKind
from ray_downloader.partition.server_key import without_user_info
from ray_downloader.politeness.leases.pacer import LeasePacer
from ray_downloader.politeness.messages import (
    HostWait,
    Lease,
    LeaseRequest,
    Outcome,
    ProbeUrl,
    Verdict,
    WaitReason,
)
from ray_downloader.politeness.server.condition import PROBE_AFTER_S
from ray_downloader.politeness.server.controls import KEPT
from ray_downloader.politeness.server.evidence import FORBIDDEN_STATUS, stops_its_holder
from ray_downloader.politeness.server.runs import FORBIDDEN_RUN
from ray_downloader.worker.evidence import FaultJudge
from ray_downloader.worker.parked_hosts import NEVER, ParkedHosts
from ray_downloader.worker.request_policy import Failure, Route
from ray_downloader.worker.robots_gate import RobotsRequest
from ray_downloader.worker.row import Row


@dataclass(frozen=True, slots=True, eq=False)
class ControlRequest:
    """Another request for a URL that was served before, whose answer is only evidence about its server.

    When only rows are left that failed, nothing else shows whether they or their server are at fault.
    """

    route: Route


Work = Row | RobotsRequest | ControlRequest

#: Outcomes are reported at least this often, so that a pause or drain reaches a task just as fast.
REPORT_INTERVAL_S = 1.0
#: A group may wait for the robots.txt of 10^4 hosts; before each of its requests so many of them are looked for.
MOST_RECALLED = 16
#: How much longer than its due time a request waits for the previous one to get its connection.
MOST_CONNECTING_S = 0.025
#: If no other row is left for comparison: bans of 45 s were observed, and each further try waits longer.
ALONE_403_DELAY_S = 60.0
#: A row that was told to wait for longer than this is not asked again to find out whether that is meant for it alone.
LONG_WAIT_S = 3_600.0
#: One failed row may be at fault itself; so many in a row, with no other left, are compared with one that was served.
LEAST_COMPARED = 2
#: Bans of 45 s were observed: what is served later than this after a 403 does not show that the 403 was about its file.
BAN_S = 20.0
#: Verdicts that end a server's rows without a request.
FINAL_VERDICTS = frozenset({Verdict.DEAD, Verdict.REFUSED, Verdict.OPTED_OUT, Verdict.BANNED})
#: Waits that are not a sign of trouble: the server answers, only not now.
_UNTROUBLED = frozenset({None, WaitReason.CRAWL_DELAY, WaitReason.ROBOTS})


class ServerQueue:
    """Rows of one budget in one task.

    Args:
        budget: Key of the budget.
        holder: Name under which this task requests leases.
        patience_s: How long a server in trouble is waited for.
        max_attempts: Requests for a row that fails by itself.
    """

    def __init__(self, budget: str, holder: str, patience_s: float, max_attempts: int) -> None:
        self.budget = budget
        self.judge = FaultJudge()
        self.in_flight = 0
        #: The last lease; None before the first.
        self.lease: Lease | None = None
        #: Crawl-delay from the server's robots.txt.
        self.crawl_delay_s: float | None = None
        #: Whether a requested lease has not arrived yet.
        self.is_requesting = False
        #: Earliest time at which it can do something; the loop skips it until then.
        self.wake_at_s = 0.0
        self._request_again_at_s = 0.0
        self._holder = holder
        self._max_attempts = max_attempts
        self._alone_delay_s = min(ALONE_403_DELAY_S, patience_s / 2)
        self._first: deque[Work] = deque()
        self._fresh: deque[Row] = deque()
        #: Further hosts of a group are asked for theirs once the rows of those before them are under way.
        self._files: deque[RobotsRequest] = deque()
        #: Those among the work that are not sent yet.
        self._robots: dict[RobotsRequest, None] = {}
        self._deferred: list[tuple[float, int, Work]] = []
        self._held: list[tuple[Row, Failure, float]] = []
        self._parked = ParkedHosts()
        #: Hosts about which the lease was requested that has not arrived yet.
        self._asked: tuple[str, ...] = ()
        self._served: dict[str, Route] = {}
        self._new_controls: list[str] = []
        #: Those that this task has reported: a budget that was restored may have lost them.
        self._told_controls: deque[str] = deque(maxlen=KEPT)
        self._controlled_at_s = float("-inf")
        self._is_comparing = False
        self._order = count()
        self._pacer = LeasePacer()
        self._reported_at_s = 0.0
        self._outcomes: list[tuple[float, Outcome]] = []
        self._unused = 0
        self._unsent = 0
        self._started_at_s = float("-inf")
        #: When a refused row was last preferred to others.
        self._telling_s = float("-inf")
        self._awaits_stale_lease = False
        self._may_start = True

    def __len__(self) -> int:
        return len(self._first) + len(self._fresh) + len(self._files) + len(self._deferred) + len(self._held)

    @property
    def verdict(self) -> Verdict:
        """The budget's last verdict on the server's rows."""
        return self.lease.verdict if self.lease else Verdict.OPEN

    @property
    def open_connections(self) -> int:
        """Connections to the server that may be open, in this task or another."""
        return self.in_flight + (self.lease.connections_elsewhere if self.lease else 0)

    @property
    def is_403_ban(self) -> bool:
        """Whether a 403 now means that the server refuses everything, and says nothing about the file."""
        return self.lease is not None and self.lease.is_403_ban

    @property
    def is_troubled(self) -> bool:
        """Whether the server is only probed or left alone now, because of its answers."""
        return self.lease is not None and (self.lease.is_probe or self.lease.reason not in _UNTROUBLED)

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do that, as far as the budget said, does not wait for a server in trouble."""
        return (
            self.lease is not None
            and not self.is_troubled
            and self.verdict is Verdict.OPEN
            and (bool(self) or self.in_flight > 0)
        )

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do until it gets work: nothing waits, is in flight, or is to be reported."""
        has_work = bool(self) or bool(self._parked)
        return not (has_work or self.in_flight or self._outcomes or self.is_requesting) and self.wake_at_s == NEVER

    # -- rows ------------------------------------------------------------------------------------------------------

    def add(self, row: Row) -> None:
        """Add a row that may be fetched at once."""
        if not self._parked.takes(row):
            self._fresh.append(row)
        self.wake_at_s = 0.0

    def add_file(self, request: RobotsRequest) -> None:
        """Add the request for a file for which rows of its server wait."""
        if not self._parked.takes(request):
            self._files.append(request)
            self._robots[request] = None
        self.wake_at_s = 0.0

    def add_first(self, work: Work) -> None:
        """Add work in progress, such as a further hop."""
        if not self._parked.takes(work):
            self._first.append(work)
            self._note_robots(work)
        self.wake_at_s = 0.0

    def add_deferred(self, work: Work, not_before_s: float) -> None:
        """Add work that failed and may be retried from then on."""
        if not self._parked.takes(work):
            heapq.heappush(self._deferred, (not_before_s, next(self._order), work))
            self._note_robots(work)
        self.wake_at_s = 0.0

    def _note_robots(self, work: Work) -> None:
        if isinstance(work, RobotsRequest):
            self._robots[work] = None

    def due_robots_requests(self, now_s: float) -> list[RobotsRequest]:
        """Requests for robots.txt that have not been sent, if a permit is due: a few at a time, turn by turn.

        The one that would be sent next is always among them.
        """
        permit_s = self._pacer.next_due_s(now_s) if self._robots else None
        if permit_s is None or permit_s > now_s:
            return []
        due = list(islice(self._robots, MOST_RECALLED))
        for request in due:
            self._robots[request] = self._robots.pop(request)
        upcoming = next(iter(self._first or self._fresh or self._files), None)
        return due if not isinstance(upcoming, RobotsRequest) or upcoming in due else [upcoming, *due]

    def drop(self, request: RobotsRequest) -> None:
        """Another task has fetched that robots.txt."""
        del self._robots[request]
        self._first = deque(work for work in self._first if work is not request)
        self._files = deque(work for work in self._files if work is not request)
        self._deferred = [entry for entry in self._deferred if entry[2] is not request]
        heapq.heapify(self._deferred)

    def obey_crawl_delay(self, delay_s: float | None) -> None:
        """Apply the delay of a robots.txt; of the hosts of a group the strictest applies."""
        if delay_s is not None:
            self.crawl_delay_s = max(delay_s, self.crawl_delay_s or 0.0)

    def notice_file(self, route: Route, *, is_listed: bool) -> None:
        """Remember a URL that was served, one for each host; the target of a redirect may expire.

        Other tasks learn of it, and it is saved with the budget, unless it holds a password.
        """
        is_open = without_user_info(route.url) == route.url
        if is_listed and is_open and route.server not in self._served:
            self._new_controls.append(route.url)
            self._told_controls.append(route.url)
        self._served[route.server] = route

    def learn_control(self, route: Route) -> None:
        """Accept a URL that was served to another task."""
        self._served.setdefault(route.server, route)

    def control_served(self, sent_s: float, host: str) -> None:
        """A URL that was served before was served again."""
        self._is_comparing = False
        self.judge.notice_control(self._deferred_rows, sent_s, host)

    def control_failed(self) -> None:
        """A URL that was served before failed, like rows before it: their server is at fault."""
        if self._is_comparing:
            self._is_comparing = False
            self.judge.blame_server(self._deferred_rows)

    def control_told_nothing(self) -> None:
        """What was served before is gone or forbidden now."""
        self._is_comparing = False

    def compare_failed(self, now_s: float) -> None:
        """Before the last rows, which failed one after the other, are retried: request a URL that was served before.

        They are too few to show by themselves that their server is at fault. So is one that would not be retried again.
        """
        if self._has_untried or self._held or self.in_flight or self.is_troubled or self._is_comparing:
            return
        rows = self._deferred_rows
        failing = [row for row in rows if self.judge.is_failing(row)]
        if len(failing) < LEAST_COMPARED:
            failing = [row for row in rows if row.attempt >= self._max_attempts and self.judge.is_uncompared(row)]
        if max((row.failed_at_s or 0.0 for row in failing), default=-math.inf) <= self._controlled_at_s:
            return
        if control := self._control_of(failing[0]):
            self._controlled_at_s, self._is_comparing = now_s, True
            self._first.append(ControlRequest(control))

    def take_fresh(self, server: str) -> list[Row]:
        """The rows of a server that may be fetched at once, which are removed."""
        taken = [row for row in self._fresh if row.server == server]
        self._fresh = deque(row for row in self._fresh if row.server != server)
        return taken

    def take_work_of(self, hosts: Collection[str]) -> list[Row | RobotsRequest]:
        """Remove and return what would next be sent to one of these hosts."""

        def is_of(work: Work) -> bool:
            return not isinstance(work, ControlRequest) and work.route is not None and work.route.server in hosts

        deferred, held = (one for _, _, one in self._deferred), (one for one, _, _ in self._held)
        everything = [*self._first, *self._fresh, *self._files, *deferred, *held, *self._parked.take_of(hosts)]
        self._first = deque(one for one in self._first if not is_of(one))
        self._fresh = deque(one for one in self._fresh if not is_of(one))
        self._deferred = [entry for entry in self._deferred if not is_of(entry[2])]
        self._files = deque(one for one in self._files if not is_of(one))
        self._held = [held for held in self._held if not is_of(held[0])]
        self._robots = {request: None for request in self._robots if not is_of(request)}
        heapq.heapify(self._deferred)
        return [one for one in everything if not isinstance(one, ControlRequest) and is_of(one)]

    # -- hosts of a group that cannot be reached --------------------------------------------------------------------

    def take_lost(self) -> list[tuple[Row | RobotsRequest, HostWait]]:
        """The work of hosts that were given up, which is removed."""
        return self._parked.take_lost()

    def _heed_hosts(self, waits: tuple[HostWait, ...], now_s: float) -> None:
        """Park and free work as the budget says."""
        freed, probes = self._parked.update(waits, self._asked, now_s)
        self._asked = ()
        for work in freed:
            if isinstance(work, RobotsRequest):
                self.add_file(work)
            elif work.failure is None:
                self.add(work)
            else:
                self.add_deferred(work, work.not_before_s)
        if waits:
            self._park()
        for work in probes:
            self._first.appendleft(work)
            self._note_robots(work)

    def _park(self) -> None:
        """Set aside what waits for hosts that cannot be reached."""
        takes = self._parked.takes
        self._first = deque(work for work in self._first if not takes(work))
        self._fresh = deque(row for row in self._fresh if not takes(row))
        self._files = deque(request for request in self._files if not takes(request))
        self._deferred = [entry for entry in self._deferred if not takes(entry[2])]
        heapq.heapify(self._deferred)
        waiting = {*self._first, *self._files, *(work for _, _, work in self._deferred)}
        self._robots = {request: None for request in self._robots if request in waiting}

    # -- rows that a 403 refused -----------------------------------------------------------------------------------

    def may_be_ban(self, failure: Failure) -> bool:
        """Whether a refusal may be about the file or the whole server; others have to tell."""
        return failure.http_status == FORBIDDEN_STATUS and failure.kind is ErrorKind.HTTP_4XX

    def hold(self, row: Row, failure: Failure, now_s: float) -> None:
        """Keep a refused row until it is known whether others are refused, too."""
        row.failed_at_s = now_s
        self._held.append((row, failure, now_s))
        self.wake_at_s = 0.0

    def release_refused(self, sent_s: float, host: str) -> list[tuple[Row, Failure]]:
        """Held rows that were refused before a request was sent that was served: the refusals were about them.

        1. Another host of a group shows nothing about one that has served before: that one alone may have banned us.
        2. If that is long ago, a ban may have ended in between, and they are retried.
        3. So are those that were refused one after the other, once: a limit may have been the reason.
        """

        def is_compared(row: Row, refused_at_s: float) -> bool:
            return refused_at_s < sent_s and (row.host == host or self._control_of(row) is None)

        before = [held for held in self._held if is_compared(held[0], held[2])]
        self._held = [held for held in self._held if not is_compared(held[0], held[2])]
        hosts = Counter(row.host for row, _, _ in before)
        own = []
        for row, failure, at_s in before:
            is_late = sent_s - at_s > BAN_S
            # That the others of a group were served in between hides from its budget that one of its hosts bans us.
            is_run = row.host != self.budget and hosts[row.host] >= FORBIDDEN_RUN
            if not is_late and (row.is_odd or not (self.is_troubled or is_run)):
                own.append((row, failure))
                continue
            row.failure, row.is_retry = failure, is_late
            row.attempt += is_late
            self.add_deferred(row, at_s)
        return own

    @property
    def _awaits_judgement(self) -> bool:
        """Whether the budget may see in what was just reported that its server refuses everything."""
        return bool(self._held) and (bool(self._outcomes) or self.is_requesting)

    @property
    def _may_be_refused_all(self) -> bool:
        return len(self._held) >= FORBIDDEN_RUN and self._awaits_judgement

    def settle_held(self, now_s: float) -> list[tuple[Row, Failure]]:
        """Decide about held rows that wait in vain for others; returns those whose refusal is about them.

        1. The server refuses everything: they wait for it, at no cost.
        2. Others will show it.
        3. Others of a group have shown nothing about its host for so long that a ban may be over: a URL of the host
           that was served before is requested again.
        4. No others are left, so such a URL is requested; if there is none, or that has shown nothing, they are
           retried: as its probes if the server is in trouble, else after a while.
        5. There is only this one URL.
        """
        if not self._held or self._awaits_judgement:
            return []
        if self.is_403_ban:
            self._wait_for_server(now_s)
        elif self._has_untried and self._waits_for_host(now_s):
            self._compares(now_s)
        elif not (self._has_untried or self.in_flight or self._compares(now_s)):
            return self._settle_last(now_s)
        return []

    def _waits_for_host(self, now_s: float) -> bool:
        """Whether the row that was refused first has waited for others of its host of a group in vain."""
        row, _, refused_at_s = self._held[0]
        return row.host != self.budget and not self.is_troubled and now_s - refused_at_s > BAN_S

    def _compares(self, now_s: float) -> bool:
        """Queue a request for a URL that was served before, unless that was done; False if it tells nothing more."""
        row, _, refused_at_s = self._held[0]
        control = self._control_of(row)
        if control is None or self._controlled_at_s >= refused_at_s:
            return False
        self._controlled_at_s = now_s
        self._first.append(ControlRequest(control))
        return True

    def _settle_last(self, now_s: float) -> list[tuple[Row, Failure]]:
        if self.is_troubled:
            self._wait_for_server(now_s)
            return []
        held, self._held = self._held, []
        if len(held) == 1 and not self._deferred and not self._control_of(held[0][0]):
            return [(row, failure) for row, failure, _ in held]
        for row, failure, _ in held:
            row.failure, row.is_retry = failure, True
            row.attempt += 1
            self.add_deferred(row, now_s + self._alone_delay_s * (row.attempt - 1))
        return []

    def _wait_for_server(self, now_s: float) -> None:
        for row, failure, _ in self._held:
            row.failure, row.is_retry = replace(failure, kind=ErrorKind.HTTP_403_BAN), False
            self.add_deferred(row, now_s)
        self._held.clear()

    def _control_of(self, row: Row) -> Route | None:
        """A URL of the row's host that was served before."""
        return self._served.get(row.route.server) if row.route else None

    def take_due(self, now_s: float) -> Work | None:
        """The work that the budget allows to start now; its permit and connection are spent."""
        if self._may_be_refused_all:
            return None
        if self.in_flight >= self._pacer.connections or self._is_connecting(now_s):
            return None
        is_probe = self.lease is not None and self.lease.is_probe
        if not is_probe:
            self._advance_telling(now_s)
        is_retry = not self._has_untried
        if is_retry and (self._awaits_comparison or not self._has_due_retry(now_s, is_probe)):
            return None
        counts_as_retry = is_retry and not is_probe and _is_retry(self._deferred[0][2])
        if not self._pacer.take(now_s, is_retry=counts_as_retry):
            return None
        self.in_flight += 1
        self._unsent += 1
        self._started_at_s = now_s
        work = self._take_control(is_probe) or (
            self._take_failed(is_probe) if is_retry else self._take(is_probe, now_s)
        )
        if isinstance(work, Row):
            if self.judge.comparable_at_s(work) <= now_s:
                self.judge.review(work)
            work.is_probe = is_probe
        elif isinstance(work, RobotsRequest):
            del self._robots[work]
        self._parked.sent(work)
        self.judge.spacing.started(now_s)
        return work

    @property
    def _deferred_rows(self) -> list[Row]:
        return [work for _, _, work in self._deferred if isinstance(work, Row)]

    @property
    def _has_untried(self) -> bool:
        """Whether there is work that has not failed."""
        return bool(self._first or self._fresh or self._files)

    @property
    def _awaits_comparison(self) -> bool:
        return self._is_comparing and not self.is_troubled

    def _take_control(self, is_probe: bool) -> Work | None:
        """A URL that was served before, if the budget wants to know how the server answers that."""
        if not is_probe or self._probe_url is not ProbeUrl.SERVED:
            return None
        waiting = [*(row for row, _, _ in self._held), *(work for _, _, work in self._deferred), *self._fresh]
        row = next((work for work in waiting if isinstance(work, Row)), None)
        control = self._control_of(row) if row else None
        return ControlRequest(control) if control else None

    def _take(self, is_probe: bool, now_s: float) -> Work:
        """Choose a row; for a probe one that is far from those that failed: lists are sorted, and neighbours alike."""
        if self._first:
            return self._first.popleft()
        wants_failed = is_probe and bool(self._deferred) and self._probe_url is ProbeUrl.FAILED
        if wants_failed and self._probe_at_s(self._deferred[0][0], self._deferred[0][2]) <= now_s:
            return heapq.heappop(self._deferred)[2]
        if not self._fresh:
            return self._files.popleft()
        return self._fresh.pop() if is_probe else self._fresh.popleft()

    @property
    def _probe_url(self) -> ProbeUrl:
        return self.lease.probe_url if self.lease else ProbeUrl.NEW

    def _take_failed(self, is_probe: bool) -> Work:
        """The failed work that is due first; for a probe, once that has failed, too, a URL that was served before."""
        control = self._control() if is_probe else None
        return ControlRequest(control) if control else heapq.heappop(self._deferred)[2]

    def _control(self) -> Route | None:
        rows = self._deferred_rows
        waits_s = [row.failure.retry_after_s or 0.0 for row in rows if row.failure]
        if not (any(row.is_probe for row in rows) or max(waits_s, default=0.0) > LONG_WAIT_S):
            return None
        return self._control_of(rows[0])

    def _advance_telling(self, now_s: float) -> None:
        """Move a refused row that is due to the front once others were served: its answer shows whose fault it was.

        If it was the row's, the budget takes back what it concluded from the refusal. A row that was told how long to
        wait comes first after that: last of all, it would be refused by the same quota in each of its windows.
        """
        permit_s = self._pacer.next_due_s(now_s)
        if self._first or permit_s is None or permit_s > now_s:
            return
        for entry in self._deferred:
            if entry[0] <= now_s and (_was_told(entry[2], now_s) or self._is_telling(entry[2], now_s)):
                self._deferred.remove(entry)
                heapq.heapify(self._deferred)
                self._first.append(entry[2])
                self._telling_s = now_s
                return

    def _is_telling(self, work: Work, now_s: float) -> bool:
        """Whether others were served since it failed; if it failed together with others, the server has recovered."""
        if not isinstance(work, Row) or work.is_odd or _is_retry(work):
            return False
        if work.refusals > 1 and self._fresh and not self.judge.has_served_since(self._telling_s):
            return False  # it has told before, and so has another since anything was served: others come first
        has_recovered = work.failed_at_s is None and self.judge.has_delivered and not self.is_403_ban
        is_comparable = self.judge.comparable_at_s(work) <= now_s
        return has_recovered or (is_comparable and self.judge.would_be_odd(work))

    def _has_due_retry(self, now_s: float, is_probe: bool) -> bool:
        """Whether a failed row may start: when it is due, or when a probe needs one."""
        if not self._deferred:
            return False
        not_before_s, _, work = self._deferred[0]
        has_budget = not _is_retry(work) or self._pacer.retries_left() > 0 or is_probe
        at_s = self._probe_at_s(not_before_s, work) if is_probe else self._retry_at_s(not_before_s, work)
        return has_budget and at_s <= now_s

    def _probe_at_s(self, not_before_s: float, work: Work) -> float:
        """When failed work may be a probe: at once, unless its own answer wants it to wait and no other URL will do."""
        is_told = isinstance(work, Row) and work.failure is not None and bool(work.failure.retry_after_s)
        return not_before_s if is_told and self._control() is None else float("-inf")

    def _retry_at_s(self, not_before_s: float, work: Work) -> float:
        """When failed work may be retried: a refused row once it can be compared with others that were served."""
        is_compared = isinstance(work, Row) and self.judge.would_be_odd(work)
        return max(not_before_s, self.judge.comparable_at_s(work)) if is_compared else not_before_s  # type: ignore[arg-type]

    def _is_connecting(self, now_s: float) -> bool:
        """Whether the last request may still be unsent: the next one would follow it too closely.

        Only for a moment, or a server with a new connection for each request would get requests too rarely.
        """
        interval_s = self._pacer.lease.interval_s if self._pacer.lease else 0.0
        return self._unsent > 0 and now_s < self._started_at_s + interval_s + min(interval_s, MOST_CONNECTING_S)

    def went_out(self, sent_s: float | None) -> None:
        """A started request has been sent, or failed before that (None)."""
        self._unsent -= 1
        if sent_s is not None:
            self._pacer.went_out(sent_s)
        self.wake_at_s = 0.0

    def take_abandoned(self, now_s: float) -> list[Work]:
        """Work that will not be fetched: everything if the verdict says so, retries if their budget is spent.

        A retry is given up only when it is due and nothing else is left, as fresh successes earn further retries.
        """
        if self.verdict in FINAL_VERDICTS:
            held = (row for row, _, _ in self._held)
            deferred = (one for _, _, one in self._deferred)
            work = [*self._first, *self._fresh, *self._files, *deferred, *held, *self._parked.take_all()]
            self._first.clear()
            self._files.clear()
            self._fresh.clear()
            self._deferred.clear()
            self._held.clear()
            self._robots.clear()
            return work
        has_others = self._has_untried or self.in_flight > 0
        if has_others or not self._deferred or self._deferred[0][0] > now_s or not _is_retry(self._deferred[0][2]):
            return []
        is_refused = self._pacer.left(now_s) > 0 and not self._pacer.retries_left() and not self.is_troubled
        return [heapq.heappop(self._deferred)[2]] if is_refused and not self._pacer.may_retry_later else []

    # -- the budget ------------------------------------------------------------------------------------------------

    def finished(self, outcome: Outcome, now_s: float) -> None:
        """Process the end of a request."""
        self.in_flight -= 1
        self._outcomes.append((now_s, outcome))
        if stops_its_holder(outcome):
            # The server says stop: no permit from before is used after that, nor one that is on its way.
            self._unused += self._pacer.give_back()
            self._awaits_stale_lease = self.is_requesting
        self.wake_at_s = 0.0

    def allow_starts(self, may_start: bool) -> None:
        """Say whether the task may still start requests; if not, its permits and turns are for others."""
        if may_start is self._may_start:
            return
        self._may_start = may_start
        if not may_start:
            self._unused += self._pacer.give_back()
        self.wake_at_s = 0.0

    def request(self, now_s: float) -> LeaseRequest | None:
        """The message to send to the budget now, if any: a request for permits, or a report."""
        if self.is_requesting or not self._has_reason_to_request(now_s):
            return None
        self.is_requesting = True
        self._pacer.requested(now_s)
        return self._message(now_s, wanted=self._wanted(now_s), in_flight=self.in_flight)

    def give_back(self) -> None:
        """The task ends: what it has seen of the server is kept with the rows that failed.

        Rows that a 403 refused spent an attempt if there are no others for comparison, or if others were served since
        they failed before: the next task may end as soon, before it has asked for anything else.
        """
        is_last = not (self._fresh or self._deferred or any(isinstance(work, Row) for work in self._first))
        for row, _, _ in self._held if not self.is_troubled else ():
            row.attempt += is_last or row.is_odd
        for work in (*(one for _, _, one in self._deferred), *self._parked.rows()):
            if isinstance(work, Row):
                self.judge.give_back(work)

    def last_request(self, now_s: float) -> LeaseRequest:
        """The message that returns everything, as the task ends."""
        self._unused += self._pacer.give_back()
        return self._message(now_s, wanted=0, in_flight=0)

    def _message(self, now_s: float, wanted: int, in_flight: int) -> LeaseRequest:
        self._reported_at_s = now_s
        unused, self._unused = self._unused, 0
        outcomes = tuple(outcome.aged(now_s - at_s) for at_s, outcome in self._outcomes)
        self._outcomes.clear()
        controls, self._new_controls = tuple(self._new_controls), []
        self._asked = self._parked.due(now_s) if self._may_start else ()
        return LeaseRequest(
            self.budget, self._holder, wanted, in_flight, unused, outcomes, self.crawl_delay_s, controls, self._asked
        )

    def _has_reason_to_request(self, now_s: float) -> bool:
        if self._pacer.needs_renewal(now_s, self._wanted(now_s), self.in_flight):
            return True
        if (self._unused and not self._may_start) or (self._may_start and self._parked.due(now_s)):
            return True
        return bool(self._outcomes) and (
            self._waits_for_news(now_s) or now_s >= self._reported_at_s + REPORT_INTERVAL_S
        )

    def _waits_for_news(self, now_s: float) -> bool:
        """Whether the next step depends on the budget's view of the outcomes (throttled, a probe's, a run of 403)."""
        return self._unused > 0 or self._may_be_refused_all or (not self.in_flight and not self._pacer.left(now_s))

    def _wanted(self, now_s: float) -> int:
        """Requests that could start soon; a server in trouble is probed with any row, due or not."""
        if not self._may_start:
            return 0
        ready = len(self._first) + len(self._fresh) + len(self._files)
        if not ready and self.is_troubled:
            return min(1, len(self._deferred))
        return ready + sum(at_s <= now_s + REPORT_INTERVAL_S for at_s, _, _ in self._deferred)

    def granted(self, lease: Lease, now_s: float) -> None:
        """Process the budget's answer."""
        self.is_requesting = False
        self.lease = lease
        self._pacer.granted(lease, now_s)
        if not (lease.controls or self._new_controls):
            self._new_controls = list(self._told_controls)
        if self._awaits_stale_lease or not self._may_start:
            self._awaits_stale_lease = False
            self._unused += self._pacer.give_back()
        self._heed_hosts(lease.hosts, now_s)
        self._request_again_at_s = now_s + (lease.request_again_in_s if not lease.permits else 0.0)
        self.wake_at_s = 0.0

    def next_wake_s(self, now_s: float) -> float:
        """When the loop should look at it again, unless something happens before (an answer, a result, a row)."""
        has_news = bool(self._outcomes) and not self.is_requesting
        report_at_s = self._reported_at_s + REPORT_INTERVAL_S if has_news else NEVER
        is_waiting = self.is_requesting and not self._pacer.left(now_s)
        start_at_s = NEVER if is_waiting or not self._may_start else self._next_sent_s(now_s)
        ask_at_s = NEVER
        if not self.is_requesting:
            ask_at_s = self._pacer.next_request_s(now_s, self._wanted(now_s), self.in_flight)
            ask_at_s = min(ask_at_s, self._parked.next_s if self._may_start else NEVER)
        return min(report_at_s, start_at_s, ask_at_s)

    def next_start_s(self, now_s: float) -> float:
        """The earliest time at which a request could start, as far as known; `NEVER` if nothing waits for it."""
        return min(self._next_sent_s(now_s), self._parked.next_s)

    def _next_sent_s(self, now_s: float) -> float:
        """The same, without regard to hosts that cannot be reached.

        Rows whose server was given up are settled now, however long the server would have been left alone.
        """
        if self.verdict in FINAL_VERDICTS and len(self):
            return now_s
        ready_at_s = self._ready_at_s(now_s)
        if ready_at_s == NEVER or (self.in_flight and self.in_flight >= self._pacer.connections):
            return NEVER
        due_at_s = self._pacer.next_due_s(now_s)
        if due_at_s is not None and self._awaits_retries:
            due_at_s = self._pacer.ends_s
        if due_at_s is None:
            due_at_s = now_s if self.is_requesting or self._outcomes else self._request_again_at_s
        return max(ready_at_s, due_at_s)

    @property
    def _awaits_retries(self) -> bool:
        """Whether only a retry is left, and other leases have what is left of the retry budget."""
        is_retry = not self._has_untried and bool(self._deferred) and _is_retry(self._deferred[0][2])
        return is_retry and not self.is_troubled and not self._pacer.retries_left() and self._pacer.may_retry_later

    def _ready_at_s(self, now_s: float) -> float:
        if self._has_untried or self._awaits_judgement:
            return now_s
        if not self._deferred or self._awaits_comparison:
            return NEVER
        at_s, _, work = self._deferred[0]
        return self._probe_at_s(at_s, work) if self.is_troubled else self._retry_at_s(at_s, work)


def _was_told(work: Work, now_s: float) -> bool:
    """Whether it was refused once, with a time that is over now."""
    if not isinstance(work, Row) or work.refusals != 1 or work.is_odd or work.is_retry or work.failure is None:
        return False
    return (work.failure.retry_after_s or 0.0) >= PROBE_AFTER_S and work.told_until_s <= now_s


def _is_retry(work: Work) -> bool:
    """Whether a request for it is charged to the retries: its last failure was its own."""
    return isinstance(work, Row) and work.is_retry
