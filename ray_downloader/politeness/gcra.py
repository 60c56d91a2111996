"""The time line of one server's budget: consecutive intervals, each owned by one holder.

GCRA (virtual scheduling, ITU-T I.371) keeps one time stamp, the theoretical arrival time; here a whole lease moves
it at once. A holder uses its permits when it likes inside its interval, so the next holder starts where even the
latest use leaves the budget whole: in any window of w seconds at most `w / every_s + burst` permits are used.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Share of a lease that its end lies after its last permit's nominal time: what a slow answer or a busy loop may
#: cost before permits are lost. A change of holder costs the budget this share.
SLACK_SHARE = 0.05
MIN_SLACK_S = 0.005
MAX_SLACK_S = 0.5
#: The same for a holder that is alone, whom it costs nothing: a task that serves hundreds of servers comes back to each
#: after tens of milliseconds, and with less slack its single permits would lapse one after the other (seen).
ALONE_SLACK_S = 0.3


@dataclass(frozen=True, slots=True)
class Interval:
    """Permits that one holder may use from `start_s` to `end_s`."""

    holder: str
    start_s: float
    end_s: float
    permits: int
    every_s: float
    burst: int
    serial: int


class LeaseSchedule:
    """Hands out a server's time, one interval after the other."""

    __slots__ = ("_chain_start_s", "_free_s", "_last", "_serials")

    def __init__(self, not_before_s: float) -> None:
        self._free_s = not_before_s
        self._chain_start_s = not_before_s
        self._last: Interval | None = None
        self._serials = 0

    def next_serial(self) -> int:
        """A number that no lease of this server has had."""
        self._serials += 1
        return self._serials

    @property
    def free_s(self) -> float:
        """From when on any holder may start: every permit handed out so far is used or void by then."""
        return self._free_s

    def earliest_s(self, holder: str) -> float:
        """When `holder` may use its next permit.

        A holder that follows itself loses no slack: it keeps the distance to its own last use (`LeasePacer`).
        """
        last = self._last
        if last is None or last.holder != holder:
            return self._free_s
        return last.start_s + last.permits * last.every_s

    def reserve(  # noqa: PLR0913 - one interval has this many parts
        self, holder: str, permits: int, every_s: float, burst: int, not_before_s: float, *, is_alone: bool = False
    ) -> Interval:
        """Give `holder` the next interval, from `not_before_s` at the earliest."""
        start_s = max(not_before_s, self.earliest_s(holder))
        lapse_s = ALONE_SLACK_S if is_alone else slack_s(permits, every_s)
        end_s = start_s + max(0, permits - burst) * every_s + lapse_s
        if self._last is None or self._last.holder != holder:
            self._chain_start_s = start_s
        latest_arrival_s = min(end_s + burst * every_s, max(self._free_s, end_s) + permits * every_s)
        self._free_s = max(self._free_s, latest_arrival_s)
        self._last = Interval(holder, start_s, end_s, permits, every_s, burst, self.next_serial())
        return self._last

    def release(self, holder: str, now_s: float) -> None:
        """`holder` uses nothing any more of what it has: its time goes back where nobody has reserved after it."""
        last = self._last
        if last is None or last.holder != holder:
            return
        if now_s <= self._chain_start_s:
            self._free_s = self._chain_start_s
        else:
            self._free_s = min(self._free_s, now_s + last.burst * last.every_s)
        self._last = None


def slack_s(permits: int, every_s: float) -> float:
    """How long after its last permit's nominal time a lease ends."""
    return min(MAX_SLACK_S, max(MIN_SLACK_S, SLACK_SHARE * permits * every_s))
