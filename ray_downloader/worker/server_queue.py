"""The rows of one budget that a task holds: what is to be fetched, when, and what is known of the budget.

Plain state without clock or network: the worker loop asks it which job may start now and when to look again.
A retry is a job that waits for its time; fresh jobs go first only while no retry is due.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count

from ray_downloader.politeness.leases.pacer import LeasePacer
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, Verdict
from ray_downloader.politeness.server.incidents import is_throttled
from ray_downloader.worker.batch_work import Job
from ray_downloader.worker.robots_gate import RobotsRequest

#: Progress is told at least this often, so that a pause or drain reaches a task as fast.
REPORT_INTERVAL_S = 1.0
#: How much longer than its due time a request waits for the one before it to get its connection.
MOST_CONNECTING_S = 0.025
NEVER = float("inf")


class BudgetQueue:
    """Jobs of one budget in one task.

    Args:
        budget: Key of the budget.
        holder: Name under which this task asks for leases.
    """

    def __init__(self, budget: str, holder: str) -> None:
        self.budget = budget
        self.in_flight = 0
        self.verdict = Verdict.OPEN
        #: Whether a 403 is a throttled answer of the server now, and not an answer about the file.
        self.is_403_ban = False
        #: Crawl-delay that the server's robots.txt asks for.
        self.crawl_delay_s: float | None = None
        #: Whether a lease was asked for that has not come yet.
        self.is_requesting = False
        self._request_again_at_s = 0.0
        #: Earliest time at which it can do something; the loop skips it before.
        self.wake_at_s = 0.0
        self._holder = holder
        self._fresh: deque[Job | RobotsRequest] = deque()
        self._retries: list[tuple[float, int, Job]] = []
        self._order = count()
        self._pacer = LeasePacer()
        self._reported_at_s = 0.0
        self._outcomes: list[tuple[float, Outcome]] = []
        self._unused = 0
        self._unsent = 0
        self._started_at_s = 0.0
        self._awaits_stale_lease = False

    def __len__(self) -> int:
        return len(self._fresh) + len(self._retries)

    def add(self, job: Job) -> None:
        """Enter a job that may be fetched at once."""
        self._fresh.append(job)
        self.wake_at_s = 0.0

    def add_first(self, robots_request: RobotsRequest) -> None:
        """Enter what other jobs of the server wait for."""
        self._fresh.appendleft(robots_request)
        self.wake_at_s = 0.0

    def add_retry(self, job: Job, at_s: float) -> None:
        """Enter a job that may be fetched from `at_s` on."""
        heapq.heappush(self._retries, (at_s, next(self._order), job))
        self.wake_at_s = 0.0

    def take_due(self, now_s: float) -> Job | RobotsRequest | None:
        """A job that the budget lets start now; its permit and connection are spent."""
        if self.in_flight >= self._pacer.connections or self._is_connecting(now_s):
            return None
        is_retry = bool(self._retries) and self._retries[0][0] <= now_s and self._pacer.retries_left() > 0
        if not (is_retry or self._fresh) or not self._pacer.take(now_s, is_retry=is_retry):
            return None
        self.in_flight += 1
        self._unsent += 1
        self._started_at_s = now_s
        return heapq.heappop(self._retries)[2] if is_retry else self._fresh.popleft()

    def _is_connecting(self, now_s: float) -> bool:
        """Whether the last request may still have to go out: the next would come too close behind it.

        It is waited for a moment only, or a server that makes each request connect anew would be asked too seldom.
        """
        interval_s = self._pacer.lease.interval_s if self._pacer.lease else 0.0
        return self._unsent > 0 and now_s < self._started_at_s + interval_s + min(interval_s, MOST_CONNECTING_S)

    def went_out(self, sent_s: float | None) -> None:
        """A request that was started has been sent, or failed before that (None)."""
        self._unsent -= 1
        if sent_s is not None:
            self._pacer.went_out(sent_s)
        self.wake_at_s = 0.0

    def take_abandoned(self, now_s: float) -> list[Job | RobotsRequest]:
        """Jobs that will not be fetched: all where the verdict says so, retries where their budget is spent.

        A retry is given up only when it is due and nothing else is left here, as fresh successes earn further retries.
        """
        if self.verdict in {Verdict.DEAD, Verdict.OPTED_OUT, Verdict.BANNED}:
            jobs = [*self._fresh, *(job for _, _, job in self._retries)]
            self._fresh.clear()
            self._retries.clear()
            return jobs
        is_refused = self._pacer.left(now_s) > 0 and not self._pacer.retries_left()
        if is_refused and self._retries and self._retries[0][0] <= now_s and not self._fresh and not self.in_flight:
            return [heapq.heappop(self._retries)[2]]
        return []

    def finished(self, outcome: Outcome, now_s: float) -> None:
        """A request ended."""
        self.in_flight -= 1
        self._outcomes.append((now_s, outcome))
        if is_throttled(outcome.kind, outcome.http_status):
            # The server says stop: no permit of before is used after that, nor one that is on its way.
            self._unused += self._pacer.give_back()
            self._awaits_stale_lease = self.is_requesting
        self.wake_at_s = 0.0

    def request(self, now_s: float) -> LeaseRequest | None:
        """What to ask or tell the budget now, if anything."""
        if self.is_requesting or not self._has_reason_to_request(now_s):
            return None
        self.is_requesting = True
        self._pacer.asked(now_s)
        return self._message(now_s, wanted=self._wanted(now_s), in_flight=self.in_flight)

    def last_request(self, now_s: float) -> LeaseRequest:
        """Gives everything back, as the task ends."""
        self._unused += self._pacer.give_back()
        return self._message(now_s, wanted=0, in_flight=0)

    def _message(self, now_s: float, wanted: int, in_flight: int) -> LeaseRequest:
        self._reported_at_s = now_s
        unused, self._unused = self._unused, 0
        outcomes = tuple(outcome.aged(now_s - at_s) for at_s, outcome in self._outcomes)
        self._outcomes.clear()
        return LeaseRequest(self.budget, self._holder, wanted, in_flight, unused, outcomes, self.crawl_delay_s)

    def _has_reason_to_request(self, now_s: float) -> bool:
        if self._pacer.needs_renewal(now_s, self._wanted(now_s), self.in_flight):
            return True
        return bool(self._outcomes) and (
            self._waits_for_news(now_s) or now_s >= self._reported_at_s + REPORT_INTERVAL_S
        )

    def _waits_for_news(self, now_s: float) -> bool:
        """Whether what comes next hangs on what the budget makes of the outcomes (throttled, or a probe's)."""
        return self._unused > 0 or (not self.in_flight and not self._pacer.left(now_s))

    def _wanted(self, now_s: float) -> int:
        due_retries = sum(at_s <= now_s + REPORT_INTERVAL_S for at_s, _, _ in self._retries)
        return len(self._fresh) + due_retries

    def granted(self, lease: Lease, now_s: float) -> None:
        """The budget's answer."""
        self.is_requesting = False
        self.verdict = lease.verdict
        self.is_403_ban = lease.is_403_ban
        self._pacer.granted(lease, now_s)
        if self._awaits_stale_lease:
            self._awaits_stale_lease = False
            self._unused += self._pacer.give_back()
        self._request_again_at_s = now_s + (lease.request_again_in_s if not lease.permits else 0.0)
        self.wake_at_s = 0.0

    def next_wake_s(self, now_s: float) -> float:
        """When the loop is to look at it again, given that nothing happens before (an answer, a result, a job)."""
        report_at_s = self._reported_at_s + REPORT_INTERVAL_S if self._outcomes and not self.is_requesting else NEVER
        return min(
            report_at_s, NEVER if self.is_requesting and not self._pacer.left(now_s) else self.next_start_s(now_s)
        )

    def next_start_s(self, now_s: float) -> float:
        """When a request could start at the earliest, as far as is known; `NEVER` where no job waits for it."""
        ready_at_s = now_s if self._fresh else self._retries[0][0] if self._retries else NEVER
        if ready_at_s == NEVER or (self.in_flight and self.in_flight >= self._pacer.connections):
            return NEVER
        due_at_s = self._pacer.next_due_s(now_s)
        if due_at_s is None:
            due_at_s = now_s if self.is_requesting or self._outcomes else self._request_again_at_s
        return max(ready_at_s, due_at_s)
