"""The rate of requests to a server: learned, settled, and never above its ceiling.

Three gears, each moved only by successes, and only while the rate is really used: slow start up to 0.95 of the limit
that the last incident showed (`limit_fit`); a long plateau up to that limit; then gently beyond it, as limits may rise.
An incident halves the rate. The plateau doubles each time an incident confirms the limit, so the rate settles. For a
costly incident (a pause of a minute, and the next one doubled), the estimate is careful at once, and the way back takes
longer than the half hour after which the incident is forgiven.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ray_downloader.politeness.server.goodput import MIN_SUCCESSES, GoodputMeter
from ray_downloader.politeness.server.latency import LatencySign, Load
from ray_downloader.politeness.server.limit_fit import LimitFit
from ray_downloader.politeness.server.noise import MIN_ANSWERED, RefusalNoise

#: Slow start: a doubling takes at least this long at full use, and at least this many successes.
DOUBLING_S = 0.7
DOUBLING_SUCCESSES = 8
#: After an incident the way back is known, and hence faster.
RECOVERY_S = 0.3
#: The plateau (as in CUBIC, RFC 9438) starts at this share of the remembered rate ...
PLATEAU_SHARE = 0.95
#: ... and takes at least this long and this many successes, so that incidents stay below a few in 1,000 images.
PLATEAU_S = 60.0
PLATEAU_SUCCESSES = 1000
MAX_PLATEAU_FACTOR = 16
#: At rates far below one per second this many successes would take hours: no gear needs more than come in this time.
MOST_DOUBLING_S = 30.0
MOST_PLATEAU_S = 3600.0
MOST_PROBING_S = 600.0
LEAST_SUCCESSES = 2
#: Beyond the remembered rate, a doubling takes at least this long.
PROBING_S = 20.0
PROBING_SUCCESSES = 200
#: An incident multiplies the rate by this (AIMD; TCP's classic half).
BACK_OFF = 0.5
#: An incident this close to the remembered rate confirms it.
CONFIRMS_WITHIN = 0.2
#: Congestion window validation (RFC 7661): a rate of which less than this share is used is no evidence, and stays.
USED_SHARE = 0.5
#: Less than this share, after pauses and failures, is no measurement of a limit (slow start asks for twice as much).
MEASURING_SHARE = 0.25
#: The factor applied after a window of high times to first byte.
LATENCY_BACK_OFF = 0.95
#: One request per minute: the shortest pause of a headerless back-off. Longer waits are pauses, not rates.
MIN_RATE_RPS = 1 / 60
#: A measured rate is below the intended one by the cost of changes of holders (`timeline.SLACK_SHARE`).
MEASURED_TO_ASKED = 1.05
#: Incidents closer together than this form a series; each moves the estimate this much towards the lower bound.
IN_A_ROW_S = 30.0
DEEPER_BY = 0.25
#: An incident with a pause of at least this is costly: no `Retry-After` (60 s and more), or a long one.
COSTLY_PAUSE_S = 30.0
#: The plateau after the first costly incident, whose estimate is a guess that is often too low, and after further ones:
#: 40 minutes, so that the limit is reached again only when the incident is forgiven (`backoff.FORGIVEN_AFTER_S`).
#: Chosen by an hour of virtual time for bare 429s from buckets of 1, 5, 30 and 300 (`benchmarks/politeness/README.md`).
FIRST_COSTLY_PLATEAU_FACTOR = 2
COSTLY_PLATEAU_FACTOR = 40
#: Beyond the remembered rate it then rises this much more slowly, as any overshoot inflates the estimate.
COSTLY_PROBING_FACTOR = 10
#: The estimate after a costly incident is this share of a rate with enough successes behind it, or of the fitted one.
PROVEN_SHARE = 0.97
PROVEN_SUCCESSES = 1000
#: Trouble that is not known to be about the rate slows down to no less than this.
LEAST_SUSPECT_RPS = 0.5
#: Refusals after fewer answers than this are not taken as the limit, unless there are this many in a row.
MOST_INEXPLICABLE = 6
#: At most this much of a pause counts as time in which the server's bucket was refilled.
REFILL_S = 2.0
#: Answers without a file that are compared with refusals.
OTHERS_COMPARED = 64
#: Incidents that are forgotten once refusals turn out to be noise (`noise.py`).
MOST_TAKEN_BACK = 16


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was known before an incident, in case the incident turns out to have been something else."""

    rate_rps: float
    incident_rps: float | None
    plateau_factor: int
    was_costly: bool
    in_a_row: int
    incident_s: float
    goodput: GoodputMeter
    sent_s: float
    at_s: float
    may_be_noise: bool


class AdaptiveRate:
    """One server's rate.

    Args:
        start_rps: Starting rate.
        ceiling_rps: Never exceeded.
        now_s: Monotonic time.
    """

    __slots__ = (
        "_ceiling_rps",
        "_fit",
        "_goodput",
        "_in_a_row",
        "_incident_s",
        "_inexplicable",
        "_is_hearsay",
        "_judges_s",
        "_latency",
        "_other_answers_s",
        "_refines_s",
        "_refused_rps",
        "_taught",
        "_way_back_rps",
        "incident_rps",
        "noise",
        "plateau_factor",
        "rate_rps",
        "was_costly",
    )

    def __init__(self, start_rps: float, ceiling_rps: float, now_s: float) -> None:
        self.rate_rps = min(start_rps, ceiling_rps)
        self.incident_rps: float | None = None
        self._ceiling_rps = ceiling_rps
        self.plateau_factor = 1
        self._in_a_row = 0
        self._inexplicable = 0
        self._incident_s = -math.inf
        self._goodput = GoodputMeter(now_s)
        self._fit = LimitFit()
        self._refines_s = self._judges_s = math.inf
        #: When requests were sent to which the answer was that there is no file: not refused either.
        self._other_answers_s: deque[float] = deque(maxlen=OTHERS_COMPARED)
        self._refused_rps = self.rate_rps
        self.was_costly = False
        self.noise = RefusalNoise()
        self._way_back_rps = 0.0
        #: Whether the limit is one that an earlier process learned: of what, nobody knows any more.
        self._is_hearsay = False
        self._taught: deque[Lesson] = deque(maxlen=MOST_TAKEN_BACK)
        self._latency = LatencySign()

    @property
    def is_settled(self) -> bool:
        """Whether the rate moves slowly, so that leases may be long."""
        return self.rate_rps >= self._slow_start_ends_rps

    @property
    def _is_proven(self) -> bool:
        return self._goodput.successes >= PROVEN_SUCCESSES

    @property
    def _slow_start_ends_rps(self) -> float:
        remembered_rps = self._ceiling_rps if self.incident_rps is None else self.incident_rps * PLATEAU_SHARE
        return min(self._ceiling_rps, remembered_rps)

    def cap(self, ceiling_rps: float) -> None:
        """Apply another ceiling."""
        self._ceiling_rps = ceiling_rps
        self.rate_rps = min(self.rate_rps, ceiling_rps)
        self._way_back_rps = min(self._way_back_rps, ceiling_rps)

    def resume(
        self, rate_rps: float, incident_rps: float | None, plateau_factor: int = 1, *, was_costly: bool = False
    ) -> None:
        """Continue with what was learned before: the rate, the limit, how certain it is and what an incident costs."""
        self.rate_rps = min(rate_rps, self._ceiling_rps)
        self.incident_rps = incident_rps
        self.plateau_factor, self.was_costly = plateau_factor, was_costly
        self._is_hearsay = incident_rps is not None

    def on_success(self, at_s: float, ttfb_s: float | None) -> None:
        """Count a delivered file: the only event that may raise the rate."""
        self._goodput.add(at_s)
        sent_s = at_s - (ttfb_s or 0.0)
        if sent_s >= self._judges_s:
            self._judge()
        if sent_s >= self._refines_s:
            self._refine()
        self._fit.answered(sent_s)
        if ttfb_s is not None and self._latency.add(ttfb_s) and self._latency.load is Load.HIGH:
            self.rate_rps = max(min(self.rate_rps, MIN_RATE_RPS), self.rate_rps * LATENCY_BACK_OFF)
        measured_rps = self._goodput.recent_rps()
        is_used = measured_rps is None or measured_rps >= USED_SHARE * self.rate_rps
        if is_used and self._latency.load is Load.NORMAL:
            self._rise()

    def on_answer(self, sent_s: float) -> None:
        """Count an answer that is neither a file nor a refusal: it raises nothing, but its pace was not refused."""
        if sent_s >= self._judges_s:
            self._judge()
        self._other_answers_s.append(sent_s)

    def on_incident(
        self,
        now_s: float,
        resumes_s: float,
        sent_s: float | None = None,
        *,
        may_be_url: bool = False,
        may_be_noise: bool = True,
    ) -> Lesson:
        """The server throttled us: remember the rate, and halve it. Returns what was known before.

        Slow start may request twice what is delivered, so half of that already is the way back. `may_be_url`: the
        server did not say how long to wait, so it may have refused that URL and not the rate.
        """
        sent_s = now_s if sent_s is None else sent_s
        lesson = Lesson(
            self.rate_rps, self.incident_rps, self.plateau_factor, self.was_costly, self._in_a_row,
            self._incident_s, self._goodput.copy(), sent_s, now_s, may_be_noise,
        )  # fmt: skip
        if may_be_noise:
            self.noise.refused(sent_s)
            self._judges_s = resumes_s
        if may_be_noise and self.noise.is_noise:
            self._slow_down_for_a_moment()
            self._goodput.restart(now_s, resumes_s)
            return lesson
        self._taught.append(lesson)
        self._fit.refused(sent_s)
        before_rps, is_first, is_proven = self.rate_rps, self.incident_rps is None, self._is_proven
        is_costly, is_measured = resumes_s - now_s >= COSTLY_PAUSE_S, self._is_measured
        if may_be_url and not is_costly and self._is_inexplicable():
            self._slow_down()
            return lesson
        limit_rps = self._careful_estimate_rps(now_s) if is_costly else self._limit_estimate_rps(now_s)
        self.plateau_factor = self._next_plateau_factor(limit_rps, is_costly)
        self._remember(limit_rps, now_s)
        halved_rps = max(BACK_OFF * limit_rps, min(BACK_OFF * self.rate_rps, PLATEAU_SHARE * limit_rps))
        self.rate_rps = min(self.rate_rps, max(halved_rps, MIN_RATE_RPS))
        self._goodput.restart(max(now_s, resumes_s - REFILL_S), resumes_s)
        is_final = not is_measured or (is_costly and (is_first or is_proven))
        self._refines_s = math.inf if is_final else resumes_s
        self._refused_rps, self.was_costly = before_rps, is_costly
        return lesson

    @property
    def _is_measured(self) -> bool:
        """Whether enough of the rate was used lately; slow files and failures say nothing about a limit."""
        recent_rps = self._goodput.recent_rps()
        return recent_rps is not None and recent_rps >= MEASURING_SHARE * self.rate_rps

    def _is_inexplicable(self) -> bool:
        """A refusal right after the last one, at half the rate that was served before: it may be about a URL.

        Several in a row are believed: the limit is much lower now.
        """
        self._inexplicable = self._inexplicable + 1 if self._goodput.successes < MIN_SUCCESSES else 0
        return self.incident_rps is not None and 0 < self._inexplicable <= MOST_INEXPLICABLE

    def on_trouble(self, now_s: float, resumes_s: float) -> None:
        """The server is in trouble that says nothing about a limit; what it delivers is measured from its end on."""
        self._slow_down()
        self._goodput.restart(max(now_s, resumes_s - REFILL_S), resumes_s)

    def on_recovery(self, sent_s: float) -> None:
        """A request that was sent then was the first to be served after trouble.

        A probe may have ended a long pause early, and what the pause was to wait for need not wait any longer.
        """
        self._goodput.resume(sent_s, REFILL_S)
        self._judges_s, self._refines_s = (
            min(planned_s, sent_s) if math.isfinite(planned_s) else planned_s
            for planned_s in (self._judges_s, self._refines_s)
        )

    def _slow_down(self) -> None:
        """Possibly we are the reason: halve the rate, and learn nothing about the limit."""
        self.rate_rps = max(min(self.rate_rps, LEAST_SUSPECT_RPS), BACK_OFF * self.rate_rps)

    def _slow_down_for_a_moment(self) -> None:
        """A refusal that says nothing about the rate: halve it, but not again and again before it is back."""
        self._way_back_rps = max(self._way_back_rps, self.rate_rps)
        self.rate_rps = min(self.rate_rps, BACK_OFF * self._way_back_rps)

    def unlearn(self, lesson: Lesson) -> None:
        """The refusal was not about the rate: back to before, except that increases earned by successes stay."""
        self.noise.was_not_refused(lesson.sent_s)
        if lesson in self._taught:
            self._taught.remove(lesson)
        self._take_back(lesson, lesson.rate_rps)

    def _take_back(self, lesson: Lesson, rate_rps: float) -> None:
        self._fit.was_not_refused(lesson.sent_s)
        self.rate_rps = min(max(self.rate_rps, rate_rps), self._ceiling_rps)
        self.incident_rps, self.plateau_factor = lesson.incident_rps, lesson.plateau_factor
        self.was_costly = lesson.was_costly
        self._in_a_row, self._incident_s = lesson.in_a_row, lesson.incident_s

    def learn_with_care(self, lesson: Lesson, resumes_s: float) -> Lesson:
        """The last incident causes a long pause after all: repeat it with a careful estimate."""
        self.unlearn(lesson)
        self._goodput = lesson.goodput
        return self.on_incident(lesson.at_s, resumes_s, lesson.sent_s, may_be_noise=lesson.may_be_noise)

    def _judge(self) -> None:
        """The same for whether the refusal was about the rate; if not, it is taken back, and the way back is fast."""
        self._judges_s = math.inf
        is_explained = self.noise.judge(self._compared_s())
        if is_explained is None:
            return
        if self.noise.is_noise:
            self._is_hearsay |= not self._taught  # what is left of earlier lessons, which seemed certain
            self.take_back_all()
        elif not self._taught:
            return
        elif not is_explained:
            self._refines_s = math.inf
            lesson = self._taught.pop()
            self._take_back(lesson, BACK_OFF * lesson.rate_rps)
        elif self.noise.is_certainly_none:
            self._taught.clear()
            self._is_hearsay = False

    def _compared_s(self) -> Sequence[float]:
        """When requests were sent that were answered.

        Where hardly a file came, other answers count, too; else not, as a limit may not apply to them.
        """
        answered_s = self._fit.answered_s
        if len(answered_s) >= MIN_ANSWERED:
            return answered_s
        return sorted([*answered_s, *self._other_answers_s])

    def take_back_all(self) -> None:
        """The last refusals were not about the rate: what they taught is forgotten, and the way back is fast.

        So is a limit that was learned before a restart: the refusals that taught it were of the same kind, most likely.
        """
        if self._taught:
            self._way_back_rps = max(lesson.rate_rps for lesson in self._taught)
            for lesson in self._taught:
                self._fit.was_not_refused(lesson.sent_s)
            first = self._taught[0]
            self._taught.clear()
            self._refines_s = math.inf
            self._take_back(first, BACK_OFF * first.rate_rps)
        if self._is_hearsay:
            self.incident_rps, self.plateau_factor, self.was_costly = None, 1, False
            self._is_hearsay = False

    def _refine(self) -> None:
        """After the pause all holders have reported what was answered before it: now the limit can be fitted."""
        self._refines_s = math.inf
        limit_rps = self._fit.limit_rps(self._refused_rps, is_careful=self.was_costly)
        if limit_rps is not None:
            share = PROVEN_SHARE if self.was_costly else 1.0
            self.incident_rps = max(share * limit_rps, MIN_RATE_RPS)
            self.rate_rps = min(self.rate_rps, self._slow_start_ends_rps)

    def _rise(self) -> None:
        rate_rps, remembered_rps = self.rate_rps, self.incident_rps
        if rate_rps < self._slow_start_ends_rps:
            is_known = remembered_rps is not None or rate_rps < self._way_back_rps
            doubling_s = RECOVERY_S if is_known else DOUBLING_S
            successes = max(LEAST_SUCCESSES, min(DOUBLING_SUCCESSES, MOST_DOUBLING_S * rate_rps))
            raised_rps = rate_rps * _growth(rate_rps, doubling_s, successes)
            raised_rps = min(raised_rps, self._slow_start_ends_rps)
        elif remembered_rps is not None and rate_rps < remembered_rps:
            steps = self.plateau_factor * max(PLATEAU_S * rate_rps, min(PLATEAU_SUCCESSES, MOST_PLATEAU_S * rate_rps))
            raised_rps = rate_rps + (1 - PLATEAU_SHARE) * remembered_rps / steps
        else:
            factor = max(self.plateau_factor, COSTLY_PROBING_FACTOR) if self.was_costly else self.plateau_factor
            successes = min(PROBING_SUCCESSES, MOST_PROBING_S * rate_rps)
            raised_rps = rate_rps * _growth(rate_rps, factor * PROBING_S, factor * successes)
        self.rate_rps = min(raised_rps, self._ceiling_rps)

    def _limit_estimate_rps(self, now_s: float) -> float:
        """The server's limit, estimated at an incident.

        1. Too few answers to measure, mostly pauses and failures, or a rate that hardly moves: the rate itself.
        2. In slow start: what was delivered in the last second, as the rate may already be far above the limit.
        3. Soon after another incident: less, down to the mean since then. A deep token bucket inflates both the rate
           and the last second, and that mean is what it refilled since it was last empty; for a shallow bucket the mean
           is too low, so each further incident moves only part of the way.
        """
        recent_rps, mean_rps = self._goodput.recent_rps(), self._goodput.mean_rps(now_s)
        if recent_rps is None or not self._is_measured:
            return self.rate_rps
        upper_rps = self.rate_rps if self.is_settled else min(self.rate_rps, recent_rps * MEASURED_TO_ASKED)
        if self.incident_rps is None or mean_rps is None:
            return upper_rps
        in_a_row = self._in_a_row if now_s - self._incident_s <= IN_A_ROW_S else 0
        return upper_rps - min(1.0, DEEPER_BY * in_a_row) * max(0.0, upper_rps - mean_rps)

    def _careful_estimate_rps(self, now_s: float) -> float:
        """A lower bound of the limit: the mean since the last incident, all that a bucket can have refilled."""
        limit_rps, mean_rps = self._limit_estimate_rps(now_s), self._goodput.mean_rps(now_s)
        if mean_rps is None:
            return limit_rps
        if self._is_proven:
            return PROVEN_SHARE * min(limit_rps, self._fit.mean_rps())
        return min(limit_rps, mean_rps)

    def _next_plateau_factor(self, limit_rps: float, is_costly: bool) -> int:
        before_rps = self.incident_rps
        is_confirmed = before_rps is not None and abs(limit_rps - before_rps) <= CONFIRMS_WITHIN * before_rps
        if is_costly:
            return FIRST_COSTLY_PLATEAU_FACTOR if before_rps is None else COSTLY_PLATEAU_FACTOR
        if not is_confirmed:
            return 1
        return max(self.plateau_factor, min(MAX_PLATEAU_FACTOR, self.plateau_factor * 2))

    def _remember(self, limit_rps: float, now_s: float) -> None:
        self.incident_rps = limit_rps
        self._in_a_row = self._in_a_row + 1 if now_s - self._incident_s <= IN_A_ROW_S else 1
        self._incident_s = now_s


def _growth(rate_rps: float, doubling_s: float, doubling_successes: float) -> float:
    """The factor for one success, so that a doubling takes at least that long and that many successes."""
    return float(2 ** (1 / max(doubling_s * rate_rps, doubling_successes)))
