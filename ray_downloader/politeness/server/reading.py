"""Reads what workers report as events of a server: what each answer is evidence of, given what else is known. Pure."""

from __future__ import annotations

import math
import random

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import Outcome
from ray_downloader.politeness.server.events import Event
from ray_downloader.politeness.server.evidence import Evidence, evidence_of, wait_asked_for_s
from ray_downloader.politeness.server.group_hosts import GroupHosts
from ray_downloader.politeness.server.patience import Patience

#: A connection that failed to be made shows the server's limit only if others were answered so shortly before.
OTHERS_ANSWERED_S = 5.0


class OutcomeReader:
    """Turns outcomes of one server into events.

    Args:
        patience: Knows of outages, and learns that the server answers.
        is_limited: Whether there is a limit on its rate.
        hosts: Those of a group: one that cannot be reached says nothing about the others.
    """

    __slots__ = ("_answered_s", "_broke_alone_s", "_hosts", "_is_limited", "_patience", "open_elsewhere")

    def __init__(self, patience: Patience, *, is_limited: bool, hosts: GroupHosts | None = None) -> None:
        self._patience = patience
        self._is_limited = is_limited
        self._hosts = hosts
        self._answered_s = -math.inf
        #: When a connection was last reset that was the only one.
        self._broke_alone_s = -math.inf
        #: Connections of the other workers, as far as they were reported.
        self.open_elsewhere = 0

    def event(self, outcome: Outcome, now_s: float, free_s: float, rng: random.Random) -> Event:
        """Read one outcome; permits granted before may be used until `free_s`."""
        ended_s = now_s - outcome.age_s
        sent_s = ended_s - (outcome.total_s or outcome.ttfb_s or 0.0)
        evidence = self._evidence_of(outcome, sent_s)
        if outcome.http_status is not None or outcome.kind is None:
            self._patience.has_answered = True
            self._answered_s = max(self._answered_s, ended_s)
        if outcome.kind is ErrorKind.RESET and self.open_with(outcome) == 1:
            self._broke_alone_s = max(self._broke_alone_s, ended_s)
        return Event(
            evidence=evidence,
            now_s=now_s,
            ended_s=ended_s,
            sent_s=sent_s,
            url_hash=outcome.url_hash,
            wait_s=_wait_s(outcome),
            free_s=free_s,
            jitter=rng.random() if evidence not in {Evidence.SERVED, Evidence.ANSWERED} else 0.0,
            is_answer=outcome.http_status is not None,
            said=outcome.said or (outcome.kind.value if outcome.kind else ""),
            is_control=outcome.is_control,
            http_status=outcome.http_status,
        )

    def open_with(self, outcome: Outcome) -> int:
        """Connections that were open when that request ended, as far as is known."""
        return max(outcome.connections, 1) + self.open_elsewhere

    def _evidence_of(self, outcome: Outcome, sent_s: float) -> Evidence:
        is_number = self.open_with(outcome) > 1 and self._may_be_their_number(outcome, sent_s)
        evidence = evidence_of(outcome, are_others_open=is_number)
        if evidence is Evidence.UNREACHED and (self._patience.is_outage or self._hosts is not None):
            return Evidence.NOTHING
        if self._patience.is_outage and evidence is Evidence.FAILED and outcome.http_status is None:
            return Evidence.NOTHING
        return evidence if self._is_limited else _unlimited(evidence, outcome)

    def _may_be_their_number(self, outcome: Outcome, sent_s: float) -> bool:
        """Whether the number of connections may be why one was lost; a server that resets any has no such limit."""
        if outcome.kind is ErrorKind.RESET:
            return self._answered_s >= self._broke_alone_s
        answered_s = self._answered_s if self._hosts is None else self._hosts.answered_s(outcome.host)
        return answered_s >= sent_s - OTHERS_ANSWERED_S


def _unlimited(evidence: Evidence, outcome: Outcome) -> Evidence:
    """Without a limit on the rate no request comes too soon: only a run of refusals is trouble, or a `Retry-After`."""
    if evidence is Evidence.REFUSED and _wait_s(outcome) is None:
        return Evidence.FAILED
    return Evidence.ANSWERED if evidence is Evidence.FORBIDDEN else evidence


def _wait_s(outcome: Outcome) -> float | None:
    return wait_asked_for_s(outcome.kind, outcome.http_status, outcome.retry_after_s)
