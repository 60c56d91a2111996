"""The timeline of one server's budget: consecutive intervals, each owned by one holder.

GCRA (virtual scheduling, ITU-T I.371) keeps one timestamp, the theoretical arrival time; here a whole lease moves it at
once. A holder uses its permits whenever it likes within its interval, so the next holder starts where even the latest
use respects the budget: in any window of w seconds at most `w / interval_s + burst` permits are used.
"""

from __future__ import annotations

from dataclasses import dataclass

#: By which share of a lease its end is after its last permit's nominal time: time that a slow answer or a busy loop may
#: take before permits are lost. A change of holder costs the budget this share.
SLACK_SHARE = 0.05
MIN_SLACK_S = 0.005
MAX_SLACK_S = 0.5
#: The same for a holder that is alone, for which it is free: a task that serves hundreds of servers comes back to each
#: after tens of milliseconds, and with less slack its single permits would lapse one after the other (observed).
ALONE_SLACK_S = 0.3
#: A server measures arrivals, which vary (scheduling, connections): by 2 to 3 ms on two cores
#: (`benchmarks/politeness/README.md`). At the ceiling, requests are spaced wider by this much.
ARRIVAL_JITTER_S = 0.0025
#: Above about 25/s no margin separates a late request from an early one; it then bounds windows of a second.
FAST_MARGIN_RPS = 1.5
LEAST_FAST_MARGIN = 0.02


@dataclass(frozen=True, slots=True)
class Interval:
    """Permits that one holder may use from `first_s` to `end_s`, `burst` at once; `start_s` is their nominal start."""

    holder: str
    start_s: float
    first_s: float
    end_s: float
    permits: int
    interval_s: float
    burst: int
    serial: int


class LeaseTimeline:
    """Assigns a server's time, one interval after the other."""

    __slots__ = ("_chain_start_s", "_expires_s", "_free_s", "_last", "_others_expire_s", "_owed_s", "_serials")

    def __init__(self, not_before_s: float) -> None:
        self._free_s = not_before_s
        self._chain_start_s = not_before_s
        self._expires_s = self._others_expire_s = not_before_s
        self._owed_s = 0.0
        self._last: Interval | None = None
        self._serials = 0

    def next_serial(self) -> int:
        """A number that no lease of this server has had."""
        self._serials += 1
        return self._serials

    @property
    def expires_s(self) -> float:
        """The time from which every granted permit is used or has expired."""
        return max(self._free_s, self._expires_s)

    def earliest_s(self, holder: str) -> float:
        """When `holder` may use its next permit.

        A holder that follows itself loses no slack: it keeps the distance from its own last use (`LeasePacer`).
        """
        last = self._last
        if last is None or last.holder != holder:
            return self._free_s
        return last.start_s + last.permits * last.interval_s

    def reserve(  # noqa: PLR0913 - one interval has this many parts
        self, holder: str, permits: int, interval_s: float, burst: int, not_before_s: float, *, is_alone: bool = False
    ) -> Interval:
        """Assign the next interval to `holder`, from `not_before_s` at the earliest."""
        start_s = max(not_before_s, self.earliest_s(holder))
        if self._last is None or self._last.holder != holder:
            self._chain_start_s, self._others_expire_s = start_s, self._expires_s
        if is_alone and start_s >= self._others_expire_s + burst * interval_s:
            interval = self._alone(holder, permits, interval_s, burst, start_s + self._owed_s)
        else:
            interval = self._among_others(holder, permits, interval_s, burst, start_s)
        self._expires_s = max(self._expires_s, interval.end_s)
        self._last = interval
        return interval

    def _alone(self, holder: str, permits: int, interval_s: float, burst: int, start_s: float) -> Interval:
        end_s = start_s + max(0, permits - burst) * interval_s + ALONE_SLACK_S
        self._free_s = max(self._free_s, end_s + burst * interval_s)
        self._owed_s = 0.0
        return Interval(holder, start_s, start_s, end_s, permits, interval_s, burst, self.next_serial())

    def _among_others(self, holder: str, permits: int, interval_s: float, burst: int, start_s: float) -> Interval:
        """The budget's burst pays for lateness, which then costs the next holder nothing.

        Each use stands for a nominal moment, one every `interval_s`, and comes at most `burst - 1` distances after it:
        up to `at_once - 1` because the holder may use that many at once, the rest because its interval ends that much
        later. Alone, a holder uses its burst ahead of time; so one that was among others first waits for what lateness
        has used.
        """
        at_once = (burst + 1) // 2
        paid_s = (burst - at_once) * interval_s
        late_s = max(slack_s(permits, interval_s), min(paid_s, MAX_SLACK_S))
        last_s = start_s + (permits - 1) * interval_s
        self._free_s = max(self._free_s, last_s + interval_s + max(0.0, late_s - paid_s))
        first_s = start_s + min(permits, at_once) * interval_s - interval_s
        self._owed_s = (burst - 1) * interval_s
        return Interval(holder, start_s, first_s, last_s + late_s, permits, interval_s, at_once, self.next_serial())

    def release(self, holder: str, now_s: float) -> None:
        """`holder` will use nothing more of what it has: its time is returned if no later interval was assigned."""
        last = self._last
        if last is None or last.holder != holder:
            return
        if now_s <= self._chain_start_s:
            self._free_s = self._chain_start_s
        else:
            self._free_s = min(self._free_s, now_s + last.burst * last.interval_s)
        self._expires_s = max(self._others_expire_s, now_s)
        self._last = None


def spacing_s(ceiling_rps: float) -> float:
    """Distance between requests so that they arrive at no more than `ceiling_rps`."""
    margin = min(ARRIVAL_JITTER_S * ceiling_rps, max(LEAST_FAST_MARGIN, FAST_MARGIN_RPS / ceiling_rps))
    return (1 + margin) / ceiling_rps


def slack_s(permits: int, interval_s: float) -> float:
    """How long after its last permit's nominal time a lease ends."""
    return min(MAX_SLACK_S, max(MIN_SLACK_S, SLACK_SHARE * permits * interval_s))
