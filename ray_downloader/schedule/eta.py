"""How long a run takes: before it from planned rates, during it from learned and measured ones. Pure.

One rule for the plan, the live view, `status` and the report: the time left is the larger of the slowest budget's and
the throughput's. Servers of a group share one budget, so their rows add up.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Rates are measured over this share of the time so far, but over no less than `LEAST_WINDOW_S`.
WINDOW_SHARE = 1 / 3
LEAST_WINDOW_S = 15.0
#: How many samples a window holds: enough that its length is about right, few enough for 10^5 budgets.
SAMPLES = 8
#: A measured rate counts as much as the expected one when it was measured with so many rows.
PRIOR_ROWS = 5
#: From so many pauses on, pauses are how a server is; the last few of them are looked at. Fewer may have been chance:
#: as many as there were, less `CHANCE_PAUSES`, are expected to come again in as much time.
SEVERAL_PAUSES = 3
CHANCE_PAUSES = 0.5
LAST_PAUSES = 4
#: A server that was not paused for so many times its usual interval between pauses is over it.
QUIET_INTERVALS = 2.0


@dataclass(frozen=True, slots=True)
class BudgetLoad:
    """What is left to do for one budget.

    Args:
        budget: A server, or a group.
        rows: Rows left.
        rate_rps: Rows/s that it is expected to allow; infinite if there is no limit.
        wait_s: How long it gets no request at all from now.
        is_last: Whether its rows are given up after `wait_s` in which the run is idle (a server in trouble).
        is_busy: Whether the run is not idle until its rows are settled; it is while a server pauses.
    """

    budget: str
    rows: int
    rate_rps: float
    wait_s: float = 0.0
    is_last: bool = False
    is_busy: bool = True

    @property
    def eta_s(self) -> float:
        """Seconds until its last row is settled."""
        return self.wait_s + (self.rows / self.rate_rps if self.rows else 0.0)


def eta_s(loads: Iterable[BudgetLoad], throughput_rps: float) -> float:
    """Seconds until the last row of all budgets is settled.

    Args:
        loads: What is left, by budget.
        throughput_rps: Rows/s that all of them together can reach.
    """
    slowest_s = busy_s = last_s = 0.0
    rows = 0
    for load in loads:
        if load.is_last:
            last_s = max(last_s, load.wait_s)
            continue
        slowest_s = max(slowest_s, load.eta_s)
        if load.is_busy:
            busy_s = max(busy_s, load.eta_s)
            rows += load.rows
    busy_s = max(busy_s, rows / throughput_rps if rows else 0.0)
    return max(slowest_s, busy_s + last_s)


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    rows: Mapping[str, int]
    paused_s: Mapping[str, float]
    total: int


class MeasuredRates:
    """Rows/s of each budget and of the whole run, measured over the recent past.

    A budget's rate is that while it may get requests, as the rate that is learned from a pause makes the next one
    less likely; pauses that have come lower it by as much as they may cost again. A budget that is paused again and
    again has a rate that includes its pauses: from one of them to another.

    Args:
        now_s: When the run started; monotonic, as all times here.
    """

    def __init__(self, now_s: float) -> None:
        self._started_s = now_s
        self._samples: deque[_Sample] = deque([_Sample(now_s, {}, {}, 0)])
        self._latest = self._samples[0]
        #: When each budget had its first row settled.
        self._first_s: dict[str, float] = {}
        self._paused_s: dict[str, float] = {}
        #: For how long each budget could get requests before its latest pause.
        self._open_before_pause_s: dict[str, float] = {}
        #: When pauses began, and how many rows were settled then.
        self._pauses: dict[str, deque[tuple[float, int]]] = {}
        #: The best speed of the whole run so far, in rows/s: what all together can reach; None if no row came.
        self.throughput_rps: float | None = None

    def note(self, rows: Mapping[str, int], total: int, paused: Iterable[str], now_s: float) -> None:
        """Record how far the run is.

        Args:
            rows: How many rows this run has settled so far of each budget that is not finished.
            total: And of all budgets.
            paused: Budgets that get no request now.
        """
        self._note_pauses(rows, paused, now_s)
        for budget in rows.keys() - self._first_s.keys():
            # Its first rows came somewhere between the last two looks.
            self._first_s[budget] = (self._latest.at_s + now_s) / 2
        self._latest = _Sample(now_s, dict(rows), dict(self._paused_s), total)
        since = self._samples[0]
        if self._latest.total > since.total and now_s > since.at_s:
            speed_rps = (self._latest.total - since.total) / (now_s - since.at_s)
            self.throughput_rps = max(self.throughput_rps or 0.0, speed_rps)
        window_s = max(LEAST_WINDOW_S, (now_s - self._started_s) * WINDOW_SHARE)
        if now_s - self._samples[-1].at_s >= window_s / SAMPLES:
            self._samples.append(self._latest)
        while len(self._samples) > 1 and self._samples[1].at_s <= now_s - window_s:
            self._samples.popleft()

    def _note_pauses(self, rows: Mapping[str, int], paused: Iterable[str], now_s: float) -> None:
        """Pauses with hardly a row between them are one."""
        for budget in paused:
            paused_s = self._paused_s.get(budget, 0.0)
            self._open_before_pause_s[budget] = self._latest.at_s - self._started_s - paused_s
            self._paused_s[budget] = paused_s + now_s - self._latest.at_s
            pauses = self._pauses.setdefault(budget, deque(maxlen=LAST_PAUSES))
            if not pauses or rows.get(budget, 0) >= pauses[-1][1] + PRIOR_ROWS:
                pauses.append((now_s, rows.get(budget, 0)))

    def of(self, budget: str, expected_rps: float) -> float:
        """Rows/s of a budget.

        Args:
            expected_rps: What is expected of it as long as little was measured; infinite if there is no limit.
        """
        with_pauses_rps = self._with_pauses(budget)
        if with_pauses_rps is not None:
            return with_pauses_rps
        since = self._samples[0]
        seconds = self._latest.at_s - max(since.at_s, self._first_s.get(budget, math.inf))
        seconds -= self._latest.paused_s.get(budget, 0.0) - since.paused_s.get(budget, 0.0)
        if seconds <= 0:
            return expected_rps
        rows = self._latest.rows.get(budget, 0) - since.rows.get(budget, 0)
        return (rows + PRIOR_ROWS) / (seconds + PRIOR_ROWS / expected_rps) / (1 + self._pause_to_come(budget))

    def is_often_paused(self, budget: str) -> bool:
        """Whether a budget is paused again and again."""
        return self._with_pauses(budget) is not None

    def _pause_to_come(self, budget: str) -> float:
        """Seconds for which a budget with few pauses will be paused for each second in which it may get requests."""
        count = len(self._pauses.get(budget, ()))
        if not 0 < count < SEVERAL_PAUSES:
            return 0.0
        paused_s = self._paused_s.get(budget, 0.0)
        open_s = self._latest.at_s - self._started_s - paused_s
        before_s = self._open_before_pause_s.get(budget, 0.0)
        if before_s <= 0 or open_s - before_s > QUIET_INTERVALS * before_s / count:
            return 0.0
        return (count - CHANCE_PAUSES) / open_s * paused_s / count

    def _with_pauses(self, budget: str) -> float | None:
        """Rows/s of a budget that is paused again and again, its pauses included; None for any other."""
        pauses = list(self._pauses.get(budget, ()))
        if len(pauses) < SEVERAL_PAUSES:
            return None
        (first_s, first_rows), (last_s, last_rows) = pauses[0], pauses[-1]
        interval_s = (last_s - first_s) / (len(pauses) - 1)
        is_over = self._latest.at_s - last_s > QUIET_INTERVALS * interval_s
        return None if is_over else (last_rows - first_rows) / (last_s - first_s)
