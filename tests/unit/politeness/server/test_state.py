from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.headers.x_robots_tag import OPT_OUT_ANSWERS
from ray_downloader.politeness.leases.timeline import spacing_s
from ray_downloader.politeness.messages import Lease, LeaseRequest, Outcome, ProbeUrl, Verdict, WaitReason
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.server.backoff import FIRST_SECONDS_S
from ray_downloader.politeness.server.condition import LEAST_SAMPLE
from ray_downloader.politeness.server.rate import COSTLY_PLATEAU_FACTOR
from ray_downloader.politeness.server.runs import UNREACHED_RUN
from ray_downloader.politeness.server.state import MAX_HINT_S, ServerState

POLICY = ServerPolicy(10.0, 100.0)
SUCCESS = Outcome(None, 200, 1000)
RNG = random.Random(1)


def ask(
    state: ServerState, now_s: float, *outcomes: Outcome, holder: str = "a", wanted: int = 99, unused: int = 0
) -> Lease:
    return state.handle(LeaseRequest("s", holder, wanted, 0, unused, outcomes), now_s, RNG)


def refused(retry_after_s: float | None = None, age_s: float = 0.0, status: int = 429) -> Outcome:
    return Outcome(ErrorKind.HTTP_429, status, retry_after_s=retry_after_s, age_s=age_s)


def named(url_hash: int, kind: ErrorKind | None = ErrorKind.HTTP_429, status: int = 429) -> Outcome:
    return Outcome(kind, status, url_hash=url_hash)


def condition_of(state: ServerState, now_s: float = 0.0) -> str:
    return str(state.snapshot(now_s)["condition"])


def rate_of(state: ServerState, now_s: float = 0.0) -> float:
    return float(state.snapshot(now_s)["rate_rps"])


# -- leases -----------------------------------------------------------------------------------------------------------


def test_a_holder_that_is_alone_gets_about_two_seconds_of_a_settled_rate() -> None:
    lease = ask(ServerState(ServerPolicy(25.0, 25.0), 0.0), 0.0)
    assert lease.interval_s == pytest.approx(spacing_s(25.0))
    assert 1.8 < lease.permits * lease.interval_s <= 2.0


def test_several_holders_get_short_leases_one_after_the_other() -> None:
    state = ServerState(ServerPolicy(25.0, 25.0), 0.0)
    ask(state, 0.0, holder="a", wanted=1)
    second, third = ask(state, 0.01, holder="b", wanted=1), ask(state, 0.02, holder="c")
    assert third.permits * third.interval_s <= 0.5
    assert 0.02 + third.first_in_s > 0.01 + second.valid_s


def test_a_holder_that_asks_twice_gets_the_same_lease() -> None:
    state = ServerState(ServerPolicy(10.0, 10.0), 0.0)
    ask(state, 0.0, holder="a", wanted=3)
    first, again = ask(state, 0.0, holder="b"), ask(state, 0.1, holder="b")
    assert again.serial == first.serial
    assert again.permits == first.permits
    assert again.first_in_s == pytest.approx(first.first_in_s - 0.1)


def test_a_lost_holder_costs_no_more_than_its_lease() -> None:
    state = ServerState(ServerPolicy(25.0, 25.0), 0.0)
    lost = ask(state, 0.0, holder="lost")
    assert ask(state, 60.0, holder="b").first_in_s == 0.0
    assert lost.valid_s < 2.4


def test_a_lease_far_in_the_future_is_not_given_yet() -> None:
    state = ServerState(ServerPolicy(0.1, 0.1), 0.0)
    ask(state, 0.0, holder="a")
    lease = ask(state, 0.1, holder="b")
    assert lease.permits == 0
    assert ask(state, 0.1 + lease.request_again_in_s, holder="b").permits == 1


def test_without_a_rate_only_connections_are_limited() -> None:
    lease = ask(ServerState(ServerPolicy(None, None, max_connections=64), 0.0), 0.0, refused(), wanted=500)
    assert (lease.permits, lease.interval_s, lease.connections, lease.burst) == (500, 0.0, 48, 500)


def test_a_holder_that_wants_nothing_gets_nothing() -> None:
    assert ask(ServerState(POLICY, 0.0), 0.0, wanted=0).permits == 0


def test_retries_are_a_share_of_what_was_asked() -> None:
    state = ServerState(ServerPolicy(100.0, 100.0), 0.0)
    assert ask(state, 0.0).retries == 10
    spent = [Outcome(ErrorKind.RESET, is_retry=True)] * 9
    assert ask(state, 5.0, *spent, SUCCESS).retries == 2


def test_a_burst_does_not_break_a_crawl_delay_or_an_ordered_rate() -> None:
    state = ServerState(replace(POLICY, burst=5), 0.0)
    assert ask(state, 0.0).burst > 1
    assert state.handle(LeaseRequest("s", "a", 9, crawl_delay_s=1.0, unused=9), 1.0, RNG).burst == 1
    ordered = ServerState(replace(POLICY, burst=5), 0.0)
    ordered.order("rate", 2.0)
    assert ask(ordered, 0.0).burst == 1


def test_a_crawl_delay_slows_the_server() -> None:
    state = ServerState(POLICY, 0.0)
    request = LeaseRequest("s", "a", 9, crawl_delay_s=5.0)
    assert state.handle(request, 0.0, RNG).interval_s == pytest.approx(spacing_s(0.2))


# -- throttled answers ------------------------------------------------------------------------------------------


def test_a_server_is_left_alone_as_long_as_it_says_and_then_asked_less() -> None:
    state = ServerState(POLICY, 0.0)
    lease = ask(state, 1.0, refused(retry_after_s=7.0))
    assert (lease.permits, lease.verdict, lease.request_again_in_s) == (0, Verdict.PAUSED, pytest.approx(7.0))
    lease = ask(state, 8.0)
    assert (lease.verdict, lease.interval_s) == (Verdict.OPEN, pytest.approx(0.2))


def test_a_pause_holds_for_every_holder() -> None:
    state = ServerState(POLICY, 0.0)
    ask(state, 1.0, refused(retry_after_s=7.0), holder="a")
    assert ask(state, 2.0, holder="b").verdict is Verdict.PAUSED


def test_an_incident_counts_once_however_many_requests_were_under_way() -> None:
    state = ServerState(POLICY, 0.0)
    ask(state, 0.0)
    ask(state, 1.0, *[refused() for _ in range(4)])
    ask(state, 1.5, *[refused(age_s=0.4) for _ in range(4)], holder="b")
    assert state.snapshot(1.5)["incidents"] == 1
    assert rate_of(state) == 5.0


def pause_of(state: ServerState, now_s: float) -> float:
    return float(state.snapshot(now_s)["pause_s"])


def test_a_first_refusal_costs_seconds_and_only_another_url_makes_it_minutes_that_double() -> None:
    state = ServerState(POLICY, 0.0)
    ask(state, 1.0, named(1))
    assert pause_of(state, 1.0) == FIRST_SECONDS_S
    assert ask(state, 3.5).is_probe
    ask(state, 3.6, named(1))
    assert pause_of(state, 3.6) == pytest.approx(2 * FIRST_SECONDS_S), "the same URL says nothing new"
    ask(state, 8.0, named(2))
    assert 60.0 <= pause_of(state, 8.0) <= 66.0
    ask(state, 80.0, named(3))
    assert pause_of(state, 80.0) < 60.0, "a URL that was refused before is tried again once"
    ask(state, 100.0, named(1))
    assert 120.0 <= pause_of(state, 100.0) <= 132.0
    ask(state, 300.0, named(4, kind=None, status=200))
    assert condition_of(state) == "healthy"


def test_a_url_that_is_refused_while_others_are_served_gives_back_what_its_refusal_took() -> None:
    state = ServerState(POLICY, 0.0)
    ask(state, 0.0)
    ask(state, 1.0, *[replace(SUCCESS, url_hash=number) for number in range(100, 120)])
    before_rps = rate_of(state)
    ask(state, 1.1, named(1))
    assert rate_of(state) < before_rps
    ask(state, 3.5, named(2, kind=None, status=200))
    ask(state, 9.0, replace(named(1), is_odd=True))
    assert rate_of(state) >= before_rps
    assert state.snapshot(9.0)["incident_rps"] is None
    assert condition_of(state) == "healthy"


def test_answers_that_there_is_no_file_are_compared_with_a_refusal() -> None:
    state, gone = ServerState(POLICY, 0.0), Outcome(ErrorKind.HTTP_4XX, 404)
    for number in range(20):
        ask(state, 0.25 * number, gone)
    ask(state, 20.0, named(1))
    assert rate_of(state) < 10.0
    ask(state, 30.0, gone)
    assert state.snapshot(30.0)["refusal_noise"] == 3.0
    assert state.snapshot(30.0)["incident_rps"] is None
    fixed = ServerState(replace(POLICY, adaptive=False), 0.0)
    for number in range(20):
        ask(fixed, 0.25 * number, gone)
    assert fixed.snapshot(30.0)["refusal_noise"] == 0.0


def test_a_fixed_rate_stays_and_pauses_all_the_same() -> None:
    state = ServerState(ServerPolicy(10.0, 10.0, adaptive=False), 0.0)
    assert ask(state, 1.0, refused(retry_after_s=2.0)).verdict is Verdict.PAUSED
    assert rate_of(state) == 10.0


def test_a_run_of_403_pauses_and_is_probed_with_a_url_that_was_served() -> None:
    state = ServerState(POLICY, 0.0)
    lease = ask(state, 1.0, *[SUCCESS] * 20, *[Outcome(ErrorKind.HTTP_4XX, 403)] * 5)
    assert lease.verdict is Verdict.PAUSED
    probe = ask(state, 1.0 + lease.request_again_in_s + 2.0)
    assert (probe.permits, probe.is_probe, probe.probe_url) == (1, True, ProbeUrl.SERVED)
    assert not probe.is_403_ban, "forbidden files are common: the probe tells"


def test_refusals_without_a_file_end_refused_only_while_the_run_has_nothing_else_to_do() -> None:
    state, now_s = ServerState(POLICY, 0.0), 0.0
    for number in range(LEAST_SAMPLE):
        ask(state, now_s, replace(named(number + 1), said="429 not you"))
        now_s += pause_of(state, now_s) + 3.0
    assert ask(state, now_s).verdict is Verdict.OPEN
    state.note_idle(True, now_s)
    now_s += 900.0
    assert ask(state, now_s).is_probe
    lease = ask(state, now_s + 1.0, replace(named(99), said="429 not you"))
    assert (lease.verdict, lease.said) == (Verdict.REFUSED, "429 not you")


def test_a_server_that_still_sends_a_file_is_not_given_up() -> None:
    state = ServerState(POLICY, 0.0)
    state.note_idle(True, 0.0)
    for number in range(8):
        state.handle(LeaseRequest("s", "busy", 1, in_flight=1, controls=("http://s/1",)), 1000.0 * number, RNG)
        ask(state, 1000.0 * number, replace(named(number + 1), is_control=True))
    assert state.verdict(7001.0) is Verdict.PAUSED
    state.forget("busy")
    assert ask(state, 9000.0).is_probe
    assert ask(state, 9001.0, replace(named(9), is_control=True)).verdict is Verdict.REFUSED


def test_a_server_that_only_says_how_long_is_asked_after_that_before_it_is_given_up() -> None:
    state = ServerState(POLICY, 0.0)
    state.note_idle(True, 0.0)
    ask(state, 1.0, *[replace(named(number), retry_after_s=2000.0) for number in (1, 2)])
    assert ask(state, 1999.0).verdict is Verdict.PAUSED
    assert ask(state, 2002.0).is_probe
    assert ask(state, 2003.0, replace(named(3), retry_after_s=2000.0)).verdict is Verdict.REFUSED


def test_a_hint_of_the_server_slows_and_never_quickens() -> None:
    state = ServerState(POLICY, 0.0)
    slower = Outcome(None, 200, ratelimit_rps=2.0, ratelimit_reset_s=10.0)
    assert ask(state, 0.0, slower).interval_s == pytest.approx(0.5)
    quicker = Outcome(None, 200, ratelimit_rps=500.0, ratelimit_reset_s=10.0)
    assert ask(state, 5.0, quicker).interval_s > 0.05
    used_up = Outcome(None, 200, ratelimit_rps=0.0, ratelimit_reset_s=10.0)
    lease = ask(state, 20.0, used_up)
    assert (lease.verdict, lease.request_again_in_s) == (Verdict.PAUSED, 10.0)


# -- quotas, dead servers, opting out ---------------------------------------------------------------------------------


def test_requests_a_day_are_never_passed() -> None:
    state = ServerState(ServerPolicy(100.0, 100.0, max_requests_per_day=30), 0.0)
    assert ask(state, 0.0, wanted=20).permits == 20
    assert ask(state, 0.3, *[SUCCESS] * 20, wanted=20).permits == 10
    assert ask(state, 2.0, *[SUCCESS] * 10).verdict is Verdict.PAUSED
    assert state.wait(2.0) == (WaitReason.QUOTA, pytest.approx(25 * 3600.0), "")
    assert ask(state, 25 * 3600.0, wanted=20).permits == 20


def test_permits_that_are_out_count_until_their_lease_has_ended() -> None:
    state = ServerState(ServerPolicy(100.0, 100.0, max_requests_per_day=30), 0.0)
    ask(state, 0.0, wanted=30)
    assert ask(state, 0.2, holder="b").verdict is Verdict.PAUSED


def test_permits_that_lapse_do_not_eat_the_requests_of_the_day() -> None:
    state = ServerState(ServerPolicy(100.0, 100.0, max_requests_per_day=30), 0.0)
    for second in range(0, 100, 5):
        assert ask(state, float(second), wanted=20).permits == 20
    state.handle(LeaseRequest("s", "a", 9, 3, 0, (SUCCESS,) * 7), 101.0, RNG)
    assert state.snapshot(101.0)["day_requests"][0][1] == 10


@pytest.mark.parametrize(
    ("policy", "ahead"),
    [
        (ServerPolicy(5.0, 5.0, max_requests_per_day=300), 20),
        (ServerPolicy(5.0, 5.0, max_requests_per_day=15), 14),
        (ServerPolicy(5.0, 5.0), 0),
        (ServerPolicy(None, None, max_requests_per_day=300, max_connections=2), 80),
    ],
    ids=["as many as the rate grants", "as many as are left", "no limit", "no rate"],
)
def test_a_snapshot_counts_requests_of_the_day_that_a_kill_of_everything_would_hide(
    policy: ServerPolicy, ahead: int
) -> None:
    state = ServerState(policy, 0.0)
    ask(state, 0.0, wanted=1)
    state._busy_s = 0.1
    used = sum(amount for _, amount in state.snapshot(2.0)["day_requests"])
    assert state.snapshot(2.0)["day_requests_unsaved"] == ahead
    assert state.snapshot(2.0, is_ending=True)["day_requests_unsaved"] == 0
    assert state.snapshot(200.0)["day_requests_unsaved"] == 0, "nothing was granted lately"
    again = ServerState.restore(policy, state.snapshot(2.0), 10.0, 500.0)
    if policy.max_requests_per_day:
        assert again._day_requests.left(500.0) == policy.max_requests_per_day - used - ahead


def test_a_snapshot_counts_bytes_of_the_day_that_a_kill_of_everything_would_hide() -> None:
    state = ServerState(ServerPolicy(5.0, 5.0, max_bytes_per_day=100_000), 0.0)
    assert ask(state, 0.0, Outcome(None, 200, 2_000), wanted=1).permits == 1
    assert state.snapshot(0.1)["day_bytes_unsaved"] == 20 * 2_000
    assert state.snapshot(0.1)["day_requests_unsaved"] == 0
    again = ServerState.restore(state._policy, state.snapshot(0.1), 1.0, 500.0)
    assert again._day_bytes.left(500.0) == 100_000 - 21 * 2_000


def test_permits_that_come_back_can_be_used_the_same_day() -> None:
    state = ServerState(ServerPolicy(100.0, 100.0, max_requests_per_day=30), 0.0)
    ask(state, 0.0, wanted=30)
    assert ask(state, 0.1, *[SUCCESS] * 5, unused=25, wanted=50).permits == 25


def test_bytes_a_second_space_the_requests() -> None:
    state = ServerState(ServerPolicy(100.0, 100.0, max_bytes_per_s=10_000.0), 0.0)
    assert ask(state, 0.0).permits == 1
    assert ask(state, 1.0, Outcome(None, 200, 2000)).interval_s == pytest.approx(0.2)


def test_bytes_a_day_pause_the_server() -> None:
    state = ServerState(ServerPolicy(100.0, 100.0, max_bytes_per_day=10_000.0), 0.0)
    assert ask(state, 1.0, Outcome(None, 200, 4000)).permits == 1
    assert ask(state, 2.0, Outcome(None, 200, 6000)).verdict is Verdict.PAUSED


def test_a_server_that_cannot_be_reached_is_probed_by_one_and_then_dead() -> None:
    state = ServerState(ServerPolicy(10.0, 10.0, dead_probe_delays_s=(5.0,), patience_s=4.0), 0.0)
    state.note_idle(True, 0.0)
    down = Outcome(ErrorKind.CONNECT)
    ask(state, 0.0, *[down] * UNREACHED_RUN)
    assert pause_of(state, 0.0) == pytest.approx(5.0)
    probe = ask(state, 5.0)
    assert (probe.permits, probe.retries, probe.is_probe) == (1, 1, True)
    assert ask(state, 5.1, holder="b").permits == 0
    assert ask(state, 6.0, down).verdict is Verdict.DEAD
    assert ask(state, 6.1, holder="b").verdict is Verdict.DEAD


def test_a_host_of_a_group_that_cannot_be_reached_waits_and_the_others_go_on() -> None:
    state = ServerState(ServerPolicy(10.0, 10.0, dead_probe_delays_s=(5.0,), group="g"), 0.0)
    silent = Outcome(ErrorKind.CONNECT, host="gone.example", said="no route")
    failed = [replace(silent, url_hash=number) for number in range(1, 6)]
    lease = ask(state, 0.0, replace(SUCCESS, host="well.example", url_hash=9), *failed)
    assert [(wait.host, wait.verdict, wait.wait_s) for wait in lease.hosts] == [("gone.example", Verdict.PAUSED, 5.0)]
    assert lease.permits and not lease.reason
    assert list(state.host_waits(0.0)) == ["gone.example"]
    assert not ask(state, 1.0, replace(SUCCESS, host="gone.example", url_hash=9)).hosts, "it has answered"


def test_one_dead_host_of_a_group_is_not_the_group() -> None:
    state = ServerState(ServerPolicy(10.0, 10.0, dead_probe_delays_s=(5.0,), group="g"), 0.0)
    lease = ask(state, 0.0, *[Outcome(ErrorKind.DNS)] * 50)
    assert lease.permits > 1


def test_a_server_that_opts_out_each_time_is_not_asked_again() -> None:
    state = ServerState(POLICY, 0.0)
    answers = [Outcome(ErrorKind.OPTED_OUT, 200)] * OPT_OUT_ANSWERS
    assert ask(state, 0.0, *answers).verdict is Verdict.OPTED_OUT


# -- the operator, and restarts ---------------------------------------------------------------------------------------


def test_the_operator_pauses_resumes_bans_and_sets_the_rate() -> None:
    state = ServerState(POLICY, 0.0)
    state.order("pause")
    assert ask(state, 0.0).verdict is Verdict.PAUSED
    state.order("resume")
    assert ask(state, 1.0).verdict is Verdict.OPEN
    state.order("rate", 2.0)
    assert rate_of(state) == 2.0
    state.order("rate", 400.0)
    assert rate_of(state) == 400.0
    state.order("ban")
    assert ask(state, 5.0).verdict is Verdict.BANNED


def test_what_was_learned_survives_as_json() -> None:
    state = ServerState(ServerPolicy(10.0, 100.0, max_requests_per_day=500), 0.0)
    ask(state, 0.0, wanted=7)
    ask(state, 1.0, SUCCESS, refused(retry_after_s=100.0))
    snapshot = json.loads(json.dumps(state.snapshot(11.0)))
    again = ServerState.restore(POLICY, snapshot, 20.0, 1000.0)
    after = again.snapshot(1000.0)
    assert after["pause_s"] == pytest.approx(snapshot["pause_s"] - 20.0)
    for key in ("rate_rps", "incident_rps", "incidents", "requests", "successes", "doublings"):
        assert after[key] == snapshot[key], key


def test_how_sure_a_rate_is_survives_a_restart() -> None:
    before = ServerState(ServerPolicy(10.0, 100.0), 0.0)
    for at_s in (2.0, 102.0, 302.0):
        faster_and_faster = [SUCCESS.aged(2.0 - 2.0 * (number / 20) ** 0.5) for number in range(20)]
        ask(before, at_s, *faster_and_faster, refused(retry_after_s=40.0))
    after = ServerState.restore(POLICY, before.snapshot(301.0), 600.0, 0.0).snapshot(0.0)
    assert (after["plateau_factor"], after["was_costly"]) == (COSTLY_PLATEAU_FACTOR, True)


def test_a_snapshot_of_before_there_were_plateaus_is_understood() -> None:
    older = ServerState(POLICY, 0.0).snapshot(0.0)
    del older["plateau_factor"], older["was_costly"]
    assert ServerState.restore(POLICY, older, 0.0, 0.0).snapshot(0.0)["plateau_factor"] == 1


@pytest.mark.parametrize(
    ("known", "is_kept"),
    [({"refusal_noise": 5.0}, False), ({"first_visits_shown": 2, "first_visits_status": 503}, False), ({}, True)],
    ids=["noise", "first visits", "neither"],
)
def test_a_restart_forgets_a_limit_where_refusals_are_known_to_say_nothing_about_one(
    known: dict[str, object], is_kept: bool
) -> None:
    before = ServerState(POLICY, 0.0).snapshot(0.0)
    limit = {"rate_rps": 0.4, "incident_rps": 0.4, "plateau_factor": 40, "was_costly": True}
    after = ServerState.restore(POLICY, {**before, **limit, **known}, 600.0, 0.0).snapshot(0.0)
    assert {key: after[key] for key in limit if key != "rate_rps"} == (
        {"incident_rps": 0.4, "plateau_factor": 40, "was_costly": True}
        if is_kept
        else {"incident_rps": None, "plateau_factor": 1, "was_costly": False}
    )


def test_after_a_restart_leases_of_before_are_waited_out() -> None:
    before = ServerState(ServerPolicy(25.0, 25.0), 0.0)
    lost = ask(before, 0.0)
    again = ServerState.restore(ServerPolicy(25.0, 25.0), before.snapshot(0.0), 0.0, 0.0)
    lease = ask(again, 0.0)
    assert lease.permits == 0
    assert ask(again, lease.request_again_in_s).first_in_s + lease.request_again_in_s > lost.valid_s


def test_a_later_run_starts_at_once() -> None:
    before = ServerState(POLICY, 0.0)
    again = ServerState.restore(POLICY, before.snapshot(0.0), 3600.0, 0.0)
    assert ask(again, 0.0).first_in_s == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(list(ErrorKind)), st.floats(0, 3)), max_size=40))
def test_failures_never_raise_the_rate(events: list[tuple[float, ErrorKind, float]]) -> None:
    state, now_s, rate_rps = ServerState(POLICY, 0.0), 0.0, POLICY.start_rate_rps or 0.0
    for wait_s, kind, age_s in events:
        now_s += wait_s
        ask(state, now_s, Outcome(kind, age_s=age_s), Outcome(kind, 429, age_s=age_s))
        assert rate_of(state, now_s) <= rate_rps
        rate_rps = rate_of(state, now_s)


def test_a_server_that_has_shown_a_limit_gets_no_bursts() -> None:
    state = ServerState(replace(POLICY, burst=5), 0.0)
    assert ask(state, 0.0).burst > 1
    ask(state, 1.0, refused(10.0), unused=9)
    assert ask(state, 11.0).burst == 1
    ask(state, 11.1, SUCCESS)
    assert ask(state, 12.0).burst == 1


def test_under_a_crawl_delay_nothing_is_made_up_for_by_a_burst() -> None:
    state = ServerState(replace(POLICY, burst=5), 0.0)
    lease = state.handle(LeaseRequest("s", "a", 9, crawl_delay_s=1.0), 0.0, random.Random(1))
    assert lease.burst == 1


def test_a_short_wait_that_is_over_is_no_wait() -> None:
    state = ServerState(POLICY, 0.0)
    ask(state, 0.0, refused(2.0))
    wait = state.wait(1.0)
    assert wait is not None
    assert (wait.reason, wait.until_s) == (WaitReason.RETRY_AFTER, 2.0)
    assert state.wait(2.5) is None


@pytest.mark.parametrize(("group", "verdict"), [(None, Verdict.DEAD), ("g", Verdict.OPEN)], ids=["host", "group"])
def test_a_name_that_does_not_exist_is_the_end_of_a_server_and_not_of_a_group(
    group: str | None, verdict: Verdict
) -> None:
    state = ServerState(replace(POLICY, group=group), 0.0)
    gone = Outcome(ErrorKind.DNS, is_no_such_name=True)
    for at_s in (0.0, 20.0, 40.0):
        lease = ask(state, at_s, gone)
    assert state.verdict(40.0) is verdict
    assert lease.is_no_such_name is (group is None)


def test_a_worker_that_waits_comes_back_when_the_server_said_or_to_see_if_the_run_is_idle() -> None:
    asked, ours = ServerState(POLICY, 0.0), ServerState(POLICY, 0.0)
    assert ask(asked, 0.0, refused(500.0)).request_again_in_s == pytest.approx(500.0)
    ask(ours, 0.0, named(1))
    assert ask(ours, 2.0, named(2)).request_again_in_s == pytest.approx(POLICY.patience_s / 20)


def test_a_lease_that_is_repeated_is_charged_once_to_the_requests_of_the_day() -> None:
    state = ServerState(ServerPolicy(10.0, 10.0, max_requests_per_day=1_000), 0.0)
    first = ask(state, 0.0, holder="a", wanted=3)
    lease, again = ask(state, 0.0, holder="b"), ask(state, 0.1, holder="b")
    assert again.serial == lease.serial
    assert sum(amount for _, amount in state.snapshot(0.1)["day_requests"]) == first.permits + lease.permits


def test_a_server_whose_answers_take_no_time_has_a_turn_of_one_connection() -> None:
    state = ServerState(POLICY, 0.0)
    assert state._terms(0.0).turn_connections == 1
    assert ServerState(ServerPolicy(None, None), 0.0)._terms(0.0).turn_connections == 1


def test_a_ceiling_without_a_rate_limits_nothing() -> None:
    assert ask(ServerState(ServerPolicy(None, 10.0), 0.0), 0.0).permits > 1


@pytest.mark.parametrize("hint_rps", [0.0, 0.5])
def test_a_hint_of_the_server_applies_after_a_restart_for_what_is_left_of_it(hint_rps: float) -> None:
    state = ServerState(POLICY, 0.0)
    ask(state, 0.0, Outcome(None, 200, ratelimit_rps=hint_rps, ratelimit_reset_s=60.0))
    again = ServerState.restore(POLICY, state.snapshot(2.0), 3.0, 100.0)
    assert again.snapshot(100.0)["hint_s"] == pytest.approx(55.0)
    lease = ask(again, 110.0)  # when no lease from before the restart is valid any more
    if hint_rps:
        assert lease.interval_s == pytest.approx(2.0)
    else:
        assert lease.request_again_in_s == pytest.approx(45.0)
    later = ServerState.restore(POLICY, state.snapshot(2.0), 59.0, 100.0)
    assert later.snapshot(100.0)["hint_s"] == 0.0
    assert ask(later, 110.0).permits > 0


def test_a_hint_that_was_saved_for_longer_than_a_hint_may_apply_is_cut() -> None:
    saved = ServerState(POLICY, 0.0).snapshot(0.0)
    again = ServerState.restore(POLICY, {**saved, "hint_rps": 1.0, "hint_s": 1e9}, 0.0, 50.0)
    assert again.snapshot(50.0)["hint_s"] == MAX_HINT_S


def test_while_our_own_network_is_down_no_name_is_found_not_to_exist() -> None:
    state = ServerState(POLICY, 0.0)
    gone = Outcome(ErrorKind.DNS, is_no_such_name=True)
    state.note_outage(True, 0.0)
    for at_s in (0.0, 20.0, 40.0):
        assert not ask(state, at_s, gone).is_no_such_name
    state.note_outage(False, 50.0)
    for at_s in (60.0, 80.0):
        assert not ask(state, at_s, gone).is_no_such_name, "only what is seen now counts"
    assert ask(state, 100.0, gone).is_no_such_name


def reports(state: ServerState, holder: str, in_flight: int, *outcomes: Outcome, now_s: float = 0.0) -> Lease:
    """What a holder with open connections says; it wants more."""
    return state.handle(LeaseRequest("s", holder, 9, in_flight, 0, outcomes), now_s, RNG)


def test_a_reset_counts_the_connections_of_all_workers() -> None:
    """A server that takes five from all of them together must not be sent six because each has but three."""
    state = ServerState(ServerPolicy(50.0, 50.0, max_connections=8), 0.0)
    for holder in ("a", "b"):
        reports(state, holder, 3)
    reports(state, "a", 3, Outcome(ErrorKind.RESET, connections=3), now_s=1.0)
    assert state.snapshot(1.0)["connections"] == 5


def test_a_reset_of_the_only_connection_takes_back_what_others_of_the_same_moment_taught() -> None:
    """All of them broke, and none brought a file: their number was not the reason."""
    state = ServerState(ServerPolicy(50.0, 50.0, max_connections=4), 0.0)
    for were_open in (4, 1):
        reports(state, "a", 0, Outcome(ErrorKind.RESET, connections=were_open, total_s=1.0), now_s=1.0)
        assert state.snapshot(1.0)["connections"] == {4: 3, 1: None}[were_open]


def test_a_server_is_at_rest_if_only_a_worker_or_an_order_can_change_it() -> None:
    """What is at rest is packed away and not looked at; anything else has to be."""
    policy = ServerPolicy(10.0, 10.0, patience_s=100.0)
    state = ServerState(policy, 0.0)
    assert state.is_at_rest(0.0)
    reports(state, "a", 1)
    assert not state.is_at_rest(0.0), "a connection that is never reported again is given up after a time"
    asked = ServerState(policy, 0.0)
    ask(asked, 0.0, refused(60.0), wanted=0)
    assert not asked.is_at_rest(1.0), "it waits for a time"
    assert not asked.is_at_rest(61.0), "it is in trouble, and to be probed"
    dead = ServerState(replace(policy, dead_probe_delays_s=(5.0,), patience_s=4.0), 0.0)
    dead.note_idle(True, 0.0)
    ask(dead, 0.0, *[Outcome(ErrorKind.CONNECT)] * UNREACHED_RUN, wanted=0)
    ask(dead, 5.0)
    assert ask(dead, 6.0, Outcome(ErrorKind.CONNECT), wanted=0).verdict is Verdict.DEAD
    assert not dead.is_at_rest(60.0), "that depends on whether the run has other work"
    paused = ServerState(policy, 0.0)
    paused.order("pause")
    assert not paused.is_at_rest(0.0), "it is shown to wait"


def test_a_wait_is_told_by_what_is_left_of_it() -> None:
    state = ServerState(ServerPolicy(10.0, 10.0), 0.0)
    ask(state, 1000.0, refused(60.0))
    assert [state.snapshot(1000.0 + passed_s)["waiting"]["wait_s"] for passed_s in (0.0, 20.0)] == [
        pytest.approx(60.0, rel=0.1), pytest.approx(40.0, rel=0.1),
    ]  # fmt: skip
    state.order("pause")
    assert state.snapshot(1000.0)["waiting"] == {"reason": "paused_by_operator", "wait_s": None, "said": ""}


def test_what_a_server_answered_is_counted_and_the_counts_survive() -> None:
    state = ServerState(POLICY, 0.0)
    assert [state.snapshot(0.0)[name] for name in ("successes", "throttled", "bytes", "requests")] == [0, 0, 0, 0]
    ask(state, 1.0, SUCCESS, SUCCESS, SUCCESS, replace(named(7), size_bytes=5), Outcome(ErrorKind.HTTP_4XX, 404))
    saved = json.loads(json.dumps(state.snapshot(1.0)))
    assert [saved[name] for name in ("successes", "throttled", "bytes", "requests")] == [3, 1, 3005, 5]
    again = ServerState.restore(POLICY, saved, 10.0, 500.0)
    assert [again.snapshot(500.0)[name] for name in ("successes", "throttled", "bytes", "requests")] == [3, 1, 3005, 5]


def test_of_a_server_that_sent_nothing_no_size_is_known_after_a_restart_either() -> None:
    """A size of nothing would let any number of bytes a second pass."""
    policy = replace(POLICY, max_bytes_per_s=1000.0)
    saved = ServerState(policy, 0.0).snapshot(0.0)
    again = ServerState.restore(policy, json.loads(json.dumps(saved)), 10_000.0, 0.0)
    assert (saved["mean_bytes"], again.snapshot(0.0)["mean_bytes"]) == (None, None)
    assert ask(again, 0.0).permits == 1, "the first file shows how large they are"
