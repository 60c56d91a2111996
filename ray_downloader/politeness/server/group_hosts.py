"""The hosts of a group that cannot be reached: each is waited for by itself, as the others go on. Pure.

A group is one service with many names (`farm1` to `farm9` of one photo site): how fast it may be asked, and what it
refuses, concerns all of them. That one name does not resolve, or its machine does not accept connections, concerns
that host alone: it gets single probes at growing delays, and its own patience.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from ray_downloader.politeness.messages import HostWait, Outcome, Verdict, WaitReason
from ray_downloader.politeness.server.condition import ServerCondition
from ray_downloader.politeness.server.events import Event
from ray_downloader.politeness.server.evidence import Evidence, is_unreached
from ray_downloader.politeness.server.name_watch import NameWatch
from ray_downloader.politeness.server.patience import Patience

#: How soon a holder asks again about a host that another holder probes.
RECHECK_S = 2.0
#: How long a holder that may probe a host has to send its request.
PROBE_VALID_S = 5.0


class _Host:
    """One host that failed to be reached, since it was last reached."""

    __slots__ = ("condition", "name", "patience")

    def __init__(self, delays_s: tuple[float, ...], patience: Patience, now_s: float) -> None:
        self.patience = patience
        self.condition = ServerCondition(delays_s, patience, now_s)
        self.name = NameWatch()

    def observe(self, outcome: Outcome, now_s: float) -> None:
        """Process a failure to reach it."""
        ended_s = now_s - outcome.age_s
        self.name.observe(is_no_such_name=outcome.is_no_such_name, ended_s=ended_s)
        sent_s = ended_s - (outcome.total_s or 0.0)
        said = outcome.said or str(outcome.kind)
        self.condition.on(Event(Evidence.UNREACHED, now_s, ended_s, sent_s, outcome.url_hash, free_s=now_s, said=said))

    def wait_s(self, now_s: float) -> float:
        """How long until it may be probed, or until somebody should ask again: the run may be idle by then."""
        return min(self.condition.pause_s(now_s), self.patience.check_s)


class GroupHosts:
    """The hosts of one group.

    Args:
        probe_delays_s: Delays before the first, second, ... probe of a host.
        patience_s: How long to wait for one that has answered.
    """

    __slots__ = ("_answered_s", "_delays_s", "_is_idle", "_is_outage", "_patience_s", "_unreached")

    def __init__(self, probe_delays_s: tuple[float, ...], patience_s: float) -> None:
        self._delays_s, self._patience_s = probe_delays_s, patience_s
        self._unreached: dict[str, _Host] = {}
        #: When each host answered last.
        self._answered_s: dict[str, float] = {}
        self._is_idle = self._is_outage = False

    @property
    def is_trouble(self) -> bool:
        """Whether a host is waited for."""
        return bool(self._unreached)

    def answered_s(self, host: str) -> float:
        """When a host answered last."""
        return self._answered_s.get(host, -math.inf)

    def know_served(self, urls: Iterable[str]) -> None:
        """The hosts of these URLs have answered, in this run or an earlier one."""
        for url in urls:
            self._answered_s.setdefault(urlsplit(url).netloc, -math.inf)

    def observe(self, outcome: Outcome, now_s: float) -> None:
        """Process the end of a request."""
        if outcome.http_status is not None or outcome.kind is None:
            self._unreached.pop(outcome.host, None)
            self._answered_s[outcome.host] = now_s - outcome.age_s
        elif is_unreached(outcome) and not self._is_outage:
            self._host(outcome.host, now_s).observe(outcome, now_s)

    def _host(self, name: str, now_s: float) -> _Host:
        host = self._unreached.get(name)
        if host is None:
            patience = Patience(self._patience_s, now_s)
            patience.has_answered = name in self._answered_s
            patience.note_idle(self._is_idle, now_s)
            host = self._unreached[name] = _Host(self._delays_s, patience, now_s)
        return host

    def note_idle(self, is_idle: bool, now_s: float) -> None:
        """Record whether the run has nothing else to do: only then does their patience run out."""
        self._is_idle = is_idle
        for host in self._unreached.values():
            host.patience.note_idle(is_idle, now_s)

    def note_pause(self, is_paused: bool, now_s: float) -> None:
        """Record whether the operator lets nothing be requested from the group."""
        for host in self._unreached.values():
            host.patience.note_pause(is_paused, now_s)

    def note_outage(self, is_outage: bool, now_s: float) -> None:
        """Record whether our own network is down: then no host is at fault."""
        self._is_outage = is_outage
        for host in self._unreached.values():
            host.patience.note_outage(is_outage, now_s)
            host.condition.probe_now(now_s)

    def waits(self, asked: Collection[str], holder: str, now_s: float) -> tuple[HostWait, ...]:
        """The hosts that get no requests now.

        Args:
            asked: Those for which the holder has requests. It may probe one of them (`wait_s` 0) if that is due.
            holder: Its name.
            now_s: Monotonic time.
        """
        return tuple(
            self._wait(name, host, name in asked, holder, now_s)
            for name, host in self._unreached.items()
            if host.condition.is_trouble or host.name.is_gone
        )

    def _wait(self, name: str, host: _Host, is_asked: bool, holder: str, now_s: float) -> HostWait:
        condition = host.condition
        if host.name.is_gone or condition.verdict:
            return HostWait(name, Verdict.DEAD, said=condition.said, is_no_such_name=host.name.is_gone)
        wait_s = host.wait_s(now_s)
        if wait_s <= 0:
            if is_asked and not condition.probe.is_under_way(now_s):
                condition.probe_given(holder, now_s, now_s + PROBE_VALID_S)
            else:
                wait_s = RECHECK_S
        return HostWait(name, Verdict.PAUSED, wait_s)

    def reasons(self, now_s: float) -> dict[str, tuple[WaitReason, float | None, str]]:
        """Why each of them waits, until when, and how it failed."""
        return {
            name: (WaitReason.DEFERRED, now_s + host.condition.pause_s(now_s), host.condition.said)
            for name, host in self._unreached.items()
            if host.condition.is_trouble and not host.condition.verdict and not host.name.is_gone
        }
