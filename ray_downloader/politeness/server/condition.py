"""The condition of a server: one named state, and the only place where it changes. Pure.

`healthy`      gets requests as fast as its rate allows.
`suspect`      refused once, or a run of URLs failed: paused for seconds, then probed with one other URL.
`throttled`    refused another URL, too: paused for a minute, then two, four ..., with one probe after each pause.
`waiting`      stated how long it wants to be left alone; continues after that, whatever happened before.
`unreachable`  no address or no connection, five times in a row: single probes at growing delays.
`dead`         answered none of its last probes, when its patience was used up.
`refused`      answered one of them, but served nothing until its patience was used up.

    healthy -> suspect (refused / a run of failures) -> throttled (refused again, by another URL) -> healthy (served)
    suspect -> healthy (served);  any but dead -> waiting (Retry-After) -> healthy (served) or throttled
    healthy -> unreachable (a run) -> healthy (any answer);  throttled, waiting, unreachable -> dead or refused

Each event that changes something is logged, and a log can be replayed (transitions: `docs/architecture.md`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

from ray_downloader.politeness.messages import ProbeUrl, Verdict, WaitReason
from ray_downloader.politeness.server.backoff import Backoff
from ray_downloader.politeness.server.events import Condition, Consequence, Entry, Event
from ray_downloader.politeness.server.evidence import Evidence
from ray_downloader.politeness.server.first_visits import MAY_BE_FIRST_VISIT, FirstVisits
from ray_downloader.politeness.server.patience import Patience
from ray_downloader.politeness.server.probe import Probe
from ray_downloader.politeness.server.runs import DistinctUrls, Runs
from ray_downloader.politeness.server.snapshot import Reader

#: How many other URLs are requested, seconds apart, from a suspect whose probe fails without being refused (a 500, a
#: time-out) before it is paused for a minute: neighbours in a sorted list fail together.
STRIKES = 3
#: After this many probes with URLs that had not failed, one goes to a URL that had.
NEW_PROBES = 2
#: Probes go to other URLs if there are any; a URL that fails this often in a row must be the only one.
ONLY_URL_FAILURES = 3
#: After a wait of at least this, the first request is a probe: the server may be restarting.
PROBE_AFTER_S = 5.0
#: This many redirects or robots.txt in a row show that a suspect is well: its files are elsewhere.
HOPS_TO_RECOVER = 3
#: A longer wait than this is only believed once another URL was refused, too.
MOST_BY_ONE_URL_S = 3_600.0
#: The longest delay between two probes of a server that cannot be reached.
MAX_PROBE_DELAY_S = 1_800.0
#: How many events are remembered.
LOGGED = 100
#: ... and how many of them a snapshot contains.
LOG_SHOWN = 10
#: Used if no delays are configured.
FIRST_DELAY_S = 5.0
#: So many files must be forbidden, none served, until a server is believed to forbid all of them: each costs a request
#: once patience is used up. If it forbids nine in ten, one of 40 is served all the same (98 %).
FORBIDDEN_SAMPLE = 40
#: So many URLs must have failed, none served, until a server that answers at all is given up while no file of it is
#: known for comparison: if six in ten have errors of their own, so many in a row come once in 1,000 times.
LEAST_SAMPLE = 14
#: Once patience is used up, the URLs that are still missing for that are requested one by one, so far apart, or this
#: share of the patience.
SAMPLE_PAUSE_S = 2.0
SAMPLE_PAUSE_SHARE = 1 / 30
#: A server that answered so many probes in a row with nothing is silent, whatever it answered before that.
SILENT_PROBES = 3
#: So many probes that were to go to a file that was served before, and did not, are awaited: its holder may know none.
MOST_COMPARISONS = 2
#: Answers with which a server says that it wants no requests now.
_PUSHED_BACK = frozenset({Evidence.REFUSED, Evidence.FORBIDDEN})
#: Trouble that was shown by distinct URLs, or that does not depend on URLs.
_SERVER_WIDE = frozenset({Condition.THROTTLED, Condition.UNREACHABLE})


class ServerCondition:
    """The condition of one server.

    Args:
        probe_delays_s: Delays before the first, second, ... probe of an unreachable server; after that they double.
        patience: How long to wait for it.
        now_s: Monotonic time.
    """

    __slots__ = (
        "_alone",
        "_comparisons",
        "_culprits",
        "_delays_s",
        "_has_waited",
        "_hops",
        "_is_forbidden",
        "_is_sampling",
        "_is_unconfirmed",
        "_last_is_answer",
        "_new_in_a_row",
        "_probes_failed",
        "_silent_in_a_row",
        "_strikes",
        "_tried_second_visit",
        "_tries_second_visit",
        "_waited_for",
        "_was_answered",
        "backoff",
        "first_visits",
        "has_in_flight",
        "knows_control",
        "log",
        "name",
        "patience",
        "probe",
        "runs",
        "said",
    )

    def __init__(self, probe_delays_s: tuple[float, ...], patience: Patience, now_s: float) -> None:
        self.name = Condition.HEALTHY
        self.backoff = Backoff(now_s)
        self.patience = patience
        self.probe = Probe()
        self.runs = Runs()
        self.first_visits = FirstVisits()
        self.said = ""
        self.log: deque[Entry] = deque(maxlen=LOGGED)
        self._delays_s = probe_delays_s
        self._culprits = DistinctUrls()
        self._strikes = self._alone = self._new_in_a_row = self._hops = self._probes_failed = 0
        self._has_waited = False
        #: The URL that stated how long to wait last.
        self._waited_for = 0
        #: Whether the next probe goes to a URL that was refused before, and whether one did in this trouble.
        self._tries_second_visit = self._tried_second_visit = False
        self._last_is_answer = False
        #: Whether it answered anything since its trouble began.
        self._was_answered = False
        #: Failed requests since the last answer, but for repeated ones that may fail because of their URL.
        self._silent_in_a_row = 0
        #: Whether its patience is used up, and too few URLs have failed to give it up.
        self._is_sampling = False
        #: Whether a URL is known that was served before.
        self.knows_control = False
        #: Whether requests are in flight, besides the probe that has ended: the server may be busy with them.
        self.has_in_flight = False
        #: Whether its trouble consists of nothing but 403.
        self._is_forbidden = False
        #: Whether a single URL demanded a wait of hours, which another has to confirm.
        self._is_unconfirmed = False
        #: Probes since patience was used up that were to go to a URL that had been served.
        self._comparisons = 0

    def __repr__(self) -> str:
        return f"ServerCondition({self.name.value}, until={self.backoff.until_s:.1f}, said={self.said!r})"

    # -- what happened -------------------------------------------------------------------------------------------

    def on(self, event: Event) -> Consequence:
        """Process one answer."""
        was_well = self.name is Condition.HEALTHY and self.runs.is_empty
        consequence = self._take(event)
        if not (was_well and self.name is Condition.HEALTHY and self.runs.is_empty):
            self.log.append(Entry(event, self.name))
        self._note_trouble(event.now_s)
        return consequence

    def _note_trouble(self, now_s: float) -> None:
        self.patience.has_only_forbidden = self._is_forbidden and not self.runs.files
        self.patience.note_trouble(self.is_trouble, now_s)

    def was_odd(self, url_hash: int, *, is_forbidden: bool = False, states_wait: bool = False) -> None:
        """Record that a URL failed while others were served: its refusals are its own."""
        self.runs.own.was_odd(url_hash, is_forbidden=is_forbidden, states_wait=states_wait)

    def note_noise(self, is_noise: bool) -> None:
        """Record whether refusals come at random: if so, those before were no reason for longer and longer pauses."""
        if is_noise and not self.runs.own.is_noise:
            self.backoff.forgive()
        self.runs.own.is_noise = is_noise

    def replay(self, events: Iterable[Event]) -> None:
        """Process logged events again."""
        for event in events:
            self.on(event)

    def _take(self, event: Event) -> Consequence:
        evidence = event.evidence
        is_expected = self.first_visits.note(event)
        ends_run = self.runs.is_complete_with(evidence, event.url_hash)
        if evidence in {Evidence.SERVED, Evidence.ANSWERED, Evidence.HOP}:
            self._on_answer(evidence, event)
            return Consequence.NONE
        if evidence in {Evidence.NOTHING, Evidence.CROWDED}:
            self._on_nothing(event)
            return Consequence.NONE
        if self.verdict or (
            not self.backoff.is_new(event.sent_s) and (self.is_trouble or evidence is Evidence.REFUSED)
        ):
            self._on_late(event)
            return Consequence.NONE
        self._note_answer(event)
        self._is_forbidden &= evidence is Evidence.FORBIDDEN
        if evidence is Evidence.REFUSED:
            return self._on_refusal(event, is_expected=is_expected)
        if self.name is Condition.UNREACHABLE and event.is_answer:
            self._recover()
            ends_run = self.runs.is_complete_with(evidence, event.url_hash)
        if self.is_trouble:
            return self._on_failed_probe(event)
        is_run = ends_run and not is_expected
        return self._on_run(evidence, event) if is_run or event.is_control else Consequence.NONE

    def _note_answer(self, event: Event) -> None:
        """Remember what it said last; a time-out after that says nothing."""
        self._last_is_answer = event.is_answer
        self._was_answered = (self._was_answered and self.is_trouble) or event.is_answer
        if event.is_answer or not self._was_answered:
            self.said = event.said or self.said

    def _on_answer(self, evidence: Evidence, event: Event) -> None:
        """The server is not refusing; but a redirect or robots.txt alone does not show that it delivers files.

        Unless it comes from a URL that failed before: what failed there has passed.
        A file that was requested before the pause does not show it either, only that it is not over with this server.
        """
        is_new = self.backoff.is_new(event.sent_s)
        if evidence is Evidence.SERVED:
            self.patience.restart(event.now_s)
        if self.name is Condition.UNREACHABLE:
            self._recover()
        elif evidence is not Evidence.HOP:
            if is_new or not self.is_trouble:
                self._recover()
        elif is_new and self.is_trouble:
            self.probe.clear()
            self._hops += 1
            if self._hops >= HOPS_TO_RECOVER or event.url_hash in self._culprits:
                self._recover()

    def _on_nothing(self, event: Event) -> None:
        """A probe that reveals nothing about the server; a wait that it demands is obeyed unless it is its URL's."""
        is_own = bool(self.runs.own.odd_waits_in_a_row) or (event.wait_s or 0.0) > MOST_BY_ONE_URL_S
        if event.wait_s is not None and not is_own:
            self._wait_as_asked(event)
        elif self.patience.is_outage:
            self.probe.clear()
            self.backoff.end(event.now_s)
        elif self.is_trouble and self.backoff.is_new(event.sent_s):
            self.probe.clear()
            self.backoff.pause_for(event.now_s, self.backoff.length_s, event.free_s)

    def _on_late(self, event: Event) -> None:
        """The answer to a request from before the pause: it only matters if it demands a longer wait."""
        if event.wait_s is None or event.ended_s + event.wait_s <= max(event.now_s, self.backoff.until_s):
            return
        if self.is_trouble:
            self.backoff.prolong(event.ended_s, event.wait_s)
        else:
            self._wait_as_asked(event)

    def _on_refusal(self, event: Event, *, is_expected: bool) -> Consequence:
        """Process 429, 503 and the like.

        0. It refuses first visits, as expected, and was well: nothing follows.
        1. It states how long to wait: one such answer is enough.
        2. It refuses at random now and then, and does so less often than it would in trouble: it continues.
        3. It was well until now: this may be about the URL, so another one is requested after seconds.
        4. It was already in trouble: a failed probe.
        """
        if is_expected and not self.is_trouble and event.wait_s is None:
            self.backoff.forgive()
            return Consequence.NONE
        self.runs.own.refused(event.url_hash, states_wait=event.wait_s is not None)
        if event.wait_s is not None and not self._needs_confirmation(event.wait_s, event.url_hash):
            was_asked_as_usual = not self.needs_probe
            self._note_failure(event)
            self._wait_as_asked(event)
            self._judge(event)
            return Consequence.REFUSED if was_asked_as_usual else Consequence.NONE
        is_noise = self.runs.is_noise_with(event.url_hash)
        if not self.is_trouble and is_noise:
            return Consequence.REFUSED
        if not self.is_trouble or self.name is Condition.UNREACHABLE:
            self._suspect(event)
            self._is_unconfirmed = (event.wait_s or 0.0) > MOST_BY_ONE_URL_S
            return Consequence.NONE if self.runs.own.is_used_to_refusals else Consequence.REFUSED
        return self._on_failed_probe(event)

    def _needs_confirmation(self, wait_s: float, url_hash: int) -> bool:
        """Whether another URL has to say so before the server is left alone for that long.

        One URL may speak for its server for an hour, once; after several that stated waits of their own, not at all.
        """
        is_same = bool(url_hash) and url_hash == self._waited_for and wait_s >= PROBE_AFTER_S
        is_doubtful = wait_s > MOST_BY_ONE_URL_S or self.runs.own.is_used_to_waits or is_same
        return not self.is_trouble and is_doubtful

    def _on_run(self, evidence: Evidence, event: Event) -> Consequence:
        """Failures in a row, with nothing served in between."""
        if evidence is Evidence.UNREACHED:
            self.name = Condition.UNREACHABLE
            self._probes_failed = 0
            self.backoff.pause_for(event.now_s, self._delay_s(), event.free_s)
            return Consequence.NONE
        self._suspect(event)
        self._is_forbidden = evidence is Evidence.FORBIDDEN
        if event.is_control:
            self._on_failed_probe(event)
        return Consequence.REFUSED if self._is_forbidden else Consequence.FAILED

    def _on_failed_probe(self, event: Event) -> Consequence:
        """The trouble lasts: the pauses become longer, and the server is given up when its patience is used up."""
        is_other = self._note_failure(event)
        consequence = Consequence.NONE
        if self.name is Condition.UNREACHABLE:
            self._probes_failed += 1
            self.backoff.pause_for(event.now_s, self._delay_s(), event.free_s)
        elif self._should_try_second_visit(event, is_other):
            self._tries_second_visit = self._tried_second_visit = True
            self.backoff.pause_seconds(event.now_s, event.free_s)
        elif event.is_control or self._is_server_wide(is_other, event.evidence):
            if self.name is Condition.SUSPECT and event.evidence in _PUSHED_BACK:
                consequence = Consequence.REFUSED_FOR_LONG
            self.name = Condition.THROTTLED
            self._is_sampling = self._needs_sample(event)
            if self._is_sampling:
                pause_s = min(SAMPLE_PAUSE_S, SAMPLE_PAUSE_SHARE * self.patience.allowed_s)
                self.backoff.pause_for(event.now_s, pause_s, event.free_s)
            else:
                self.backoff.pause_minutes(event.now_s, event.free_s, event.jitter)
        else:
            self.name = Condition.SUSPECT
            self.backoff.pause_seconds(event.now_s, event.free_s)
        self._judge(event)
        return consequence

    def _should_try_second_visit(self, event: Event, is_other: bool) -> bool:
        """Whether a URL that was refused before is requested seconds later, once in each trouble.

        New URLs are still refused after a minute's pause, and the server may refuse nothing but first visits.
        """
        is_refusal = is_other and event.evidence in MAY_BE_FIRST_VISIT and event.wait_s is None and not event.is_control
        is_known = self._tried_second_visit or self.runs.own.knows_refused
        return self.name is Condition.THROTTLED and is_refusal and not is_known

    def _is_server_wide(self, is_other: bool, evidence: Evidence) -> bool:
        """Whether a failed probe is about the server: proven before, other URLs failed, or there is only this one."""
        least = 1 if evidence in _PUSHED_BACK else STRIKES
        is_proven = is_other and self._strikes >= self.runs.own.needed(evidence, least)
        return self.name is Condition.THROTTLED or is_proven or self._alone >= ONLY_URL_FAILURES

    def _needs_sample(self, event: Event) -> bool:
        """Whether more URLs have to fail before it is given up: those that did may have errors of their own.

        Not if it has answered nothing or cannot be reached, if a file that was served before fails, too, if there are
        no other URLs, or if that takes too long. Of those that are forbidden there is another sample.
        """
        is_known = event.is_control or self.knows_control or self._is_forbidden
        may_be_urls = self._was_answered and event.evidence is not Evidence.UNREACHED and not is_known
        has_others = len(self._culprits) < LEAST_SAMPLE and self._alone < ONLY_URL_FAILURES
        return may_be_urls and has_others and self.patience.is_in_overtime(event.now_s)

    def _note_failure(self, event: Event) -> bool:
        """Record a failed request; returns True if its URL had not failed in this trouble."""
        self.probe.clear()
        self._hops = 0
        self._is_unconfirmed = False
        is_other = self._culprits.add(event.url_hash)
        self._strikes += is_other
        self._alone = 0 if is_other else self._alone + 1
        self._new_in_a_row = self._new_in_a_row + 1 if is_other else 0
        is_not_urls = is_other or event.is_control or event.evidence is Evidence.UNREACHED
        self._silent_in_a_row = 0 if event.is_answer else self._silent_in_a_row + is_not_urls
        self._tries_second_visit = False
        return is_other

    def _suspect(self, event: Event) -> None:
        self.name = Condition.SUSPECT
        self._culprits.clear()
        self._culprits.add(event.url_hash)
        self._comparisons = 0
        self._strikes = self._alone = self._new_in_a_row = self._hops = self._silent_in_a_row = 0
        self.probe.clear()
        self._begin_trouble()
        self.backoff.pause_seconds(event.now_s, event.free_s)

    def _begin_trouble(self) -> None:
        """What the last trouble came to says nothing about this one."""
        self._tries_second_visit = self._tried_second_visit = self._is_sampling = False
        self.backoff.begin_seconds(self.runs.own.odd_in_a_row)

    def _wait_as_asked(self, event: Event) -> None:
        if self.verdict is None:
            if not self.is_trouble:
                self._begin_trouble()
            self._has_waited = self.name is Condition.WAITING
            self.name = Condition.WAITING
            self._waited_for = event.url_hash
            self.runs.own.believed_a_wait()
            self.probe.clear()
            self.backoff.pause_as_asked(event.now_s, event.ended_s, event.wait_s or 0.0, event.free_s)

    def _recover(self) -> None:
        self.name = Condition.HEALTHY
        self._culprits.clear()
        self._strikes = self._alone = self._new_in_a_row = self._hops = self._probes_failed = 0
        self._has_waited = self._is_forbidden = self._is_unconfirmed = self._is_sampling = False
        self._comparisons = 0
        self.said = ""
        self.runs.clear()
        self.probe.clear()

    def _judge(self, event: Event) -> None:
        """After a failed probe: was it the last one?

        0. None is, while the server may still serve a request that was sent before its trouble.
        1. One URL alone decides nothing, as long as there are others.
        2. Nor do a few if all of them are forbidden and nothing was ever served: most files of some lists are.
        3. Nor do a few if it answers, and no file of it is known: each may have an error of its own.
        4. Files that were served before are the better witnesses: the last rows of a server may all have errors of
           their own.
        """
        is_shown = len(self._culprits) > 1 or self._alone >= ONLY_URL_FAILURES
        is_server_wide = self.name in _SERVER_WIDE or (self.name is Condition.WAITING and is_shown)
        may_be_files = self._is_forbidden and not self.runs.files and self._alone < ONLY_URL_FAILURES
        if may_be_files and len(self._culprits) < FORBIDDEN_SAMPLE:
            return
        if not is_server_wide or not self.patience.is_used_up(event.now_s) or self.has_in_flight:
            return
        if self._needs_sample(event):
            return
        self._comparisons += 1
        if event.is_control or not self.knows_control or self._comparisons > MOST_COMPARISONS:
            self._give_up(event)

    def _give_up(self, event: Event) -> None:
        is_silent = not self._was_answered or self._silent_in_a_row >= SILENT_PROBES
        self.name = Condition.DEAD if is_silent else Condition.REFUSED
        if is_silent:
            self.said = event.said or self.said

    def _delay_s(self) -> float:
        delays_s, failed = self._delays_s or (FIRST_DELAY_S,), self._probes_failed
        if failed < len(delays_s):
            return delays_s[failed]
        return min(MAX_PROBE_DELAY_S, delays_s[-1] * 2.0 ** min(failed - len(delays_s) + 1, 20))

    # -- what it means -------------------------------------------------------------------------------------------

    @property
    def is_trouble(self) -> bool:
        """Whether it must not get requests as usual."""
        return self.name is not Condition.HEALTHY

    @property
    def verdict(self) -> Verdict | None:
        """What happens to its rows, if it was given up."""
        return {Condition.DEAD: Verdict.DEAD, Condition.REFUSED: Verdict.REFUSED}.get(self.name)

    @property
    def needs_probe(self) -> bool:
        """Whether a single request has to find out first."""
        if self.name is Condition.WAITING:
            return self._has_waited or self.backoff.length_s >= PROBE_AFTER_S
        return self.is_trouble

    @property
    def is_403_ban(self) -> bool:
        """Whether a 403 now is about the server: its trouble does not depend on the URL."""
        return self.name in {Condition.THROTTLED, Condition.WAITING, Condition.UNREACHABLE}

    @property
    def probe_url(self) -> ProbeUrl:
        """Which URL is the best probe: one that was served, if what failed may be about URLs."""
        if self._is_unconfirmed or self._comparisons or (self.name is Condition.SUSPECT and self._is_forbidden):
            return ProbeUrl.SERVED
        if self._is_sampling:
            return ProbeUrl.NEW
        is_deaf = self._new_in_a_row >= NEW_PROBES
        if is_deaf and self.knows_control and self.name is Condition.SUSPECT:
            return ProbeUrl.SERVED
        is_second_visit = self._tries_second_visit or self.first_visits.may_be_refused
        is_throttled = self.name is Condition.THROTTLED
        return ProbeUrl.FAILED if (is_deaf and is_throttled) or is_second_visit else ProbeUrl.NEW

    @property
    def reason(self) -> WaitReason | None:
        """The reason for which it waits."""
        if self.name is Condition.HEALTHY:
            return None
        if self.backoff.is_asked:
            return WaitReason.RETRY_AFTER
        return WaitReason.BACKOFF if self._last_is_answer else WaitReason.DEFERRED

    def pause_s(self, now_s: float) -> float:
        """How long nothing may be sent; a pause of our own leaves time for some probes, the last as patience ends.

        After that, nothing is requested at once while URLs are sampled, or while requests from before are in flight.
        """
        pause_s = self.backoff.remaining_s(now_s)
        last_probe_s = self.patience.last_probe_s(now_s) if self.name in _SERVER_WIDE else None
        if last_probe_s is not None and not (self.backoff.is_asked or self._is_sampling):
            shorter_s = self.backoff.length_s - self.patience.most_pause_s
            last_s = math.inf if self.has_in_flight else last_probe_s - now_s
            return max(0.0, min(pause_s, last_s, pause_s - max(0.0, shorter_s)))
        return pause_s

    def probe_given(self, holder: str, first_s: float, ends_s: float) -> None:
        """Record that a single permit was granted, for use from `first_s` to `ends_s`."""
        self.backoff.begins_again(first_s)
        self.probe.given(holder, ends_s)

    def probe_now(self, now_s: float) -> None:
        """An outage of our own network began or ended: silence revealed nothing about the server, so a probe is due."""
        if self.reason is WaitReason.DEFERRED:
            self.probe.clear()
            self.backoff.end(now_s)
        elif not self.is_trouble:
            self.runs.clear()

    # -- what outlives the process -------------------------------------------------------------------------------

    def dump(self, now_s: float) -> dict[str, Any]:
        """The condition as JSON-able values; times are relative to now."""
        return {
            "condition": self.name.value,
            "said": self.said,
            "is_answer": self._last_is_answer,
            "was_answered": self._was_answered,
            "is_forbidden": self._is_forbidden,
            "is_unconfirmed": self._is_unconfirmed,
            "has_answered": self.patience.has_answered,
            "files": self.runs.files,
            "probes_failed": self._probes_failed,
            "first_visits_shown": self.first_visits.shown,
            "first_visits_status": self.first_visits.http_status,
            "log": [str(entry) for entry in list(self.log)[-LOG_SHOWN:]],
            **self.backoff.dump(now_s),
        }

    def load(self, saved: Reader, elapsed_s: float, now_s: float) -> None:
        """Restore what `dump` returned `elapsed_s` ago; a server that was given up is tried again."""
        name = saved.choice("condition", Condition)
        self.name = Condition.HEALTHY if name in {None, Condition.DEAD, Condition.REFUSED} else name
        self.backoff.load(saved, elapsed_s, now_s)
        if self.name is Condition.HEALTHY and self.backoff.remaining_s(now_s) > 0:
            self.name = Condition.WAITING
        self.said, self._last_is_answer = saved.text("said"), saved.flag("is_answer")
        self._was_answered = saved.flag("was_answered")
        self.runs.files = saved.count("files") or saved.count("successes")
        self._is_forbidden, self._is_unconfirmed = saved.flag("is_forbidden"), saved.flag("is_unconfirmed")
        self._probes_failed = saved.count("probes_failed")
        self.first_visits.shown = saved.count("first_visits_shown")
        self.first_visits.http_status = saved.count("first_visits_status") or None
        self.patience.has_answered = saved.flag("has_answered") or self.runs.files > 0
        self._note_trouble(now_s)
