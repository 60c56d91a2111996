"""What a server is in: one transition after the other, each by what was answered."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ray_downloader.politeness.messages import ProbeUrl, Verdict, WaitReason
from ray_downloader.politeness.server.condition import (
    FORBIDDEN_SAMPLE,
    LEAST_SAMPLE,
    MOST_COMPARISONS,
    SAMPLE_PAUSE_S,
    SILENT_PROBES,
    ServerCondition,
)
from ray_downloader.politeness.server.events import Condition, Consequence, Event
from ray_downloader.politeness.server.evidence import Evidence
from ray_downloader.politeness.server.patience import NEVER_ANSWERED_S, PROBES, Patience
from ray_downloader.politeness.server.runs import Runs
from ray_downloader.politeness.server.snapshot import Reader


def a_condition(
    files: int = 0, patience_s: float = 900.0, delays_s: tuple[float, ...] = (5.0, 15.0)
) -> ServerCondition:
    condition = ServerCondition(delays_s, Patience(patience_s, 0.0), 0.0)
    condition.runs.files = files
    condition.patience.has_answered = True
    return condition


def tell(
    condition: ServerCondition, evidence: Evidence, now_s: float, url: int = 0, wait_s: float | None = None,
    sent_s: float | None = None, is_answer: bool = True, said: str = "", is_control: bool = False,
) -> Consequence:  # fmt: skip
    sent_s = now_s if sent_s is None else sent_s
    return condition.on(Event(evidence, now_s, now_s, sent_s, url, wait_s, 0.0, 0.0, is_answer, said, is_control))


def refused(condition: ServerCondition, now_s: float, url: int, wait_s: float | None = None) -> Consequence:
    return tell(condition, Evidence.REFUSED, now_s, url, wait_s, said="429 slow down")


def test_a_server_is_well_until_it_says_otherwise() -> None:
    condition = a_condition()
    assert (condition.name, condition.reason, condition.verdict) == (Condition.HEALTHY, None, None)
    assert not (condition.is_trouble or condition.needs_probe or condition.is_403_ban)
    assert tell(condition, Evidence.SERVED, 1.0, 5) is Consequence.NONE
    assert (list(condition.log), condition.runs.files, condition.pause_s(1.0)) == ([], 1, 0.0)


def test_one_refusal_costs_seconds_and_another_url_is_asked_next() -> None:
    condition = a_condition()
    assert refused(condition, 10.0, 1) is Consequence.REFUSED
    assert (condition.name, condition.reason) == (Condition.SUSPECT, WaitReason.BACKOFF)
    assert (condition.pause_s(10.0), condition.needs_probe, condition.said) == (2.0, True, "429 slow down")
    tell(condition, Evidence.SERVED, 12.0, 2)
    assert (condition.name, condition.said) == (Condition.HEALTHY, "")


def test_a_second_url_that_is_refused_makes_it_minutes_and_twice_as_long_each_time() -> None:
    condition = a_condition()
    refused(condition, 0.0, 1)
    assert refused(condition, 2.0, 2) is Consequence.REFUSED_FOR_LONG
    assert (condition.name, condition.pause_s(2.0)) == (Condition.THROTTLED, 60.0)
    assert (refused(condition, 62.0, 3), condition.probe_url) == (Consequence.NONE, ProbeUrl.FAILED)
    assert condition.pause_s(62.0) == 4.0, "once in each trouble a URL is tried again: first visits may be refused"
    for url, now_s, pause_s in ((1, 66.0, 120.0), (4, 186.0, 240.0), (5, 426.0, 480.0)):
        assert refused(condition, now_s, url) is Consequence.NONE
        assert condition.pause_s(now_s) == pause_s


def test_the_same_url_again_stays_a_matter_of_seconds_until_there_is_no_other() -> None:
    condition = a_condition()
    refused(condition, 0.0, 1)
    refused(condition, 2.0, 1)
    assert (condition.name, condition.pause_s(2.0)) == (Condition.SUSPECT, 4.0)
    refused(condition, 6.0, 1)
    assert condition.name is Condition.SUSPECT
    refused(condition, 14.0, 1)
    assert condition.name is Condition.THROTTLED, "three times, with no other in between"


def test_who_says_how_long_is_left_alone_so_long_after_one_answer() -> None:
    condition = a_condition()
    assert refused(condition, 10.0, 1, wait_s=30.0) is Consequence.REFUSED
    assert (condition.name, condition.reason, condition.pause_s(10.0)) == (
        Condition.WAITING, WaitReason.RETRY_AFTER, 30.0,
    )  # fmt: skip
    assert condition.needs_probe, "it may be restarting"
    assert refused(condition, 40.0, 2, wait_s=30.0) is Consequence.NONE
    short = a_condition()
    refused(short, 10.0, 1, wait_s=4.9)
    assert not short.needs_probe
    refused(short, 15.0, 2, wait_s=1.0)
    assert short.needs_probe, "the second wait in a row"


def test_trouble_that_begins_with_a_demanded_wait_begins_with_seconds_too() -> None:
    """Once an earlier trouble had come to a minute, each failure of a probe after a short wait cost a minute."""
    condition = a_condition()
    for now_s in (0.0, 2.0, 6.0, 14.0):
        refused(condition, now_s, 1) if not now_s else tell(condition, Evidence.FAILED, now_s, 2)
    tell(condition, Evidence.SERVED, 100.0, 3)
    refused(condition, 101.0, 4, wait_s=5.0)
    tell(condition, Evidence.FAILED, 106.0, 5)
    assert (condition.name, condition.pause_s(106.0)) == (Condition.SUSPECT, 2.0)
    tell(condition, Evidence.FAILED, 108.0, 6)
    assert condition.pause_s(108.0) == 4.0, "within one trouble they still double"


def test_trouble_that_begins_with_a_demanded_wait_tries_a_second_visit_too() -> None:
    condition = a_condition()
    for url, now_s in enumerate((0.0, 2.0, 62.0)):
        refused(condition, now_s, url + 1)
    tell(condition, Evidence.SERVED, 66.0, 1)
    refused(condition, 70.0, 5, wait_s=5.0)
    for url, now_s in ((6, 75.0), (7, 200.0)):
        refused(condition, now_s, url)
    assert (condition.probe_url, condition.pause_s(200.0)) == (ProbeUrl.FAILED, 2.0)


def test_a_url_that_states_a_wait_again_while_others_are_served_is_confirmed_by_another_first() -> None:
    condition = a_condition()
    refused(condition, 10.0, 1, wait_s=30.0)
    tell(condition, Evidence.SERVED, 40.0, 2)
    assert refused(condition, 41.0, 1, wait_s=30.0) is Consequence.REFUSED
    assert (condition.name, condition.pause_s(41.0)) == (Condition.SUSPECT, 2.0)
    refused(condition, 43.0, 3, wait_s=30.0)
    assert (condition.name, condition.pause_s(43.0)) == (Condition.WAITING, 30.0)
    tell(condition, Evidence.SERVED, 73.0, 4)
    refused(condition, 74.0, 5, wait_s=30.0)
    assert condition.name is Condition.WAITING, "another URL than last time"


def test_answers_of_before_the_pause_are_no_news_unless_they_ask_for_longer() -> None:
    condition = a_condition()
    refused(condition, 10.0, 1, wait_s=30.0)
    assert tell(condition, Evidence.REFUSED, 11.0, 2, 5.0, sent_s=9.0) is Consequence.NONE
    assert condition.pause_s(11.0) == 29.0
    tell(condition, Evidence.REFUSED, 11.0, 3, 100.0, sent_s=9.0)
    assert condition.pause_s(11.0) == 100.0
    tell(condition, Evidence.SERVED, 12.0, 4, sent_s=9.0)
    assert condition.name is Condition.WAITING, "it was served before the refusal"


@pytest.mark.parametrize(
    ("evidence", "length", "name", "consequence"),
    [
        (Evidence.FAILED, 10, Condition.SUSPECT, Consequence.FAILED),
        (Evidence.FORBIDDEN, 5, Condition.SUSPECT, Consequence.REFUSED),
        (Evidence.UNREACHED, 5, Condition.UNREACHABLE, Consequence.NONE),
    ],
)
def test_a_run_of_failures_is_trouble(
    evidence: Evidence, length: int, name: Condition, consequence: Consequence
) -> None:
    condition = a_condition(files=10)
    said = [tell(condition, evidence, 1.0, url) for url in range(1, length + 1)]
    assert said == [Consequence.NONE] * (length - 1) + [consequence]
    assert condition.name is name


def forbidden(condition: ServerCondition, now_s: float, urls: Iterable[int]) -> None:
    for url in urls:
        tell(condition, Evidence.FORBIDDEN, now_s, url, said="403 no")


def test_after_a_run_of_403_a_url_that_was_served_shows_whose_fault_it_is() -> None:
    condition = a_condition(files=10)
    forbidden(condition, 1.0, range(1, 6))
    assert (condition.name, condition.probe_url, condition.is_403_ban) == (Condition.SUSPECT, ProbeUrl.SERVED, False)
    assert tell(condition, Evidence.FORBIDDEN, 3.0, 99, is_control=True) is Consequence.REFUSED_FOR_LONG
    assert (condition.name, condition.is_403_ban) == (Condition.THROTTLED, True)
    tell(condition, Evidence.SERVED, 70.0, 99)
    assert (condition.name, condition.is_403_ban) == (Condition.HEALTHY, False)


def test_a_403_to_a_url_that_was_served_needs_no_others() -> None:
    condition = a_condition(files=10)
    forbidden(condition, 1.0, [1])
    assert tell(condition, Evidence.FORBIDDEN, 3.0, 99, is_control=True) is Consequence.REFUSED
    assert condition.name is Condition.THROTTLED


def test_a_server_that_only_forbids_is_waited_for_as_one_that_never_answered() -> None:
    condition = a_condition()
    forbidden(condition, 0.0, range(1, 6))
    assert condition.patience.allowed_s == NEVER_ANSWERED_S
    forbidden(condition, 3.0, [6])
    assert condition.name is Condition.THROTTLED
    tell(condition, Evidence.SERVED, 70.0, 7)
    forbidden(condition, 71.0, range(11, 60))
    assert (condition.name, condition.patience.allowed_s) == (Condition.SUSPECT, 900.0)


def test_a_server_that_never_served_is_believed_to_forbid_all_after_a_sample_of_its_files() -> None:
    condition = a_condition()
    condition.patience.note_idle(True, 0.0)
    forbidden(condition, 0.0, range(1, 6))
    for url in range(6, FORBIDDEN_SAMPLE + 5):
        assert condition.verdict is None
        now_s = 200.0 + url
        assert condition.pause_s(now_s) == 0.0
        condition.probe_given("task", now_s, now_s + 1)
        forbidden(condition, now_s, [url])
    assert condition.verdict is Verdict.REFUSED


def test_if_new_urls_are_refused_again_and_again_one_is_tried_that_was_before() -> None:
    condition = a_condition()
    urls = []
    for number in range(1, 8):
        urls.append(condition.probe_url)
        is_again = condition.probe_url is ProbeUrl.FAILED
        refused(condition, 1000.0 * number, 1 if is_again else number)
    new, failed = ProbeUrl.NEW, ProbeUrl.FAILED
    assert urls == [new, new, new, failed, new, new, failed]


def test_refusals_of_first_visits_cost_no_pause_once_that_is_known() -> None:
    """A server that refuses each URL once kept 200 rows for ten hours: each second new URL began a longer pause."""
    condition = a_condition()
    refused(condition, 0.0, 1)
    refused(condition, 2.0, 2)
    assert refused(condition, 62.0, 3) is Consequence.NONE
    assert condition.backoff.doublings == 1
    for url in (1, 2, 3):
        tell(condition, Evidence.SERVED, 200.0 + url, url)
    assert condition.name is Condition.HEALTHY
    assert refused(condition, 204.0, 4) is Consequence.NONE
    assert (condition.name, condition.backoff.doublings) == (Condition.HEALTHY, 0)
    assert refused(condition, 205.0, 5, 30.0) is Consequence.REFUSED, "a Retry-After is obeyed all the same"
    assert condition.name is Condition.WAITING


def test_what_is_known_of_first_visits_outlives_a_restart() -> None:
    condition = a_condition()
    condition.first_visits.shown, condition.first_visits.http_status = 2, 503
    restored = a_condition()
    restored.load(Reader(condition.dump(0.0)), 0.0, 0.0)
    assert (restored.first_visits.are_refused, restored.first_visits.http_status) == (True, 503)
    restored.load(Reader({"first_visits_status": "often"}), 0.0, 0.0)
    assert (restored.first_visits.shown, restored.first_visits.http_status) == (0, None)


def test_a_second_visit_that_is_refused_ends_what_was_known_of_first_ones() -> None:
    condition = a_condition()
    for url, now_s in ((1, 0.0), (2, 2.0), (3, 62.0)):
        refused(condition, now_s, url)
    for url in (1, 2, 3):
        tell(condition, Evidence.SERVED, 200.0 + url, url)
    refused(condition, 204.0, 4)
    assert refused(condition, 205.0, 4) is Consequence.REFUSED
    assert condition.name is Condition.SUSPECT


def test_pauses_are_short_again_once_refusals_are_known_to_be_noise() -> None:
    condition = a_condition()
    for url, now_s in ((1, 0.0), (2, 2.0), (3, 62.0), (4, 66.0)):
        refused(condition, now_s, url)
    condition.note_noise(is_noise=False)
    assert condition.backoff.doublings == 2
    condition.note_noise(is_noise=True)
    assert (condition.backoff.doublings, condition.runs.own.is_noise) == (0, True)
    condition.backoff.pause_minutes(1000.0, 1000.0, 0.0)
    condition.note_noise(is_noise=True)
    assert condition.backoff.doublings == 1, "those since then count"


def test_where_urls_are_refused_whatever_we_do_those_are_not_the_first_probes() -> None:
    condition = a_condition()
    for url in range(2):
        refused(condition, 0.0, url + 100)
        tell(condition, Evidence.SERVED, 100.0, 98)
        condition.was_odd(url + 100)
    urls = []
    for number in range(1, 60):
        if condition.name is Condition.THROTTLED:
            urls.append(condition.probe_url)
        refused(condition, 1000.0 * number, 1 if condition.probe_url is ProbeUrl.FAILED else number)
    assert urls[:3] == [ProbeUrl.FAILED, ProbeUrl.NEW, ProbeUrl.NEW]


def test_probes_of_a_server_that_is_not_reached_are_further_and_further_apart() -> None:
    condition = a_condition()
    for url in range(5):
        tell(condition, Evidence.UNREACHED, 0.0, url, is_answer=False)
    now_s, waits_s = 0.0, [condition.pause_s(0.0)]
    for _ in range(10):
        now_s += waits_s[-1]
        tell(condition, Evidence.UNREACHED, now_s, 7, is_answer=False)
        waits_s.append(condition.pause_s(now_s))
    assert waits_s == [5.0, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1800.0, 1800.0, 1800.0]
    assert condition.reason is WaitReason.DEFERRED
    tell(condition, Evidence.HOP, now_s, 8)
    assert condition.name is Condition.HEALTHY, "whatever it answers, it is there"


def test_how_far_apart_they_are_goes_on_after_a_restart_and_after_a_probe_that_says_nothing() -> None:
    condition = a_condition()
    for url in range(5):
        tell(condition, Evidence.UNREACHED, 100.0, url, is_answer=False)
    assert condition.backoff.length_s == condition.pause_s(100.0) == 5.0
    for now_s in (105.0, 120.0):
        tell(condition, Evidence.UNREACHED, now_s, 7, is_answer=False)
    again = a_condition()
    again.load(Reader(condition.dump(120.0)), 0.0, 1000.0)
    for now_s, of in ((120.0, condition), (1000.0, again)):
        tell(of, Evidence.NOTHING, now_s + 30.0, 8)
        assert of.pause_s(now_s + 30.0) == 30.0, "as long as the last one"
        tell(of, Evidence.UNREACHED, now_s + 60.0, 7, is_answer=False)
        assert of.pause_s(now_s + 60.0) == 60.0


def in_trouble(name: Condition) -> ServerCondition:
    """A server in one of its troubles since 0 s, of which a probe is under way at 70 s."""
    condition = a_condition(files=10)
    if name is Condition.UNREACHABLE:
        for url in range(5):
            tell(condition, Evidence.UNREACHED, 0.0, url, is_answer=False)
    else:
        refused(condition, 0.0, 1, wait_s=60.0 if name is Condition.WAITING else None)
    if name is Condition.THROTTLED:
        refused(condition, 2.0, 2)
    assert condition.name is name
    condition.probe_given("task", 70.0, 71.0)
    assert condition.probe.is_under_way(70.0)
    return condition


@pytest.mark.parametrize("evidence", Evidence, ids=lambda evidence: evidence.name)
@pytest.mark.parametrize(
    "name",
    [Condition.SUSPECT, Condition.THROTTLED, Condition.WAITING, Condition.UNREACHABLE],
    ids=lambda name: name.value,
)
@pytest.mark.parametrize("wait_s", [None, 5.0], ids=["no wait", "5 s"])
def test_whatever_a_probe_finds_out_it_is_over(name: Condition, evidence: Evidence, wait_s: float | None) -> None:
    condition = in_trouble(name)
    tell(condition, evidence, 70.5, 9, wait_s, sent_s=70.0)
    assert not condition.probe.is_under_way(70.5)


@pytest.mark.parametrize("is_outage", [True, False], ids=["in an outage of ours", "otherwise"])
def test_a_probe_that_reveals_nothing_is_sent_again_at_once_in_an_outage_of_ours(is_outage: bool) -> None:
    condition = in_trouble(Condition.THROTTLED)
    condition.patience.note_outage(is_outage, 70.0)
    tell(condition, Evidence.NOTHING, 70.5, 9, sent_s=70.0)
    assert condition.name is Condition.THROTTLED
    assert condition.pause_s(70.5) == (0.0 if is_outage else 60.0)


@pytest.mark.parametrize(("evidence", "length"), [(Evidence.UNREACHED, 5), (Evidence.FAILED, 10)])
def test_after_redirects_have_shown_that_it_is_well_a_run_of_failures_begins_anew(
    evidence: Evidence, length: int
) -> None:
    condition = a_condition()
    for url in range(1, length + 1):
        tell(condition, evidence, 1.0, url, is_answer=False)
    assert condition.is_trouble
    for url in range(3):
        tell(condition, Evidence.HOP, 100.0, 50 + url)
    assert condition.name is Condition.HEALTHY
    for url in range(1, length):
        tell(condition, evidence, 101.0, 100 + url, is_answer=False)
    assert condition.name is Condition.HEALTHY
    tell(condition, evidence, 101.0, 200, is_answer=False)
    assert condition.is_trouble


def test_a_refusal_at_random_is_a_refusal_of_a_server_that_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    condition = a_condition()
    monkeypatch.setattr(Runs, "is_noise_with", lambda *_: True)
    assert refused(condition, 1.0, 1) is Consequence.REFUSED
    assert (condition.name, condition.pause_s(1.0)) == (Condition.HEALTHY, 0.0)


def test_the_only_url_of_a_server_that_asks_for_waits_is_enough_once_patience_is_used_up() -> None:
    condition = a_condition(patience_s=60.0)
    condition.patience.note_idle(True, 0.0)
    for number in range(4):
        assert condition.verdict is None
        refused(condition, 40.0 * number, 1, wait_s=30.0)
    assert condition.verdict is Verdict.REFUSED, "three times after the first, with no other in between"


@pytest.mark.parametrize(
    ("saved", "files", "has_answered"),
    [
        ({}, 0, False),
        ({"files": 3}, 3, True),
        ({"successes": 2}, 2, True),
        ({"files": 3, "successes": 2}, 3, True),
        ({"has_answered": True}, 0, True),
    ],
    ids=["nothing", "files", "files of an earlier version", "both", "answers"],
)
def test_a_server_that_was_saved_has_answered_if_it_served(
    saved: dict[str, object], files: int, has_answered: bool
) -> None:
    condition = ServerCondition((5.0,), Patience(900.0, 0.0), 0.0)
    condition.load(Reader(saved), 0.0, 0.0)
    assert (condition.runs.files, condition.patience.has_answered) == (files, has_answered)


def test_without_configured_delays_the_first_is_five_seconds() -> None:
    condition = a_condition(delays_s=())
    for url in range(5):
        tell(condition, Evidence.UNREACHED, 0.0, url)
    assert condition.pause_s(0.0) == 5.0


def test_redirects_alone_show_that_it_is_well_after_three() -> None:
    condition = a_condition()
    refused(condition, 0.0, 1)
    for number in range(3):
        assert condition.name is Condition.SUSPECT
        tell(condition, Evidence.HOP, 5.0 + number, 0)
    assert condition.name is Condition.HEALTHY


def test_a_suspect_that_fails_without_refusing_is_asked_three_other_urls() -> None:
    condition = a_condition()
    for url in range(1, 11):
        tell(condition, Evidence.FAILED, 0.0, url)
    now_s, names = 0.0, []
    for url in (21, 22, 23):
        now_s += condition.pause_s(now_s)
        tell(condition, Evidence.FAILED, now_s, url, is_answer=False)
        names.append(condition.name)
    assert names == [Condition.SUSPECT, Condition.SUSPECT, Condition.THROTTLED]


@pytest.mark.parametrize(
    ("evidence", "name"), [(Evidence.SERVED, Condition.HEALTHY), (Evidence.FAILED, Condition.THROTTLED)]
)
def test_a_suspect_two_of_whose_probes_have_failed_is_asked_for_what_it_has_served(
    evidence: Evidence, name: Condition
) -> None:
    """What is left may be files that always fail: each would be a probe a minute after the one before."""
    condition = a_condition(files=20)
    condition.knows_control = True
    for url in range(1, 11):
        tell(condition, Evidence.FAILED, 0.0, url)
    now_s, probes = 0.0, []
    for url in (21, 22):
        now_s += condition.pause_s(now_s)
        probes.append(condition.probe_url)
        tell(condition, Evidence.FAILED, now_s, url)
    assert [*probes, condition.probe_url] == [ProbeUrl.NEW, ProbeUrl.NEW, ProbeUrl.SERVED]
    tell(condition, evidence, now_s + condition.pause_s(now_s), 99, is_control=True)
    assert condition.name is name


@pytest.mark.parametrize(
    ("is_first_answer", "silent", "name", "said"),
    [
        (True, 0, Condition.REFUSED, "500 no"),
        (True, SILENT_PROBES - 1, Condition.REFUSED, "500 no"),
        (True, SILENT_PROBES, Condition.DEAD, "timeout"),
        (False, 1, Condition.DEAD, "timeout"),
    ],
    ids=["answered", "answered, but not its last probes", "silent in the end", "silent"],
)
def test_patience_that_is_used_up_is_the_end_and_how_is_told_apart(
    is_first_answer: bool, silent: int, name: Condition, said: str
) -> None:
    condition = a_condition(patience_s=100.0)
    condition.patience.note_idle(True, 0.0)
    condition.knows_control = True

    def fail(now_s: float, url: int, is_answer: bool, *, is_control: bool = False) -> None:
        said = "500 no" if is_answer else "timeout"
        condition.probe_given("w", now_s, now_s + 1.0)
        tell(condition, Evidence.FAILED, now_s, url, is_answer=is_answer, said=said, is_control=is_control)

    for url in range(10):
        fail(0.0, url, is_first_answer)
    fail(2.0, 99, is_first_answer, is_control=True)
    assert (condition.name, condition.pause_s(62.0)) == (Condition.THROTTLED, 0.0)
    for number in range(silent - 1):
        fail(90.0, 99, False, is_control=True)
        fail(91.0 + number, 9, False)  # whose own fault it may be, as it has failed before
    fail(150.0, 99, silent == 0, is_control=True)
    verdict = Verdict(name.value)
    assert (condition.name, condition.verdict, condition.said) == (name, verdict, said)
    tell(condition, Evidence.REFUSED, 300.0, 4)
    assert condition.name is name


def probe_refused(condition: ServerCondition, now_s: float, url: int) -> None:
    condition.probe_given("w", now_s, now_s + 1.0)
    refused(condition, now_s, url)


def to_be_sampled(patience_s: float = 100.0) -> ServerCondition:
    """Four URLs were refused, one of them twice, the last when its patience was just used up."""
    condition = a_condition(patience_s=patience_s)
    condition.patience.note_idle(True, 0.0)
    for url, share in ((1, 0.0), (2, 0.02), (3, 0.62), (1, 0.66), (4, 1.02)):
        probe_refused(condition, share * patience_s, url)
    assert condition.verdict is None
    return condition


def test_a_server_that_answers_is_given_up_only_after_a_sample_of_its_urls() -> None:
    condition = to_be_sampled()
    for url in range(5, LEAST_SAMPLE):
        now_s = 100.0 + 3 * url
        probe_refused(condition, now_s, url)
        assert (condition.verdict, condition.probe_url) == (None, ProbeUrl.NEW)
        assert condition.pause_s(now_s) == SAMPLE_PAUSE_S, "one by one, and neither at once nor in minutes"
    assert condition.dump(145.0)["was_answered"]
    refused(condition, 145.0, LEAST_SAMPLE)
    assert condition.verdict is Verdict.REFUSED


def test_a_url_that_was_refused_and_redirects_now_shows_that_the_server_is_well() -> None:
    condition = a_condition()
    for url, now_s in ((1, 0.0), (2, 2.0)):
        refused(condition, now_s, url)
    tell(condition, Evidence.HOP, 62.0, 3)
    tell(condition, Evidence.HOP, 62.5, 0)
    assert condition.name is Condition.THROTTLED, "other redirects, and robots.txt, show less"
    tell(condition, Evidence.HOP, 63.0, 2)
    assert condition.name is Condition.HEALTHY


def test_a_server_that_states_short_waits_is_sampled_as_well() -> None:
    condition = a_condition(patience_s=100.0)
    condition.patience.note_idle(True, 0.0)
    for url, now_s in ((1, 0.0), (2, 70.0), (3, 110.0), (4, 148.0), (5, 156.0)):
        assert condition.verdict is None
        condition.probe_given("w", now_s, now_s + 1.0)
        refused(condition, now_s, url, wait_s=7.0)
        assert condition.pause_s(now_s) == 7.0
    assert condition.verdict is Verdict.REFUSED, "half as long as the patience at most"


def test_a_sample_ends_once_it_takes_too_long_or_nothing_can_be_reached() -> None:
    late, unreached = to_be_sampled(), to_be_sampled()
    probe_refused(late, 149.0, 5)
    assert late.verdict is None
    probe_refused(late, 151.0, 6)
    assert late.verdict is Verdict.REFUSED
    for number in range(3):
        assert unreached.verdict is None or number
        tell(unreached, Evidence.UNREACHED, 105.0 + number, 5 + number, is_answer=False)
    assert unreached.verdict is not None


def test_a_sample_ends_with_a_file_or_where_there_are_no_other_urls_or_where_a_served_one_fails() -> None:
    served, alone, compared = to_be_sampled(), to_be_sampled(), to_be_sampled()
    tell(served, Evidence.SERVED, 105.0, 5)
    assert served.name is Condition.HEALTHY
    for number in range(3):
        assert alone.verdict is None
        refused(alone, 105.0 + 5 * number, 1)
    assert alone.verdict is Verdict.REFUSED
    tell(compared, Evidence.REFUSED, 105.0, 9, is_control=True)
    assert compared.verdict is Verdict.REFUSED


def test_a_short_patience_is_not_prolonged_by_much() -> None:
    assert to_be_sampled(patience_s=15.0).pause_s(15.3) == pytest.approx(0.5)


def test_a_server_is_not_given_up_while_it_may_still_serve_what_was_requested_before() -> None:
    condition = a_condition(patience_s=100.0)
    condition.knows_control = condition.has_in_flight = True
    condition.patience.note_idle(True, 0.0)
    for url, now_s in ((1, 0.0), (2, 2.0)):
        probe_refused(condition, now_s, url)
    for now_s in (150.0, 170.0):
        condition.probe_given("w", now_s, now_s + 1.0)
        tell(condition, Evidence.REFUSED, now_s, 9, is_control=True)
        assert (condition.verdict, condition.pause_s(now_s)) == (None, 100.0 / PROBES)
    condition.has_in_flight = False
    assert condition.pause_s(170.0) == 0.0
    condition.probe_given("w", 171.0, 172.0)
    tell(condition, Evidence.REFUSED, 171.0, 9, is_control=True)
    assert condition.verdict is Verdict.REFUSED


def test_a_file_that_was_requested_before_the_pause_is_worth_another_patience() -> None:
    condition = a_condition(patience_s=100.0)
    condition.knows_control = True
    condition.patience.note_idle(True, 0.0)
    for url, now_s in ((1, 10.0), (2, 12.0)):
        refused(condition, now_s, url)
    tell(condition, Evidence.SERVED, 80.0, 9, sent_s=1.0)
    assert condition.name is Condition.THROTTLED
    for now_s, verdict in ((120.0, None), (250.0, Verdict.REFUSED)):
        tell(condition, Evidence.REFUSED, now_s, 9, is_control=True)
        assert condition.verdict is verdict


def test_a_pause_of_ours_ends_with_the_patience_for_a_last_probe() -> None:
    condition = a_condition(patience_s=30.0)
    condition.patience.note_idle(True, 0.0)
    refused(condition, 0.0, 1)
    refused(condition, 2.0, 2)
    assert condition.pause_s(2.0) == 30.0 / PROBES
    condition.probe_given("w", 27.0, 28.0)
    refused(condition, 27.0, 3)
    assert condition.pause_s(27.0) == 3.0
    asked = a_condition(patience_s=30.0)
    asked.patience.note_idle(True, 0.0)
    refused(asked, 0.0, 1, wait_s=500.0)
    assert asked.pause_s(0.0) == 500.0, "what the server asks for is obeyed"


def test_an_outage_of_ours_asks_for_a_probe_of_those_that_were_silent() -> None:
    condition = a_condition()
    for url in range(5):
        tell(condition, Evidence.UNREACHED, 0.0, url, is_answer=False)
    condition.probe_now(1.0)
    assert condition.pause_s(1.0) == 0.0
    said_so = a_condition()
    refused(said_so, 0.0, 1)
    said_so.probe_now(1.0)
    assert said_so.pause_s(1.0) == 1.0


def test_what_was_learned_goes_on_and_what_was_given_up_is_tried_again() -> None:
    condition = a_condition(files=3)
    refused(condition, 0.0, 1)
    refused(condition, 2.0, 2)
    saved = condition.dump(12.0)
    assert (saved["condition"], saved["said"], saved["files"], saved["pause_s"]) == (
        "throttled", "429 slow down", 3, 50.0,
    )  # fmt: skip
    assert len(saved["log"]) == 2
    again = a_condition()
    again.load(Reader(saved), 20.0, 500.0)
    assert (again.name, again.pause_s(500.0), again.said, again.runs.files) == (
        Condition.THROTTLED, 30.0, "429 slow down", 3,
    )  # fmt: skip
    assert again.reason is WaitReason.BACKOFF
    for name, after in (("dead", Condition.WAITING), ("nonsense", Condition.WAITING), ("healthy", Condition.WAITING)):
        other = a_condition()
        other.load(Reader({**saved, "condition": name}), 0.0, 500.0)
        assert other.name is after, "a pause that was under way goes on"
        rested = a_condition()
        rested.load(Reader({**saved, "condition": name}), 50.0, 500.0)
        assert rested.name is Condition.HEALTHY


def test_the_log_has_what_happened_in_trouble_and_its_last_entries_are_kept() -> None:
    condition = a_condition()
    tell(condition, Evidence.SERVED, 0.0, 1)
    for number in range(150):
        refused(condition, number * 1000.0, 1 + number % 2)
    assert len(condition.log) == 100
    assert len(condition.dump(0.0)["log"]) == 10
    assert condition.log[-1].after is condition.name


def test_a_suspect_is_not_given_up_however_many_of_its_urls_fail() -> None:
    condition = a_condition(patience_s=10.0)
    condition.patience.note_idle(True, 0.0)
    for url in range(1, 11):
        tell(condition, Evidence.FAILED, 0.0, url)
    tell(condition, Evidence.FAILED, 50.0, 21)
    assert (condition.name, condition.verdict) == (Condition.SUSPECT, None)


def test_one_that_asks_for_waits_is_given_up_once_other_urls_show_it() -> None:
    condition = a_condition(patience_s=10.0)
    condition.patience.note_idle(True, 0.0)
    refused(condition, 0.0, 1, wait_s=30.0)
    refused(condition, 30.0, 1, wait_s=30.0)
    assert condition.name is Condition.WAITING, "one URL decides nothing"
    refused(condition, 60.0, 2, wait_s=30.0)
    assert condition.name is Condition.REFUSED


DAY_S = 86_400.0


def test_a_wait_of_a_day_is_believed_once_another_url_is_refused_too() -> None:
    condition = a_condition()
    refused(condition, 0.0, 1, wait_s=DAY_S)
    assert (condition.name, condition.pause_s(0.0)) == (Condition.SUSPECT, 2.0)
    condition.probe_given("w", 2.0, 3.0)
    refused(condition, 2.0, 2, wait_s=DAY_S)
    assert (condition.name, condition.pause_s(2.0)) == (Condition.WAITING, DAY_S)
    of_an_hour = a_condition()
    refused(of_an_hour, 0.0, 1, wait_s=3600.0)
    assert of_an_hour.pause_s(0.0) == 3600.0


def test_a_url_that_says_tomorrow_while_others_are_served_does_not_put_its_server_off() -> None:
    condition = a_condition()
    refused(condition, 0.0, 1, wait_s=DAY_S)
    condition.probe_given("w", 2.0, 3.0)
    tell(condition, Evidence.SERVED, 2.0, 2)
    tell(condition, Evidence.NOTHING, 3.0, 1, wait_s=DAY_S)
    assert (condition.name, condition.pause_s(3.0)) == (Condition.HEALTHY, 0.0)


def test_urls_whose_waits_were_their_own_do_not_stop_their_server_again_and_again() -> None:
    condition, now_s, pauses_s = a_condition(), 0.0, []
    for url in range(1, 7):
        refused(condition, now_s, url, wait_s=60.0)
        pauses_s.append(condition.pause_s(now_s))
        now_s += pauses_s[-1]
        condition.probe_given("w", now_s, now_s + 1.0)
        tell(condition, Evidence.SERVED, now_s, 100 + url)
        tell(condition, Evidence.NOTHING, now_s + 1.0, url, wait_s=60.0)
        condition.was_odd(url, states_wait=True)
        now_s += 1.0 + condition.pause_s(now_s + 1.0)
        tell(condition, Evidence.SERVED, now_s, 200 + url)
    assert pauses_s[:3] == [60.0] * 3
    assert max(pauses_s[3:]) < 1.0
    assert refused(condition, now_s, 99, wait_s=60.0) is not None
    condition.probe_given("w", now_s + 2.0, now_s + 3.0)
    refused(condition, now_s + 2.0, 98, wait_s=60.0)
    assert condition.pause_s(now_s + 2.0) == 60.0, "another URL says so, too"


def test_a_late_answer_of_a_server_that_is_well_again_counts_only_if_its_wait_is_not_over() -> None:
    condition = a_condition()
    refused(condition, 10.0, 1, wait_s=30.0)
    tell(condition, Evidence.SERVED, 41.0, 2)
    for wait_s, name in ((31.0, Condition.HEALTHY), (31.5, Condition.WAITING)):
        late = Event(Evidence.REFUSED, 42.0, 11.0, 9.0, 3, wait_s, 0.0, 0.0, True, "429")
        assert condition.on(late) is Consequence.NONE
        assert condition.name is name
    assert condition.pause_s(42.0) == pytest.approx(0.5)


def test_a_late_answer_prolongs_a_pause_of_ours_and_the_trouble_stays_what_it_is() -> None:
    condition = a_condition(patience_s=30.0)
    condition.patience.note_idle(True, 0.0)
    refused(condition, 0.0, 1)
    refused(condition, 2.0, 2)
    assert condition.name is Condition.THROTTLED
    tell(condition, Evidence.REFUSED, 3.0, 3, wait_s=500.0, sent_s=1.0)
    assert condition.name is Condition.THROTTLED
    assert condition.pause_s(3.0) == 500.0, "no probe as patience ends: the server stated how long"


def test_strikes_without_a_refusal_teach_the_rate_nothing() -> None:
    condition = a_condition()
    said = [tell(condition, Evidence.FAILED, 0.0, url) for url in range(1, 11)]
    now_s = 0.0
    for url in (21, 22, 23):
        now_s += condition.pause_s(now_s)
        said.append(tell(condition, Evidence.FAILED, now_s, url))
    assert condition.name is Condition.THROTTLED
    assert said[10:] == [Consequence.NONE] * 3
    by_refusals = a_condition()
    refused(by_refusals, 0.0, 1)
    assert refused(by_refusals, 2.0, 2) is Consequence.REFUSED_FOR_LONG
    assert refused(by_refusals, 62.0, 3) is Consequence.NONE


def test_a_failed_probe_between_redirects_makes_them_count_from_the_beginning() -> None:
    condition = a_condition()
    refused(condition, 0.0, 1)
    now_s = 5.0
    for answer in (Evidence.HOP, Evidence.HOP, Evidence.REFUSED, Evidence.HOP, Evidence.HOP):
        tell(condition, answer, now_s, 2 if answer is Evidence.REFUSED else 3)
        now_s += condition.pause_s(now_s) + 1.0
    assert condition.is_trouble
    tell(condition, Evidence.HOP, now_s)
    assert condition.name is Condition.HEALTHY


def test_what_is_saved_of_a_server_without_a_history() -> None:
    fresh = a_condition().dump(0.0)
    assert (fresh["condition"], fresh["is_answer"], fresh["probes_failed"]) == ("healthy", False, 0)
    recovered = a_condition()
    for url in range(5):
        tell(recovered, Evidence.UNREACHED, 0.0, url, is_answer=False)
    tell(recovered, Evidence.UNREACHED, 5.0, 9, is_answer=False)
    assert recovered.dump(5.0)["probes_failed"] == 1
    tell(recovered, Evidence.SERVED, 30.0, 1)
    assert recovered.dump(30.0)["probes_failed"] == 0


def test_a_wait_of_hours_that_one_url_demands_is_checked_with_a_url_that_was_served() -> None:
    condition = a_condition(files=10)
    refused(condition, 0.0, 1, wait_s=86_400.0)
    assert (condition.name, condition.probe_url) == (Condition.SUSPECT, ProbeUrl.SERVED)
    again = a_condition()
    again.load(Reader(condition.dump(0.0)), 1.0, 0.0)
    assert again.probe_url is ProbeUrl.SERVED, "a restart does not make another URL its witness"
    tell(condition, Evidence.SERVED, 3.0, 99, is_control=True)
    assert (condition.name, condition.probe_url) == (Condition.HEALTHY, ProbeUrl.NEW)


def probed_after_patience() -> ServerCondition:
    """Of a server that served, refused two URLs, and was waited for; a probe is under way at 70 s."""
    condition = a_condition(files=10, patience_s=60.0)
    condition.patience.note_idle(True, 0.0)
    condition.knows_control = True
    refused(condition, 0.0, 1)
    refused(condition, 3.0, 2)
    condition.probe_given("task", 70.0, 71.0)
    return condition


def test_the_last_word_on_a_server_that_served_has_a_url_that_was_served() -> None:
    """The last rows of a server may all have errors of their own; one that waited elsewhere was lost with them."""
    condition = probed_after_patience()
    refused(condition, 70.0, 3)
    assert (condition.verdict, condition.probe_url) == (None, ProbeUrl.SERVED)
    for number in range(MOST_COMPARISONS):
        assert condition.verdict is None
        condition.probe_given("task", 80.0 + number, 81.0 + number)
        refused(condition, 80.0 + number, 4 + number)
    assert condition.verdict is Verdict.REFUSED, "its holders know no such URL"


def test_a_refused_control_ends_patience_at_once() -> None:
    condition = probed_after_patience()
    tell(condition, Evidence.REFUSED, 70.0, 99, is_control=True)
    assert condition.verdict is Verdict.REFUSED


def test_a_url_that_is_refused_again_after_its_own_wait_makes_a_suspect_and_no_more() -> None:
    condition = a_condition()
    refused(condition, 0.0, 1, wait_s=30.0)
    assert condition.name is Condition.WAITING
    refused(condition, 30.0, 1)
    assert condition.name is Condition.SUSPECT


def test_a_server_that_was_in_trouble_uses_up_its_patience_from_where_it_continues() -> None:
    condition = a_condition(files=3)
    refused(condition, 0.0, 1)
    refused(condition, 2.0, 2)
    again = a_condition()
    again.load(Reader(condition.dump(12.0)), 20.0, 500.0)
    again.patience.note_idle(True, 500.0)
    assert again.patience.last_probe_s(500.0) is not None, "its time runs"
    well = a_condition()
    well.load(Reader(a_condition(files=3).dump(12.0)), 20.0, 500.0)
    well.patience.note_idle(True, 500.0)
    assert well.patience.last_probe_s(500.0) is None
