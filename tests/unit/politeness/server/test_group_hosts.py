"""Hosts of a group that cannot be reached wait one by one, and are probed by one holder at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import HostWait, Outcome, Verdict, WaitReason
from ray_downloader.politeness.server.group_hosts import RECHECK_S, GroupHosts

GONE, WELL = "gone.example", "well.example"
SILENT = Outcome(ErrorKind.CONNECT, host=GONE, url_hash=1, said="no route")
SERVED = Outcome(None, 200, host=GONE)
NO_NAME = replace(SILENT, kind=ErrorKind.DNS, is_no_such_name=True)


class Group:
    """One group, and shorthand for what its holders see."""

    def __init__(self, patience_s: float = 900.0) -> None:
        self.hosts = GroupHosts((5.0, 15.0), patience_s)

    def fails(self, now_s: float, times: int = 1, outcome: Outcome = SILENT) -> None:
        for number in range(times):
            self.hosts.observe(replace(outcome, url_hash=number + 1), now_s)

    def wait(self, now_s: float, *asked: str, holder: str = "one") -> HostWait | None:
        return next(iter(self.hosts.waits(asked, holder, now_s)), None)


def test_five_failures_in_a_row_park_a_host_and_an_answer_frees_it() -> None:
    group = Group()
    group.fails(0.0, times=4)
    assert group.wait(0.0) is None
    group.hosts.observe(SERVED, 0.0)
    group.fails(0.0, times=4)
    assert group.wait(0.0) is None, "it answered in between"
    group.fails(0.0)
    assert group.wait(0.0) == HostWait(GONE, Verdict.PAUSED, 5.0)
    assert group.hosts.reasons(1.0) == {GONE: (WaitReason.DEFERRED, 5.0, "no route")}
    group.hosts.observe(replace(SERVED, kind=ErrorKind.HTTP_4XX, http_status=404), 2.0)
    assert group.wait(2.0) is None, "whatever it answers, it is there"
    assert group.hosts.reasons(2.0) == {}


def test_other_hosts_and_answers_of_others_do_not_matter() -> None:
    group = Group()
    group.fails(0.0, times=4)
    group.hosts.observe(replace(SERVED, host=WELL), 0.0)
    group.fails(0.0, outcome=replace(SILENT, host=WELL))
    group.fails(0.0)
    assert [wait.host for wait in group.hosts.waits((), "one", 0.0)] == [GONE]


def test_one_holder_at_a_time_probes_a_host_and_only_one_that_asked() -> None:
    group = Group()
    group.hosts.know_served([f"http://{GONE}/1.jpg"])
    group.fails(0.0, times=5)
    assert group.wait(5.0) == HostWait(GONE, Verdict.PAUSED, RECHECK_S), "it has nothing to send there"
    assert group.wait(4.0, GONE) == HostWait(GONE, Verdict.PAUSED, 1.0)
    assert group.wait(5.0, GONE) == HostWait(GONE, Verdict.PAUSED, 0.0)
    assert group.wait(5.0, GONE, holder="two") == HostWait(GONE, Verdict.PAUSED, RECHECK_S)
    group.fails(5.5)
    assert group.wait(5.5, GONE) == HostWait(GONE, Verdict.PAUSED, 15.0), "one failed probe is enough, and delays grow"


def test_requests_sent_before_the_pause_do_not_prolong_it() -> None:
    group = Group()
    group.fails(0.0, times=5)
    group.fails(3.0, times=3)
    assert group.wait(5.0, GONE) == HostWait(GONE, Verdict.PAUSED, 0.0)


@pytest.mark.parametrize(("has_answered", "given_up_s"), [(False, 120.0), (True, 900.0)], ids=["never", "before"])
def test_patience_runs_out_while_the_run_is_idle(has_answered: bool, given_up_s: float) -> None:
    group = Group()
    if has_answered:
        group.hosts.know_served([f"http://{GONE}/1.jpg"])
    group.hosts.note_idle(True, 0.0)
    now_s = 0.0
    group.fails(now_s, times=5)
    while (wait := group.wait(now_s, GONE)) and wait.verdict is Verdict.PAUSED:
        now_s += max(wait.wait_s, 0.0)
        if wait.wait_s <= 0:
            group.fails(now_s)
            now_s += 0.001
    assert wait == HostWait(GONE, Verdict.DEAD, said="no route")
    assert now_s == pytest.approx(given_up_s, abs=2.0)
    assert group.hosts.reasons(now_s) == {}


def test_patience_of_a_host_that_waits_already_begins_when_the_run_gets_idle() -> None:
    group = Group()
    group.fails(0.0, times=5)
    group.hosts.note_idle(True, 100.0)
    verdicts = {}
    for now_s in (120.0, 210.0, 400.0):
        group.fails(now_s)
        wait = group.wait(now_s)
        assert wait is not None
        verdicts[now_s] = wait.verdict
    assert verdicts == {120.0: Verdict.PAUSED, 210.0: Verdict.PAUSED, 400.0: Verdict.DEAD}


def test_patience_stands_still_while_there_is_other_work_and_while_the_operator_pauses_the_group() -> None:
    for busy in (True, False):
        group = Group()
        group.hosts.note_idle(not busy, 0.0)
        group.fails(0.0, times=5)
        group.hosts.note_pause(not busy, 0.0)
        for now_s in range(5, 5000, 50):
            group.fails(float(now_s))
        wait = group.wait(5000.0, GONE)
        assert wait is not None
        assert wait.verdict is Verdict.PAUSED


def test_a_name_that_does_not_exist_is_final_after_three_look_ups_over_half_a_minute() -> None:
    group = Group()
    group.fails(0.0, times=5, outcome=NO_NAME)
    group.fails(15.0, outcome=NO_NAME)
    wait = group.wait(29.0)
    assert wait is not None
    assert wait.verdict is Verdict.PAUSED
    group.fails(31.0, outcome=NO_NAME)
    assert group.wait(31.0) == HostWait(GONE, Verdict.DEAD, said="no route", is_no_such_name=True)


def test_an_outage_of_ours_is_no_hosts_fault() -> None:
    group = Group()
    group.fails(0.0, times=4)
    group.hosts.note_outage(True, 0.0)
    group.fails(0.0, times=9)
    group.hosts.note_outage(False, 10.0)
    group.fails(10.0, times=4)
    assert group.wait(10.0) is None
    group.fails(10.0)
    assert group.wait(10.0) == HostWait(GONE, Verdict.PAUSED, 5.0)
    group.hosts.note_outage(True, 11.0)
    group.hosts.note_outage(False, 11.0)
    assert group.wait(11.0, GONE) == HostWait(GONE, Verdict.PAUSED, 0.0), "silence showed nothing: a probe is due"
    assert group.hosts.is_trouble


def test_when_a_host_answered_is_counted_back_from_the_report() -> None:
    group = Group()
    group.hosts.observe(replace(SERVED, age_s=4.0), 10.0)
    assert group.hosts.answered_s(GONE) == 6.0
    assert group.hosts.answered_s(WELL) == -math.inf


def test_a_few_look_ups_far_apart_are_enough_for_a_name_that_does_not_exist() -> None:
    group = Group()
    for now_s in (0.0, 15.0):
        group.fails(now_s, outcome=NO_NAME)
        assert group.wait(now_s) is None, "it was not reached so rarely that nothing follows yet"
    group.fails(31.0, outcome=replace(NO_NAME, age_s=2.0))
    assert group.wait(31.0) is None, "29 s are not half a minute"
    group.fails(45.0, outcome=NO_NAME)
    assert group.wait(45.0) == HostWait(GONE, Verdict.DEAD, said="no route", is_no_such_name=True)


def test_a_failure_that_is_reported_late_belongs_to_the_pause_that_it_came_before() -> None:
    group = Group()
    group.fails(0.0, times=5)
    group.fails(6.0, outcome=replace(SILENT, age_s=2.0, total_s=0.5))
    assert group.wait(6.0, GONE) == HostWait(GONE, Verdict.PAUSED, 0.0)
    group.fails(7.0, outcome=replace(SILENT, total_s=2.5))
    assert group.wait(7.0, GONE, holder="two") == HostWait(GONE, Verdict.PAUSED, RECHECK_S), "sent before the probe"


def test_patience_stands_still_during_an_outage_of_ours() -> None:
    group = Group()
    group.hosts.note_idle(True, 0.0)
    group.fails(0.0, times=5)
    group.hosts.note_outage(True, 1.0)
    group.hosts.note_outage(False, 1000.0)
    group.fails(1000.1)
    wait = group.wait(1000.1)
    assert wait is not None
    assert wait.verdict is Verdict.PAUSED
    for now_s in (1020.0, 1060.0, 1130.0):
        group.fails(now_s)
    wait = group.wait(1130.0)
    assert wait is not None
    assert wait.verdict is Verdict.DEAD, "two minutes after it"
