"""The budgets of many servers answer in order, learn over restarts, and send one probe through an outage."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from ray_downloader.config.settings import DownloaderParameters, PolitenessSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.monitor.waiting import iso_time
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, Verdict, WaitReason
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.profile.table import ProfiledWait
from ray_downloader.run_folder.instants import SAVED_AT, Instant
from ray_downloader.run_folder.orders import ServerOrder
from ray_downloader.worker import budgets as budgets_module
from ray_downloader.worker.budgets import BudgetReply, Budgets
from ray_downloader.worker.kept_states import REST_S, KeptStates
from ray_downloader.worker.progress import ProgressDelta


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def budgets(clock: Clock, saved: Mapping[str, Mapping[str, Any]] | None = None, **politeness: Any) -> Budgets:
    policies = PolicyBook(PolitenessSettings.model_validate(politeness), DownloaderParameters(), {})
    return Budgets(policies, saved, clock, random.Random(1), lambda: Instant(5_000_000.0 + clock()))


def ask(given: Budgets, server: str, *outcomes: Outcome, wanted: int = 5, holder: str = "task") -> Lease:
    (lease,) = given.lease([LeaseRequest(server, holder, wanted, outcomes=outcomes)]).leases
    return lease


def test_each_request_is_answered_in_order_by_its_own_budget(clock: Clock) -> None:
    given = budgets(clock)
    requests = [LeaseRequest(server, "task", 5) for server in ("b.org", "a.org", "b.org")]
    reply = given.lease(requests)
    assert [lease.server for lease in reply.leases] == ["b.org", "a.org", "b.org"]
    assert reply.leases[0].permits > 0
    assert not reply.is_draining


def test_a_drain_is_told_with_every_answer_from_then_on(clock: Clock) -> None:
    given = budgets(clock)
    assert given.report(ProgressDelta({}, 0)) == BudgetReply((), False)
    given.drain()
    assert given.lease([]).is_draining
    assert given.report(ProgressDelta({}, 0)).is_draining


def test_a_drain_is_news_about_what_may_have_been_granted_since_the_last_save(clock: Clock) -> None:
    """A kill would hide it, so the requests of a day count some that are not granted yet; a run that ends has none."""
    given = budgets(clock, rules=[{"server": "a.org", "max_requests_per_day": 100}])
    ask(given, "a.org", wanted=1)
    ask(given, "b.org", wanted=1)
    saved = given.state_news(())
    assert saved.states["a.org"]["day_requests_unsaved"] > 0
    assert saved.states["b.org"]["day_requests_unsaved"] == 0
    given.drain()
    last = given.state_news((saved.number,))
    assert {budget: state["day_requests_unsaved"] for budget, state in last.states.items()} == {"a.org": 0}


def test_what_tasks_did_is_counted_with_its_time(clock: Clock) -> None:
    given = budgets(clock)
    given.report(ProgressDelta({("a.org", ""): 2}, 10))
    clock.now_s += 5
    given.report(ProgressDelta({("a.org", ""): 1, ("a.org", "dns"): 1}, 7, is_busy=False))
    counted = given.progress_news(None).progress
    assert counted.settled == {("a.org", ""): 3, ("a.org", "dns"): 1}
    assert (counted.size_bytes, counted.busy_at_s) == (17, 1000.0)


def test_only_what_has_changed_is_news_and_it_is_repeated_until_it_is_confirmed(clock: Clock) -> None:
    given = budgets(clock)
    for server in ("a.org", "b.org"):
        ask(given, server)
    lost = given.state_news(())
    assert (set(lost.states), lost.is_more) == ({"a.org", "b.org"}, False)
    ask(given, "c.org")
    again = given.state_news(())
    assert list(again.states) == ["a.org", "b.org", "c.org"], "the answer may have been lost"
    ask(given, "b.org")
    assert list(given.state_news({lost.number, again.number}).states) == ["b.org"]


def test_without_a_change_one_state_is_news_as_its_time_counts(clock: Clock) -> None:
    given = budgets(clock)
    assert given.state_news(()).states == {}
    ask(given, "a.org")
    ask(given, "b.org")
    confirmed = {given.state_news(()).number}
    assert len(given.state_news(confirmed).states) == 1


def test_an_actor_with_many_servers_reports_them_in_turns(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets_module, "MOST_SNAPSHOTS", 2)
    given = budgets(clock)
    servers = ["a.org", "b.org", "c.org", "d.org", "e.org"]
    for server in servers:
        ask(given, server)
    reported, number = [], 0
    for _ in range(3):
        news = given.state_news({number})
        number = news.number
        reported.append((list(news.states), news.is_more))
    assert reported == [(["a.org", "b.org"], True), (["c.org", "d.org"], True), (["e.org"], False)]


def test_orders_outages_and_lost_tasks_are_changes_only_where_they_change_something(clock: Clock) -> None:
    given = budgets(clock)
    for server, holder in (("a.org", "one"), ("b.org", "two"), ("c.org", "two")):
        given.lease([LeaseRequest(server, holder, 5, in_flight=2)])

    def changed(number: int) -> tuple[int, list[str]]:
        news = given.state_news({number})
        return news.number, list(news.states)

    number, _ = changed(0)
    given.note_idle(True)
    given.forget("one")
    given.forget("nobody")
    given.order(ServerOrder("ban", "b.org"))
    number, servers = changed(number)
    assert servers == ["a.org", "b.org"]
    given.note_outage(True)
    number, servers = changed(number)
    assert servers == ["a.org", "b.org", "c.org"]
    given.note_outage(True)
    assert len(changed(number)[1]) == 1


def test_a_lease_after_an_old_snapshot_may_be_younger_than_that_and_still_in_use(clock: Clock) -> None:
    """The state did not change for long and was not saved again; then it granted permits, and its process died."""
    given = budgets(clock)
    ask(given, "a.org")
    state = given.snapshots()["a.org"]
    now_unix_s = 5_001_000.0
    quiet = budgets(clock, {"a.org": {**state, SAVED_AT: now_unix_s - 900}})
    assert ask(quiet, "a.org").permits > 0, "nobody granted anything since"
    others = {"b.org": {**state, SAVED_AT: now_unix_s - 3}}
    saved_lately = budgets(clock, {"a.org": {**state, SAVED_AT: now_unix_s - 900}, **others})
    assert ask(saved_lately, "a.org").permits == 0


def test_what_was_learned_is_in_the_snapshot_and_goes_on_from_it(clock: Clock) -> None:
    given = budgets(clock)
    ask(given, "a.org")
    ask(given, "a.org", Outcome(ErrorKind.HTTP_429, 429, retry_after_s=600.0))
    ask(given, "b.org")
    assert set(given.snapshots()) == {"a.org", "b.org"}
    saved = {name: {**state, SAVED_AT: 5_001_000.0} for name, state in given.snapshots().items()}
    clock.now_s += 100
    again = budgets(clock, saved)
    lease = ask(again, "a.org")
    assert lease.permits == 0
    assert lease.request_again_in_s == pytest.approx(500.0)
    assert set(again.snapshots()) == {"a.org"}, "of the others nothing was asked"
    fresh = budgets(clock)
    assert ask(fresh, "a.org").permits > 0


def test_a_clock_that_was_set_since_ends_no_wait(clock: Clock) -> None:
    given = budgets(clock)
    ask(given, "a.org", Outcome(ErrorKind.HTTP_429, 429, retry_after_s=600.0))
    saved_at = Instant(4_000_000.0, "boot", 900.0)
    saved = {name: {**state, **saved_at.in_state()} for name, state in given.snapshots().items()}
    policies = PolicyBook(PolitenessSettings(), DownloaderParameters(), {})
    again = Budgets(policies, saved, clock, random.Random(1), lambda: Instant(5_000_000.0, "boot", 1000.0))
    assert ask(again, "a.org").request_again_in_s == pytest.approx(500.0)


def test_a_snapshot_from_the_future_is_of_now(clock: Clock) -> None:
    given = budgets(clock)
    ask(given, "a.org", Outcome(ErrorKind.HTTP_429, 429, retry_after_s=600.0))
    saved = {name: {**state, SAVED_AT: 6_000_000.0} for name, state in given.snapshots().items()}
    assert ask(budgets(clock, saved), "a.org").request_again_in_s == pytest.approx(600.0)


def test_an_order_reaches_a_server_that_was_not_asked_for_yet(clock: Clock) -> None:
    given = budgets(clock)
    given.order(ServerOrder("ban", "a.org"))
    assert ask(given, "a.org").verdict is Verdict.BANNED
    given.order(ServerOrder("resume", "a.org"))
    given.order(ServerOrder("rate", "a.org", 0.5))
    assert ask(given, "a.org").interval_s >= 2.0
    assert ask(given, "b.org").verdict is Verdict.OPEN


def test_who_waits_is_listed_with_the_reason(clock: Clock) -> None:
    given = budgets(clock)
    ask(given, "a.org")
    assert given.waiting() == {}
    given.order(ServerOrder("pause", "b.org"))
    (waiting,) = given.waiting().items()
    assert (waiting[0], waiting[1].reason, waiting[1].until) == ("b.org", WaitReason.PAUSED_BY_OPERATOR, None)


def test_during_an_outage_one_request_now_and_then_finds_out(clock: Clock) -> None:
    given = budgets(clock)
    given.note_outage(True)
    assert ask(given, "a.org").permits > 0, "the first probe"
    held = ask(given, "b.org")
    assert (held.permits, held.verdict, held.reason) == (0, Verdict.PAUSED, WaitReason.OUTAGE)
    assert held.request_again_in_s == pytest.approx(1.0)
    clock.now_s += 1.0
    assert ask(given, "b.org").permits > 0
    assert ask(given, "c.org").request_again_in_s == pytest.approx(2.0)
    given.note_outage(False)
    assert ask(given, "c.org").permits > 0


def test_a_request_that_wants_nothing_is_no_probe(clock: Clock) -> None:
    given = budgets(clock)
    given.note_outage(True)
    ask(given, "a.org", wanted=0)
    assert ask(given, "b.org").permits > 0


class Noted:
    """A state as far as it is told things."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool, float]] = []

    def note_idle(self, is_idle: bool, now_s: float) -> None:
        self.told.append(("idle", is_idle, now_s))

    def note_outage(self, is_outage: bool, now_s: float) -> None:
        self.told.append(("outage", is_outage, now_s))


def test_every_server_learns_whether_the_run_is_idle_and_the_network_works(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = budgets(clock)
    early, late = Noted(), Noted()
    given._states.add("a.org", early, clock())  # type: ignore[arg-type]  # the part of it that is used
    given.note_idle(True)
    given.note_outage(True)
    assert early.told == [("idle", True, 1000.0), ("outage", True, 1000.0)]
    monkeypatch.setattr("ray_downloader.worker.budgets.ServerState", lambda _policy, _now_s: late)
    clock.now_s = 1007.0
    given._state("b.org", clock())
    assert late.told == [("idle", True, 1007.0), ("outage", True, 1007.0)], "also one that is asked for later"


def test_what_servers_asked_the_probe_for_is_kept(clock: Clock) -> None:
    given = budgets(clock, rules=[{"server": "*.grouped.example", "group": "grouped"}])
    now_unix_s = given._now().unix_s
    given.heed_probes(
        {
            "waits.example": ProfiledWait(None, now_unix_s + 120.0),
            "over.example": ProfiledWait(None, now_unix_s - 1.0),
            "slow.example": ProfiledWait(20.0, None),
            "a.grouped.example": ProfiledWait(None, now_unix_s + 60.0),
        }
    )
    assert ask(given, "waits.example").permits == 0
    assert ask(given, "grouped").permits == 0
    assert ask(given, "over.example").permits > 0
    assert ask(given, "slow.example").interval_s >= 20.0
    waiting = given.waiting()
    assert {"waits.example", "grouped"} <= set(waiting)
    assert waiting["waits.example"].reason is WaitReason.RETRY_AFTER
    assert waiting["waits.example"].until == iso_time(now_unix_s + 120.0)
    clock.now_s += 121.0
    assert ask(given, "waits.example").permits > 0


@pytest.mark.parametrize("given_ago_s", [3600.0, 0.0, -3600.0])
def test_an_ordered_rate_that_is_not_in_the_snapshot_is_obeyed_whatever_the_clock_says(
    clock: Clock, given_ago_s: float
) -> None:
    """An order counted as known if its clock was behind: the rate of before was used for the rest of the run."""
    saved_at_unix_s = 5_000_000.0 + clock() - 5.0
    order = ServerOrder("rate", "a.org", 0.5, saved_at_unix_s - given_ago_s)
    given = budgets(clock, {"a.org": {SAVED_AT: saved_at_unix_s, "rate_rps": 10.0}})
    given.remember([order])
    assert ask(given, "a.org").permits == 0, "leases of the process before may still be used"
    clock.now_s += 10.0
    assert ask(given, "a.org").interval_s >= 2.0


def test_what_was_learned_below_an_ordered_rate_outlives_the_process(clock: Clock) -> None:
    saved_at_unix_s = 5_000_000.0 + clock() - 5.0
    learned = {SAVED_AT: saved_at_unix_s, "rate_rps": 0.25, "ordered_rps": 0.5}
    given = budgets(clock, {"a.org": learned})
    given.remember([ServerOrder("rate", "a.org", 0.5, saved_at_unix_s - 1.0)])
    assert ask(given, "a.org").permits == 0
    clock.now_s += 10.0
    assert ask(given, "a.org").interval_s >= 4.0


def test_what_was_packed_answers_like_any_other_and_knows_the_condition_of_the_run(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, plain = budgets(clock), budgets(clock)
    monkeypatch.setattr(given, "_states", KeptStates(unpacked=0))
    for one in (given, plain):
        for server in ("a.org", "b.org"):
            ask(one, server)
            one.lease([LeaseRequest(server, "task", 0, outcomes=(Outcome(None, 200),))])
    clock.now_s += REST_S + 1
    for one in (given, plain):
        one.note_outage(True)
        ask(one, "c.org")
        ask(one, "c.org")
    assert given.waiting() == plain.waiting()
    assert set(given.waiting()) == {"a.org", "b.org", "c.org"}
    assert list(given._states.packed) == [], "nothing rests during an outage"
    for one in (given, plain):
        one.note_outage(False)
        ask(one, "c.org")
    clock.now_s += REST_S + 1
    for one in (given, plain):
        ask(one, "c.org")
    assert set(given._states.packed) == {"a.org", "b.org"}
    for one in (given, plain):
        one.note_outage(True)
        one.note_idle(True)
    assert given.waiting() == plain.waiting()
    assert given.snapshots().keys() == plain.snapshots().keys()
    assert ask(given, "a.org") == ask(plain, "a.org")
    given.order(ServerOrder("ban", "b.org"))
    assert given.snapshots()["b.org"]["verdict"] == "banned"


def test_each_process_of_a_budget_actor_numbers_its_news_differently() -> None:
    policies = PolicyBook(PolitenessSettings(), DownloaderParameters(), {})
    numbers = []
    for given in (Budgets(policies), Budgets(policies, incarnation=1)):
        numbers += [given.progress_news(None).number, given.state_news(()).number]
    assert numbers == [1, 1, 2**32 + 1, 2**32 + 1]
