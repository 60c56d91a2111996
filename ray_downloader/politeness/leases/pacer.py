"""The worker's side of a lease: when the next request to one server may go out.

Pure and single-threaded. It keeps the distance between uses across leases as well, lets no permit be used after the end
of its lease, and decides when to request again. See `Lease` for the moments from which its relative times count.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from ray_downloader.politeness.messages import Lease, Verdict

#: Part of a lease that is left when the next one is requested.
RENEW_AT = 1 / 3
#: A worker with transfers in flight reports at least this often (`holders.HOLDER_TIMEOUT_S`).
HEARTBEAT_S = 5.0
#: A lease that does not arrive within this time is requested again.
ANSWER_TIMEOUT_S = 10.0
#: Clocks are floats: a permit due in less than this is due.
_DUE_S = 1e-9


@dataclass(slots=True)
class _Window:
    first_s: float
    end_s: float
    permits: int
    granted: int
    interval_s: float
    burst: int
    serial: int


class LeasePacer:
    """Permits of one holder for one server."""

    __slots__ = (
        "_arrival_s",
        "_is_waiting",
        "_last_interval_s",
        "_request_again_s",
        "_requested_s",
        "_retries",
        "_windows",
        "lease",
    )

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self._windows: deque[_Window] = deque()
        self._arrival_s = float("-inf")
        self._last_interval_s = 0.0
        self._requested_s = float("-inf")
        self._request_again_s = float("-inf")
        self._is_waiting = False
        self._retries = 0

    @property
    def connections(self) -> int:
        """Requests that may be in flight at once."""
        return self.lease.connections if self.lease else 0

    def requested(self, now_s: float) -> None:
        """A `LeaseRequest` is sent now. The next one may be sent only when this one was answered."""
        self._requested_s, self._is_waiting = now_s, True

    def granted(self, lease: Lease, now_s: float) -> None:
        """Its answer arrived. A lease that was granted again replaces its first copy; a pause ends them all."""
        self._is_waiting = False
        if lease.verdict is not Verdict.OPEN:
            self._windows.clear()
        if not lease.permits:
            self._request_again_s = now_s + lease.request_again_in_s
            if self.lease is None or not self.left(now_s):
                self.lease = lease
            return
        self.lease, self._retries, self._request_again_s = lease, lease.retries, float("-inf")
        first_s, end_s = now_s + lease.first_in_s, self._requested_s + lease.valid_s
        if self._windows and self._windows[-1].serial == lease.serial:
            self._windows.pop()
        self._windows.append(
            _Window(first_s, end_s, lease.permits, lease.permits, lease.interval_s, lease.burst, lease.serial)
        )

    def take(self, now_s: float, is_retry: bool = False) -> bool:
        """Use one permit, if one is due. True means: send the request now."""
        if is_retry and not self._retries:
            return False
        due_s = self.next_due_s(now_s)
        if due_s is None or due_s > now_s + _DUE_S:
            return False
        window = self._windows[0]
        window.permits -= 1
        self._retries -= is_retry
        self._arrival_s = max(now_s, self._arrival_s) + window.interval_s
        self._last_interval_s = window.interval_s
        return True

    def went_out(self, sent_s: float) -> None:
        """The last use took effect only at `sent_s`, as a connection had to be made: the distance counts from there."""
        self._arrival_s = max(self._arrival_s, sent_s + self._last_interval_s)

    def next_due_s(self, now_s: float) -> float | None:
        """When the next permit can be used (a time not after `now_s`: at once); None: none is left."""
        while self._windows:
            window = self._windows[0]
            due_s = self._due_s(window)
            if window.permits and max(due_s, now_s) <= window.end_s:
                return due_s
            self._windows.popleft()
        return None

    def left(self, now_s: float) -> int:
        """Permits that can still be used, as far as time allows."""
        return sum(self._usable(window, now_s) for window in self._windows)

    @property
    def ends_s(self) -> float:
        """When the last permit cannot be used any more."""
        return self._windows[-1].end_s if self._windows else float("-inf")

    def retries_left(self) -> int:
        """Permits that may go to retries."""
        return self._retries

    @property
    def may_retry_later(self) -> bool:
        """Whether a later lease may allow retries, if this one allows no more."""
        return self.lease is not None and self.lease.may_retry_later

    def needs_renewal(self, now_s: float, waiting: int, in_flight: int = 0) -> bool:
        """Whether to request now.

        Args:
            now_s: Monotonic time of this worker.
            waiting: Requests that wait for a permit.
            in_flight: Requests in flight; while there are any, a sign of life is due from time to time.
        """
        if self._is_waiting:
            return now_s - self._requested_s >= ANSWER_TIMEOUT_S
        if in_flight and now_s - self._requested_s >= HEARTBEAT_S:
            return True
        left = self.left(now_s)
        if now_s < self._request_again_s or waiting <= left:
            return False
        return not left or self._is_nearly_over(now_s)

    def next_request_s(self, now_s: float, waiting: int, in_flight: int = 0) -> float:
        """When it will be time to request, if nothing happens before; infinite if it will not be.

        All permits may be used and their connections busy for minutes, although more can be granted.
        """
        heartbeat_s = self._requested_s + HEARTBEAT_S if in_flight else math.inf
        wants_more = waiting > 0 and not self.left(now_s)
        return min(heartbeat_s, self._request_again_s) if wants_more else heartbeat_s

    def give_back(self) -> int:
        """Drop every permit and return how many there were: `LeaseRequest.unused` of the request to send next."""
        unused = sum(window.permits for window in self._windows)
        self._windows.clear()
        self._retries = 0
        return unused

    def _is_nearly_over(self, now_s: float) -> bool:
        last = self._windows[-1]
        if now_s < last.first_s:
            return False
        time_left_s, length_s = last.end_s - now_s, last.end_s - last.first_s
        return last.permits <= RENEW_AT * last.granted or time_left_s <= RENEW_AT * length_s

    def _due_s(self, window: _Window) -> float:
        return max(window.first_s, self._arrival_s - (window.burst - 1) * window.interval_s)

    def _usable(self, window: _Window, now_s: float) -> int:
        start_s = max(now_s, self._due_s(window))
        if start_s > window.end_s:
            return 0
        if not window.interval_s:
            return window.permits
        in_time = int((window.end_s - start_s) / window.interval_s + _DUE_S) + window.burst
        return min(window.permits, in_time)
