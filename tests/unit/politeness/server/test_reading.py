"""What an answer is read as, given what else is known: outages, other connections, groups of hosts, no limit."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import Outcome
from ray_downloader.politeness.server.events import Event
from ray_downloader.politeness.server.evidence import Evidence
from ray_downloader.politeness.server.group_hosts import GroupHosts
from ray_downloader.politeness.server.patience import Patience
from ray_downloader.politeness.server.reading import OutcomeReader

SERVED = Outcome(None, 200)
CONNECT = Outcome(ErrorKind.CONNECT)
RESET = Outcome(ErrorKind.RESET)
TIMEOUT = Outcome(ErrorKind.TIMEOUT)
BROKEN = Outcome(ErrorKind.HTTP_5XX, 500)
REFUSED = Outcome(ErrorKind.HTTP_429, 429)
FORBIDDEN = Outcome(ErrorKind.HTTP_4XX, 403)


class Reading:
    """A reader, and what it knows of."""

    def __init__(self, *, is_limited: bool = True, is_outage: bool = False, hosts: GroupHosts | None = None) -> None:
        self.patience = Patience(900.0, 0.0)
        self.patience.is_outage = is_outage
        self.reader = OutcomeReader(self.patience, is_limited=is_limited, hosts=hosts)

    def event(self, outcome: Outcome, now_s: float = 100.0) -> Event:
        return self.reader.event(outcome, now_s, 7.0, random.Random(1))

    def evidence(self, outcome: Outcome, now_s: float = 100.0) -> Evidence:
        return self.event(outcome, now_s).evidence


def test_an_event_has_the_times_of_its_request_and_the_servers_words() -> None:
    event = Reading().event(replace(REFUSED, age_s=2.0, total_s=3.0, ttfb_s=1.0, url_hash=5, said="slow down"))
    assert (event.now_s, event.ended_s, event.sent_s, event.free_s) == (100.0, 98.0, 95.0, 7.0)
    assert (event.url_hash, event.wait_s, event.is_answer, event.said) == (5, None, True, "slow down")
    assert 0.0 < event.jitter < 1.0


@pytest.mark.parametrize(
    ("times", "sent_s"),
    [({"total_s": 3.0, "ttfb_s": 1.0}, 97.0), ({"ttfb_s": 1.0}, 99.0), ({}, 100.0)],
    ids=["total", "first byte", "unknown"],
)
def test_a_request_was_sent_as_long_before_its_end_as_is_known(times: dict[str, Any], sent_s: float) -> None:
    assert Reading().event(replace(REFUSED, **times)).sent_s == sent_s


def test_what_the_server_did_not_say_is_the_kind_of_failure() -> None:
    assert Reading().event(TIMEOUT).said == "timeout"
    assert Reading().event(SERVED).said == ""
    assert not Reading().event(TIMEOUT).is_answer


def test_chance_is_spent_on_failures_only() -> None:
    rng = random.Random(1)
    reader = Reading().reader
    for outcome in (SERVED, Outcome(ErrorKind.HTTP_4XX, 404)):
        assert reader.event(outcome, 1.0, 0.0, rng).jitter == 0.0
    assert rng.random() == random.Random(1).random()


def test_any_answer_shows_that_the_server_answers() -> None:
    for outcome, answers in ((SERVED, True), (BROKEN, True), (TIMEOUT, False), (CONNECT, False)):
        reading = Reading()
        reading.event(outcome)
        assert reading.patience.has_answered is answers


def test_a_wait_that_is_demanded_is_part_of_the_event() -> None:
    assert Reading().event(replace(REFUSED, retry_after_s=30.0)).wait_s == 30.0
    assert Reading().event(Outcome(ErrorKind.HTTP_4XX, 404, retry_after_s=30.0)).wait_s is None


def test_a_lost_connection_is_about_their_number_if_others_are_open() -> None:
    assert Reading().evidence(RESET) is Evidence.FAILED
    assert Reading().evidence(replace(RESET, connections=2)) is Evidence.CROWDED
    elsewhere = Reading()
    elsewhere.reader.open_elsewhere = 1
    assert elsewhere.reader.open_with(RESET) == 2
    assert elsewhere.evidence(RESET) is Evidence.CROWDED
    assert elsewhere.reader.open_with(replace(RESET, connections=0)) == 2, "this one was open too"


def test_where_a_connection_that_was_the_only_one_was_reset_their_number_is_not_the_reason() -> None:
    """A server that reset each connection after 20 s was asked 64 times for six files: three of four told nothing."""
    reading = Reading()
    assert reading.evidence(replace(RESET, connections=2)) is Evidence.CROWDED
    assert reading.evidence(RESET) is Evidence.FAILED
    assert reading.evidence(replace(RESET, connections=4)) is Evidence.FAILED
    reading.event(BROKEN, 101.0)
    assert reading.evidence(replace(RESET, connections=2), 102.0) is Evidence.CROWDED, "others are answered"


def test_a_connection_that_is_not_made_is_about_their_number_only_if_others_are_answered() -> None:
    refused = replace(CONNECT, connections=2, total_s=1.0)
    assert Reading().evidence(refused) is Evidence.UNREACHED
    for answered_s, expected in ((93.9, Evidence.UNREACHED), (94.0, Evidence.CROWDED), (99.5, Evidence.CROWDED)):
        reading = Reading()
        reading.event(SERVED, answered_s)
        assert reading.evidence(refused) is expected
        assert reading.evidence(replace(refused, connections=1)) is Evidence.UNREACHED, "it was the only one"


def test_the_latest_answer_counts_however_late_an_earlier_one_is_reported() -> None:
    reading = Reading()
    reading.event(SERVED, 99.0)
    reading.event(replace(SERVED, age_s=50.0), 99.5)
    assert reading.evidence(replace(CONNECT, connections=2)) is Evidence.CROWDED


def test_in_an_outage_silence_is_no_evidence_and_answers_are() -> None:
    outage = Reading(is_outage=True)
    assert outage.evidence(CONNECT) is Evidence.NOTHING
    assert outage.evidence(TIMEOUT) is Evidence.NOTHING
    assert outage.evidence(BROKEN) is Evidence.FAILED
    assert outage.evidence(REFUSED) is Evidence.REFUSED
    assert Reading().evidence(TIMEOUT) is Evidence.FAILED


def test_one_host_that_is_down_says_nothing_of_its_group() -> None:
    group = Reading(hosts=GroupHosts((5.0,), 900.0))
    assert group.evidence(CONNECT) is Evidence.NOTHING
    assert group.evidence(TIMEOUT) is Evidence.FAILED
    assert Reading().evidence(CONNECT) is Evidence.UNREACHED


def test_a_refused_connection_shows_a_groups_limit_only_if_the_same_host_answered() -> None:
    hosts = GroupHosts((5.0,), 900.0)
    group, refused = Reading(hosts=hosts), replace(CONNECT, connections=2, host="a.example")
    group.event(replace(SERVED, host="b.example"), 99.0)
    hosts.observe(replace(SERVED, host="b.example"), 99.0)
    assert group.evidence(refused) is Evidence.NOTHING, "its machine may be gone, whatever the others do"
    hosts.observe(replace(SERVED, host="a.example"), 99.0)
    assert group.evidence(refused) is Evidence.CROWDED


def test_without_a_limit_no_request_comes_too_soon() -> None:
    unlimited = Reading(is_limited=False)
    assert unlimited.evidence(REFUSED) is Evidence.FAILED
    assert unlimited.evidence(replace(REFUSED, retry_after_s=9.0)) is Evidence.REFUSED
    assert unlimited.evidence(FORBIDDEN) is Evidence.ANSWERED
    assert unlimited.evidence(BROKEN) is Evidence.FAILED
    assert Reading().evidence(FORBIDDEN) is Evidence.FORBIDDEN
