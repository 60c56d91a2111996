"""What servers do and what it costs: each trouble that was seen to lose rows or days, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import Outcome
from ray_downloader.politeness.policy import ServerPolicy
from tests.unit.politeness.virtual_rows import (
    BARE_429,
    BARE_503,
    BROKEN,
    DOWN,
    FORBIDDEN,
    OK,
    VirtualRows,
    World,
)

pytestmark = pytest.mark.stage

GOOD_RPS = 10.0
TWO_TASKS = [150, 150]
ONE_TASK = [300]


@pytest.mark.parametrize("tasks", [ONE_TASK, TWO_TASKS])
@pytest.mark.parametrize("odd", [{20, 80, 150, 210, 280}, {100, 101, 102, 103, 104}, {0, 1, 2, 3, 4}])
def test_five_urls_that_always_answer_429_keep_their_own_error(odd: set[int], tasks: list[int]) -> None:
    run = VirtualRows(tasks, lambda row, now_s, open_: BARE_429 if row in odd else OK)
    run.run()
    assert run.kinds() == {"": 295, "http_429": 5}
    assert run.now_s < 120.0


def test_odd_urls_among_thousands_cost_seconds_and_not_days() -> None:
    run = VirtualRows([2100], lambda row, now_s, open_: BARE_429 if row % 200 == 7 else OK)
    run.run()
    assert run.kinds() == {"": 2089, "http_429": 11}
    assert run.now_s < 1.3 * 2100 / GOOD_RPS


def test_a_few_files_that_answer_503_for_ever_are_about_themselves() -> None:
    run = VirtualRows(ONE_TASK, lambda row, now_s, open_: BARE_503 if row in {40, 41, 200} else OK)
    run.run()
    assert run.kinds() == {"": 297, "http_5xx": 3}
    assert run.now_s < 120.0


@pytest.mark.parametrize("tasks", [ONE_TASK, TWO_TASKS])
@pytest.mark.parametrize("broken", [range(100, 120), range(20), range(60, 120)])
def test_neighbours_in_a_sorted_list_that_answer_500_do_not_kill_their_server(broken: range, tasks: list[int]) -> None:
    run = VirtualRows(tasks, lambda row, now_s, open_: BROKEN if row in broken else OK)
    run.run()
    assert run.kinds() == {"": 300 - len(broken), "http_5xx": len(broken)}
    assert run.now_s < 300.0


def _between(start_s: float, end_s: float, outcome: Outcome) -> World:
    return lambda row, now_s, open_: outcome if start_s <= now_s < end_s else OK


@pytest.mark.parametrize("outcome", [BARE_503, BARE_429, BROKEN, DOWN, Outcome(ErrorKind.TIMEOUT, total_s=10.0)])
@pytest.mark.parametrize("tasks", [ONE_TASK, TWO_TASKS])
def test_ten_minutes_of_trouble_in_the_middle_lose_no_row(tasks: list[int], outcome: Outcome) -> None:
    run = VirtualRows(tasks, _between(5.0, 605.0, outcome))
    run.run()
    assert run.kinds() == {"": 300}
    assert run.now_s < 605.0 + 500.0
    assert sum(answer.kind is not None for _, answer in run.answers) <= 40


def test_a_server_that_refuses_for_good_is_given_up_when_its_patience_is_over_and_not_before() -> None:
    run = VirtualRows(ONE_TASK, _between(5.0, 1e9, BARE_503), ServerPolicy(10.0, 20.0, patience_s=900.0))
    run.run()
    assert run.kinds()["server_refused"] == 300 - run.kinds()[""]
    assert run.verdict_s is not None
    assert 900.0 <= run.verdict_s - 5.0 < 930.0
    assert run.answers[-1][0] > run.verdict_s - 1.0


def test_patience_counts_only_while_nothing_else_is_left_to_do() -> None:
    run = VirtualRows(ONE_TASK, _between(5.0, 1e9, BARE_503), busy_until_s=4000.0)
    run.run()
    assert run.verdict_s is not None
    assert 4900.0 <= run.verdict_s < 6000.0


def test_the_patience_of_a_demo_stays_under_a_minute() -> None:
    run = VirtualRows(ONE_TASK, lambda row, now_s, open_: DOWN, ServerPolicy(10.0, 20.0, patience_s=4.0))
    run.run()
    assert run.kinds() == {"server_dead": 300}
    assert run.now_s < 15.0


def test_a_server_that_never_answered_is_dead_after_two_minutes() -> None:
    run = VirtualRows(ONE_TASK, lambda row, now_s, open_: DOWN)
    run.run()
    assert run.kinds() == {"server_dead": 300}
    assert 120.0 <= run.now_s < 130.0
    assert len(run.sent) < 20


def test_a_server_that_says_when_is_asked_then_before_anything_is_decided() -> None:
    wait = replace(BARE_503, retry_after_s=600.0)
    run = VirtualRows(ONE_TASK, _between(5.0, 1800.0, wait), ServerPolicy(10.0, 20.0, patience_s=300.0))
    run.run()
    assert run.kinds()["server_refused"] > 0, "asked again after 600 s, then its patience is over"
    first_s = next(at_s for at_s, answer in run.answers if answer.kind)
    assert run.verdict_s is not None
    assert run.verdict_s >= first_s + 600.0
    patient = VirtualRows(ONE_TASK, _between(5.0, 1800.0, wait))
    patient.run()
    assert patient.kinds()["server_refused"] > 0 or patient.kinds() == {"": 300}


@pytest.mark.parametrize("incidents", [1, 3, 5])
def test_a_wait_that_is_asked_for_again_and_again_loses_no_row(incidents: int) -> None:
    refused_until: list[float] = [5.0]

    def world(row: int, now_s: float, open_: int) -> Outcome:
        if now_s < 5.0 or len(refused_until) > incidents:
            return OK
        if now_s >= refused_until[-1]:
            refused_until.append(now_s + 600.0)
        return replace(BARE_429, retry_after_s=refused_until[-1] - now_s)

    run = VirtualRows(ONE_TASK, world, busy_until_s=1e9)
    run.run()
    assert run.kinds() == {"": 300}
    assert run.now_s < 600.0 * incidents + 60.0


@pytest.mark.parametrize(("tasks", "takes"), [([40], 2), ([20, 20], 2), ([40], 1), ([40], 3)])
def test_a_server_that_resets_one_connection_too_many_gets_fewer_and_loses_no_row(tasks: list[int], takes: int) -> None:
    reset = Outcome(ErrorKind.RESET, total_s=0.01)
    policy = ServerPolicy(50.0, 50.0, max_connections=4)
    run = VirtualRows(tasks, lambda row, now_s, open_: reset if open_ > takes else OK, policy, latency_s=0.3)
    run.run()
    assert run.kinds() == {"": 40}
    assert sum(answer.kind is not None for _, answer in run.answers) <= 12
    assert run.state.snapshot(run.now_s)["connections"] == takes
    assert run.now_s < 40 * 0.35 / takes + 10.0


@pytest.mark.parametrize("tasks", [[600], [300, 300]])
def test_bans_of_45_s_by_403_lose_no_row(tasks: list[int]) -> None:
    served = 0
    banned_until_s = -1.0

    def world(row: int, now_s: float, open_: int) -> Outcome:
        nonlocal served, banned_until_s
        if now_s < banned_until_s:
            return FORBIDDEN
        served += 1
        if served % 100 == 0:
            banned_until_s = now_s + 45.0
        return OK

    run = VirtualRows(tasks, world, busy_until_s=1e9)
    run.run()
    assert run.kinds() == {"": 600}


def test_files_that_are_forbidden_keep_their_own_error() -> None:
    run = VirtualRows(ONE_TASK, lambda row, now_s, open_: FORBIDDEN if row % 10 == 3 else OK)
    run.run()
    assert run.kinds() == {"": 270, "http_4xx": 30}


@pytest.mark.parametrize(
    ("kind", "status"), [(ErrorKind.HTTP_429, 420), (ErrorKind.HTTP_429, 202), (ErrorKind.HTTP_5XX, 509)]
)
def test_a_wait_holds_with_whatever_status_it_is_asked_for(kind: ErrorKind, status: int) -> None:
    asked = Outcome(kind, status, retry_after_s=30.0)
    run = VirtualRows([20], _between(1.0, 20.0, asked))
    run.run(100.0)
    refused_s = next(at_s for at_s, answer in run.answers if answer.kind)
    under_way_s = refused_s + run.latency_s
    later_s = [at_s for at_s, _ in run.sent if at_s > under_way_s]
    assert 1.0 <= refused_s < 2.0
    assert later_s, "it is asked again"
    assert min(later_s) >= refused_s + 30.0, "nobody is asked before, with whatever row"
    assert [answer.kind for at_s, answer in run.answers if at_s > under_way_s][:1] == [None]


def test_a_hint_of_a_thousand_years_puts_off_by_an_hour_at_most() -> None:
    hint = replace(OK, ratelimit_rps=0.0, ratelimit_reset_s=3.2e10)
    run = VirtualRows([3], lambda row, now_s, open_: hint if now_s < 1.0 else OK)
    run.run()
    assert run.kinds() == {"": 3}
    assert run.now_s <= 3700.0


def test_a_wait_of_a_thousand_years_is_a_day() -> None:
    asked = replace(BARE_503, retry_after_s=3.2e10)
    run = VirtualRows([3], lambda row, now_s, open_: asked if now_s < 1.0 else OK, busy_until_s=1e9)
    run.state.note_idle(False, 0.0)
    run.run(1.0)
    wait = run.state.wait(run.now_s)
    assert wait is not None
    assert wait.until_s is not None
    assert wait.until_s - run.now_s <= 86_400.0


@pytest.mark.parametrize("latency_s", [35.0, 200.0])
def test_answers_slower_than_30_s_never_open_more_connections_than_allowed(latency_s: float) -> None:
    run = VirtualRows([8, 8], lambda row, now_s, open_: OK, ServerPolicy(10.0, 20.0), latency_s=latency_s)
    run.run()
    assert run.kinds() == {"": 16}
    assert run.most_in_flight <= 4
