"""Behaviours that real servers show, one by one; each was seen to lose rows, to go on for ever or to be impolite.

Everything that must hold of any world is checked of these, too; the numbers are those that were seen.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import pytest

from ray_downloader.errors import ErrorKind, ExitCode
from tests.simulation.checking import run_world
from tests.simulation.invariants import asked, breaches, widest_excess
from tests.simulation.network import EPOCH_UNIX_S
from tests.simulation.simulation import Run
from tests.simulation.world import (
    FOREVER,
    ActorRestarted,
    Bans,
    Bucket,
    ClockStepped,
    Connections,
    Drained,
    Fails,
    Fate,
    Fault,
    Limit,
    Loops,
    Moved,
    NetworkLost,
    NodeLost,
    OptsOut,
    Ordered,
    Picture,
    Requeued,
    Robots,
    Row,
    Says,
    Server,
    Slow,
    Trouble,
    Window,
    WorkerKilled,
    World,
)
from tests.support.thorough import thorough


def held(world: World) -> Run:
    """The run of a world of which everything holds that must."""
    run = run_world(world)
    assert breaches(run) == {}
    return run


def one_server(*rows: Row, **given: object) -> World:
    """A world of one server; `given` are facts of the server or of the world."""
    facts = {key: given.pop(key) for key in ("latency_s", "limits", "troubles", "robots", "headers") if key in given}
    return World((Server("a.example", **facts),), rows, **given)  # type: ignore[arg-type]


_PICTURE = Picture()
#: As `politeness=unlimited`.
UNLIMITED: dict[str, object] = {"enabled": False, "adaptive": False, "max_connections": 64, "robots": "ignore"}


def rows(count: int, fate: Fate = _PICTURE, server: int = 0) -> tuple[Row, ...]:
    return (Row(server, fate),) * count


def kinds(run: Run) -> Counter[str]:
    return Counter(kind or "image" for ends in run.settled.values() for kind in ends)


# -- redirects and slow files ------------------------------------------------------------------------------------------


def test_a_server_whose_every_url_redirects_within_it() -> None:
    """1,478 first hops and no image: second hops queued behind all first ones, and the slice's end forgot them."""
    run = held(one_server(*rows(150, Moved()), rate_rps=5.0, task_seconds=10.0))
    assert kinds(run) == {"image": 150}
    assert len(asked(run.arrivals[0])) == 300


def test_redirects_of_a_slow_server_whose_other_files_are_all_broken() -> None:
    """Its limit refused a hop of each chain, then the same hop was answered; it was given up as refusing everything."""
    world = one_server(
        *rows(2, Moved(hops=5)), *rows(3, Says(500)), Row(0, Fails(ErrorKind.RESET, after_s=1.0)), latency_s=0.3,
        limits=(Window(2, 1.0, counts_refused=True, status=503),), politeness={"patience_s": 120.0}, task_seconds=20.0,
    )  # fmt: skip
    assert kinds(held(world))["image"] == 2


def test_redirects_that_lead_to_another_server() -> None:
    servers = (Server("a.example"), Server("b.example", limits=(Bucket(3.0, 3),)))
    held(World(servers, rows(60, Moved(to=1)), task_seconds=10.0))


def test_a_redirect_that_sets_a_cookie() -> None:
    """Ended as `redirect_loop`."""
    assert kinds(held(one_server(*rows(20, Moved(needs_cookie=True))))) == {"image": 20}


def test_a_redirect_that_is_taken_in_one_run_and_followed_in_the_next() -> None:
    world = one_server(*rows(40, Moved(hops=3)), rate_rps=3.0, faults=(Drained(4.0), Requeued(60.0), Drained(90.0)))
    assert kinds(held(world)) == {"image": 40}


@pytest.mark.parametrize("connections", [1, 4])
def test_a_file_that_takes_longer_than_a_slice(connections: int) -> None:
    """It was asked again in each slice, for ever; with one connection its server stood still."""
    world = one_server(
        *rows(5), Row(0, Slow(100.0)), *rows(5), task_seconds=20.0, politeness={"max_connections": connections}
    )
    run = held(world)
    assert kinds(run) == {"image": 11}
    assert len(asked(run.arrivals[0])) == 11


def test_a_server_that_sends_one_file_at_a_time_and_takes_longer_for_it_than_patience_lasts() -> None:
    """It was given up as refusing everything, while it was busy with our own requests."""
    world = one_server(
        *rows(2, Slow(50.0)), *rows(13), limits=(Connections(1, 503),),
        politeness={"patience_s": 40.0, "max_connections": 2},
    )  # fmt: skip
    assert kinds(held(world)) == {"image": 15}


def test_a_file_that_takes_longer_than_a_request_may() -> None:
    run = held(one_server(*rows(10), Row(0, Slow(400.0)), task_seconds=20.0))
    assert kinds(run) == {"image": 10, "timeout": 1}
    assert len(asked(run.arrivals[0])) == 14, "before its last attempt a file that was served is requested"


def test_answers_that_take_longer_than_half_a_minute() -> None:
    """Its holder was forgotten meanwhile: 8 connections with `max_connections=4`."""
    run = held(one_server(*rows(40, Slow(45.0)), slots=3, batch_rows=10, task_seconds=20.0))
    assert max(arrival.open for arrival in run.arrivals[0]) == 4


# -- odd answers and odd rows ------------------------------------------------------------------------------------------


def test_an_answer_that_cannot_be_read_costs_one_row() -> None:
    """An exception in the fetcher, four dead slices, exit 1, again at each restart."""
    run = held(
        one_server(*rows(10), Row(0, Fails(ErrorKind.INTERNAL)), Row(0, Says(999)), Row(0, Says(299)), *rows(10))
    )
    assert kinds(run) == {"image": 20, "internal": 1, "http_4xx": 1, "not_image": 1}


def test_a_timeout_on_a_kept_connection_says_nothing_of_the_server() -> None:
    run = held(one_server(*rows(30), *rows(8, Fails(ErrorKind.TIMEOUT, after_s=60.0)), *rows(30)))
    assert kinds(run) == {"image": 60, "timeout": 8}


@pytest.mark.parametrize("kind", [ErrorKind.DNS, ErrorKind.CONNECT])
@pytest.mark.parametrize("place", [0, thorough(150), 299])
def test_a_url_whose_port_nobody_listens_on_among_good_ones(kind: ErrorKind, place: int) -> None:
    """Asked for 2,389 times: of one host, `https:` was dead and `http:` alive."""
    fates = [Row(0)] * 300
    fates[place] = Row(0, Fails(kind))
    run = held(one_server(*fates, rate_rps=20.0))
    assert kinds(run) == {"image": 299, str(kind): 1}
    assert len(asked(run.arrivals[0])) <= 303


def test_a_name_that_was_not_looked_up_once() -> None:
    """Its retries were answered from the memory of failed names."""
    assert kinds(held(one_server(*rows(10), Row(0, Fails(ErrorKind.DNS, times=1))))) == {"image": 11}


def test_a_few_urls_that_always_answer_429_among_good_ones() -> None:
    """203 rows `server_dead`, or 8 minutes of pauses (Wikimedia, since 2026, for odd thumbnail widths)."""
    run = held(one_server(*rows(150), *rows(5, Says(429)), *rows(145)))
    assert kinds(run) == {"image": 295, "http_429": 5}
    assert run.seconds < 120.0


@pytest.mark.thorough
def test_odd_urls_that_answer_429_scattered_over_a_long_list() -> None:
    """3.5 days."""
    scattered = tuple(row for _ in range(21) for row in (*rows(99), Row(0, Says(429))))
    run = held(one_server(*scattered, rate_rps=20.0))
    assert kinds(run) == {"image": 2079, "http_429": 21}
    assert run.seconds < 200.0


@pytest.mark.parametrize("own_wait", [None, "5", thorough("60")])
def test_a_server_whose_urls_are_often_refused_for_themselves_states_a_wait(own_wait: str | None) -> None:
    """Its limit's `Retry-After` was taken for its URLs' own, and more were requested within two seconds."""
    odd = Says(429, retry_after=own_wait)
    listed = tuple(Row(0, odd) if number % 10 == 7 else Row(0) for number in range(300))
    run = held(one_server(*listed, limits=(Bucket(5.0, 30, 429, "20"),)))
    assert kinds(run) == {"image": 270, "http_429": 30}


def _scattered(count: int, total: int, fate: Fate) -> tuple[Row, ...]:
    return tuple(Row(0, fate) if number * 7919 % total < count else Row(0) for number in range(total))


@pytest.mark.parametrize("retry_after", ["1", None])
@pytest.mark.parametrize(("count", "total", "seconds"), [(6, 120, 20.0), thorough(60, 1200, 130.0)])
def test_refusals_of_first_visits_scattered_over_a_list(
    retry_after: str | None, count: int, total: int, seconds: float
) -> None:
    """The rate fell from 80/s to 1/s and stayed there: 8 hours for 1,200 rows."""
    run = held(one_server(*_scattered(count, total, Says(503, 1, retry_after)), rate_rps=53.4))
    assert kinds(run) == {"image": total}
    assert run.seconds < seconds


@pytest.mark.parametrize("retry_after", [thorough("1"), None])
def test_one_request_in_twenty_is_refused_whatever_the_rate(retry_after: str | None) -> None:
    """Each refusal halved the rate again: 12 hours, and 40 rows lost."""
    trouble = Trouble(0.0, FOREVER, 503, retry_after, share=0.05)
    run = held(one_server(*rows(1200), troubles=(trouble,), rate_rps=53.4))
    assert kinds(run)["image"] >= 1199, "three refusals of one URL are rare"
    refused = sum(arrival.is_failure for arrival in run.arrivals[0])
    odd_s = 30.0  # a row that is refused three times while others are served waits in between
    assert run.seconds < 1.4 * (1260 / 80.0 + (refused if retry_after else 20.0)) + odd_s


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_no_row_is_lost_where_a_share_of_requests_is_refused_at_random(share: float) -> None:
    """Three of 300 good rows ended as `http_5xx`, as chance refused all their attempts."""
    trouble = Trouble(0.0, FOREVER, 503, share=share)
    world = World((Server("s3.example", troubles=(trouble,)),), rows(300), rate_rps=5.0)
    assert kinds(held(world)) == {"image": 300}


@pytest.mark.parametrize(("count", "seconds"), [(3, 90.0), (20, 100.0), thorough(200, 250.0)])
@pytest.mark.parametrize("status", [429, 503, 500])
def test_a_server_that_refuses_the_first_visit_of_every_url(count: int, seconds: float, status: int) -> None:
    """Thumbnails that are made on demand. Each probe was another first visit: all rows were lost.

    Later 20 rows took 37 minutes and 200 ten hours, as each pause was twice the last.
    """
    run = held(one_server(*rows(count, Says(status, 1)), rate_rps=4.0))
    assert kinds(run) == {"image": count}
    assert run.seconds < seconds
    assert len(asked(run.arrivals[0])) <= 2 * count + 1, "and one to compare with"


@pytest.mark.parametrize(("flaky", "good", "seconds"), [(1, 1, 500.0), (3, 7, 150.0)])
def test_a_server_that_refuses_some_first_visits(flaky: int, good: int, seconds: float) -> None:
    """Each file that came at once began the search for the reason anew: 200 rows took 110 and 26 minutes."""
    fates = (*rows(flaky, Says(503, 1)), *rows(good)) * (200 // (flaky + good))
    run = run_world(one_server(*fates, rate_rps=4.0))
    assert kinds(run) == {"image": 200}
    assert run.seconds < seconds


def test_a_server_that_refuses_first_visits_and_has_a_limit() -> None:
    """Its 429 was taken for the refusal of a first visit, too: 142 of 413 requests."""
    run = run_world(one_server(*rows(120, Says(503, 1)), limits=(Bucket(1.0, 1, 429),), rate_rps=5.0))
    assert kinds(run) == {"image": 120}
    assert sum(arrival.answer.status == 429 for arrival in run.arrivals[0]) < 15


@pytest.mark.thorough
def test_odd_rows_that_are_the_last_of_their_server_are_not_retried_one_by_one() -> None:
    """Ten seconds apart, as the new task had served none to compare them with: 144 took half an hour."""
    run = held(one_server(*rows(500), *rows(144, Says(503)), *rows(500), rate_rps=4.0))
    assert kinds(run) == {"image": 1000, "http_5xx": 144}
    assert run.seconds < 1000.0


@pytest.mark.parametrize("count", [1, 5])
def test_odd_urls_that_say_come_back_tomorrow_do_not_put_their_server_off(count: int) -> None:
    run = held(one_server(*_scattered(count, 300, Says(429, FOREVER, "86400"))))
    assert kinds(run) == {"image": 300 - count, "http_429": count}
    assert run.seconds < 1000.0, "they are asked once more when patience would be over"


@pytest.mark.parametrize(
    ("rate_rps", "faults"),
    [
        (3.0, (Requeued(6.0, 1.0),)),
        (3.0, (WorkerKilled(6.0),)),
        thorough(1.0, (Requeued(24.0, 1.0),)),
        thorough(1.0, ()),
    ],
)
def test_two_odd_urls_that_say_come_back_tomorrow_in_a_slice_of_their_own(
    rate_rps: float, faults: tuple[Fault, ...]
) -> None:
    """Two URLs said so, and the slice knew of no other: their server was put off for a day, twice."""
    fates = [Row(0, Says(429, FOREVER, "86400")) if number in {8, 9} else Row(0) for number in range(32)]
    world = one_server(*fates, rate_rps=rate_rps, faults=faults, task_seconds=5.0, batch_rows=2, slots=1)
    run = held(world)
    assert kinds(run) == {"image": 30, "http_429": 2}
    assert run.seconds < 5000.0, "patience, again and again: what a killed task knew of its rows is lost"


@pytest.mark.thorough
def test_odd_urls_that_ask_for_a_minute_again_and_again_do_not_use_up_the_patience_with_their_server() -> None:
    """Good rows ended as `server_refused`."""
    run = held(one_server(*_scattered(30, 600, Says(429, FOREVER, "60")), politeness={"patience_s": 60.0}))
    assert kinds(run) == {"image": 570, "http_429": 30}


@pytest.mark.parametrize(("good", "bad"), [(3, 5), (1, 2), (20, 1)])
@pytest.mark.parametrize(
    ("fate", "kind"), [(Says(429), "http_429"), (Says(503), "http_5xx"), (Fails(ErrorKind.CONNECT), "connect")]
)
def test_last_rows_that_fail_for_ever_end_with_their_own_error(good: int, bad: int, fate: Fate, kind: str) -> None:
    """They waited for the whole patience, and ended as `server_refused`: nobody asked a URL that was served before."""
    fates = (*rows(good), *rows(bad, fate))
    run = held(one_server(*fates, chance=1))
    assert kinds(run) == {"image": good, kind: bad}
    assert run.seconds < 450.0


@pytest.mark.parametrize("how", [503, ErrorKind.CONNECT])
def test_last_rows_of_a_server_that_comes_back_are_not_lost(how: int | ErrorKind) -> None:
    run = held(one_server(*rows(40), troubles=(Trouble(2.0, 400.0, how), Trouble(402.0, 600.0, how))))
    assert kinds(run) == {"image": 40}


def test_neighbouring_rows_that_answer_500() -> None:
    """Lists are sorted: 483 good rows ended as `server_dead`, with exit 0."""
    run = held(one_server(*rows(200), *rows(20, Says(500)), *rows(283)))
    assert kinds(run) == {"image": 483, "http_5xx": 20}


def test_a_few_files_that_answer_503_for_ever() -> None:
    """Days."""
    run = held(one_server(*rows(60), *rows(3, Says(503)), *rows(60)))
    assert kinds(run) == {"image": 120, "http_5xx": 3}
    assert run.seconds < 240.0


def test_answers_that_mean_later() -> None:
    """202 and 420 with Retry-After were final errors after 0.7 s."""
    later = [Row(0, Says(status, 1, "5")) for status in (202, 420, 429, 503, 509, 403)]
    assert kinds(held(one_server(*rows(20), *later, *rows(20)))) == {"image": 46}


def test_payment_required_is_an_answer() -> None:
    run = held(one_server(*rows(10), Row(0, Says(402))))
    assert kinds(run) == {"image": 10, "payment_required": 1}
    assert len(asked(run.arrivals[0])) == 11


# -- servers that push back, or are away -------------------------------------------------------------------------------


def test_maintenance_of_ten_minutes() -> None:
    """99 of 120 rows `server_dead`, "did not answer": it had answered four times."""
    run = held(one_server(*rows(120), troubles=(Trouble(5.0, 605.0, 503),)))
    assert kinds(run) == {"image": 120}


@pytest.mark.thorough
def test_maintenance_that_lasts_longer_than_patience_while_other_work_goes_on() -> None:
    """Patience is counted only while nothing else is left to do."""
    servers = (Server("a.example", troubles=(Trouble(5.0, 305.0, 503),)), Server("b.example"))
    world = World(servers, rows(40) + rows(600, server=1), rate_rps=1.5, politeness={"patience_s": 120.0})
    assert kinds(held(world)) == {"image": 640}


def test_a_retry_after_is_followed_by_a_request() -> None:
    """Retry-After 600 after three incidents: given up after the wait without being asked."""
    troubles = tuple(Trouble(start_s, start_s + 10.0, 429, "600") for start_s in (5.0, 605.0, 1206.0, 1807.0))
    run = held(one_server(*rows(60), troubles=troubles))
    assert kinds(run) == {"image": 60}


@pytest.mark.parametrize("refusal", [ErrorKind.RESET, ErrorKind.CONNECT, 429, 503])
def test_a_server_that_takes_two_connections(refusal: int | ErrorKind) -> None:
    """27 of 40 rows lost as `reset`; connections stayed at 4."""
    run = held(one_server(*rows(40), latency_s=1.0, limits=(Connections(2, refusal),), rate_rps=10.0))
    assert kinds(run) == {"image": 40}


@pytest.mark.parametrize(("count", "seconds"), [(6, 150.0), (15, 260.0)])
def test_a_server_that_resets_every_connection_after_a_while(count: int, seconds: float) -> None:
    """Resets of connections that were open side by side cost nothing: 64 requests for six rows, 51 for fifteen."""
    silent = Trouble(0.0, FOREVER, ErrorKind.RESET, after_s=20.0)
    run = held(one_server(*rows(count), troubles=(silent,), task_seconds=5.0, politeness={"patience_s": 120.0}))
    assert run.seconds < seconds
    assert len(asked(run.arrivals[0])) <= 4 * count


def test_a_limit_of_a_server_that_refuses_sooner_than_it_serves() -> None:
    """Out of order, its files seemed to come sooner after others than its refusals, and what those taught was lost."""
    world = one_server(
        *rows(30), latency_s=2.0, limits=(Bucket(2.0, 1.0, 503, "20"),), slots=1, politeness={"max_connections": 8}
    )
    assert held(world).seconds < 166.0


@pytest.mark.thorough
def test_bans_of_45_seconds() -> None:
    """60 of 600 rows lost as 403."""
    run = held(one_server(*rows(600), limits=(Bans(60, 10.0),), rate_rps=10.0))
    assert kinds(run) == {"image": 600}


@pytest.mark.parametrize(
    ("count", "until_s"), [thorough(600, 45.0), thorough(600, 10.0), (60, 100.0), (30, 45.0), (3, 45.0), (2, 45.0)]
)
def test_a_server_that_begins_with_403(count: int, until_s: float) -> None:
    """449 of 600 rows lost: nothing had been served, so each 403 was believed."""
    run = held(one_server(*rows(count), troubles=(Trouble(0.0, until_s, 403),)))
    assert kinds(run) == {"image": count}
    assert len(asked(run.arrivals[0])) <= count + 10


def test_a_server_that_begins_with_403_in_many_short_slices() -> None:
    world = one_server(*rows(100), troubles=(Trouble(0.0, 45.0, 403),), batch_rows=10, slots=3, task_seconds=5.0)
    assert kinds(held(world)) == {"image": 100}


@pytest.mark.parametrize("restart", [Requeued(10.0, 1.0), Drained(10.0, 1.0), ActorRestarted(10.0)])
def test_a_server_that_begins_with_403_through_a_restart(restart: Fault) -> None:
    world = one_server(*rows(100), troubles=(Trouble(0.0, 45.0, 403),), faults=(restart,), task_seconds=20.0)
    assert kinds(held(world)) == {"image": 100}


def test_a_server_that_forbids_all_is_asked_for_a_sample_of_its_files() -> None:
    run = held(one_server(*rows(600), troubles=(Trouble(0.0, FOREVER, 403),)))
    assert kinds(run) == {"server_refused": 600}
    assert all("403" in message for message in run.messages.values())
    assert len(asked(run.arrivals[0])) < 75
    assert run.seconds < 240.0


@pytest.mark.parametrize(("count", "total"), [(1, 100), (50, 100), (90, 100), (570, 600)])
def test_files_that_are_forbidden_among_good_ones(count: int, total: int) -> None:
    """With nine in ten, 27 of 100 rows ended as `server_refused`, and two of ten images were lost."""
    run = run_world(one_server(*_scattered(count, total, Says(403))))
    assert kinds(run) == {"image": total - count, "http_4xx": count}
    assert run.seconds < 300.0
    assert len(asked(run.arrivals[0])) <= 1.9 * total, "with nine in ten it depends on the order when one is served"


def test_forbidden_files_of_a_server_that_also_bans() -> None:
    """Asked for without end: since its first ban, every 403 was taken for another."""
    run = held(one_server(*_scattered(20, 300, Says(403)), limits=(Bans(60, 10.0),)))
    assert kinds(run) == {"image": 280, "http_4xx": 20}
    assert len(asked(run.arrivals[0])) < 340


def test_a_quota_that_refuses_another_row_at_the_end_of_each_window() -> None:
    """The same row came last in two windows, and was lost as one that is refused for itself."""
    world = one_server(
        *rows(20), limits=(Window(10, 600.0, False, False, 503, "rest"),), task_seconds=5.0, slots=1, nodes=2,
        batch_rows=20, rate_rps=30.0, politeness={"patience_s": 300.0}, chance=25_637,
    )  # fmt: skip
    assert kinds(held(world)) == {"image": 20}


@pytest.mark.thorough
def test_bans_after_a_handful_of_requests() -> None:
    assert kinds(run_world(one_server(*rows(60), limits=(Bans(3, 10.0),)))) == {"image": 60}


def test_a_server_that_refuses_all_is_refused_and_says_why() -> None:
    run = held(one_server(*rows(40), troubles=(Trouble(0.0, FOREVER, 429),), politeness={"patience_s": 120.0}))
    assert kinds(run) == {"server_refused": 40}
    assert all("429" in message for message in run.messages.values())


@pytest.mark.parametrize(("depth", "count"), [(1, 60), (5, 60), thorough(5, 200)])
def test_a_limit_of_one_request_in_five_seconds_is_found_and_kept(depth: int, count: int) -> None:
    """Its rate was not lowered below 0.5/s for a refusal, so 147 of 347 requests were refused."""
    run = run_world(one_server(*rows(count), limits=(Bucket(0.2, depth, 429),), rate_rps=5.0))
    assert kinds(run) == {"image": count}
    assert len(asked(run.arrivals[0])) <= count + 30


@pytest.mark.parametrize("status", [thorough(429), thorough(503)])
def test_neighbours_that_are_refused_for_ever_among_good_rows(status: int) -> None:
    """14,035 requests for 1,144 rows: each time that a good one was served, the others had one more try."""
    run = run_world(one_server(*rows(500), *rows(144, Says(status)), *rows(500), rate_rps=4.0))
    assert kinds(run) == {"image": 1_000, {429: "http_429", 503: "http_5xx"}[status]: 144}
    requests = Counter(arrival.row for arrival in run.arrivals[0] if arrival.row is not None)
    assert max(requests.values()) <= 12
    assert requests.total() <= 1.6 * 1_144


def test_a_server_that_never_answers_is_dead_after_two_minutes() -> None:
    servers = (Server("a.example", troubles=(Trouble(0.0, FOREVER, ErrorKind.CONNECT),)), Server("b.example"))
    run = held(World(servers, rows(40) + rows(20, server=1)))
    assert kinds(run) == {"server_dead": 40, "image": 20}
    assert run.seconds < 200.0


@pytest.mark.thorough
def test_a_server_that_never_answers_does_not_keep_a_run_waiting_whose_other_work_took_long() -> None:
    """By then its next probe was minutes away."""
    servers = (Server("a.example", troubles=(Trouble(0.0, FOREVER, ErrorKind.CONNECT),)), Server("b.example"))
    world = World(servers, rows(40) + rows(1000, server=1), rate_rps=1.0, politeness={"patience_s": 20.0})
    run = held(world)
    assert kinds(run) == {"server_dead": 40, "image": 1000}
    assert run.seconds < max(arrival.at_s for arrival in run.arrivals[1]) + 60.0


def test_a_verdict_that_comes_in_a_slice_shorter_than_the_wait_is_carried_out() -> None:
    """The slice ended with its rows before it settled them, and so did each later one."""
    trouble = Trouble(2.0, FOREVER, 503)
    run = held(one_server(*rows(40), troubles=(trouble,), politeness={"patience_s": 120.0}, task_seconds=5.0))
    assert kinds(run).keys() == {"image", "server_refused"}


def test_a_header_with_a_reset_in_milliseconds() -> None:
    """Asleep for 1,000 years."""
    reset_ms = int((EPOCH_UNIX_S + 60.0) * 1000)
    headers = (("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", str(reset_ms)))
    run = held(one_server(*rows(20), headers=headers))
    assert kinds(run) == {"image": 20}
    assert run.seconds < 150.0


@pytest.mark.parametrize(
    "headers",
    [
        (("X-RateLimit-Remaining", "50"), ("X-RateLimit-Reset", "2027-01-15T08:01:00Z")),
        (("RateLimit-Policy", '"conc";q=4;qu="concurrent-requests"'), ("RateLimit", '"conc";r=3')),
    ],
)
def test_headers_that_say_something_else(headers: tuple[tuple[str, str], ...]) -> None:
    """An ISO date (asleep for 1,000 years); a limit on concurrent requests (read as one request per minute)."""
    run = held(one_server(*rows(60), headers=headers))
    assert run.seconds < 80.0


# -- us ----------------------------------------------------------------------------------------------------------------

_MANY = tuple(Server(f"s{number}.example") for number in range(6))
_ALL = tuple(Row(number % 6) for number in range(600))


@pytest.mark.parametrize("kind", [thorough(ErrorKind.DNS), ErrorKind.CONNECT])
@pytest.mark.parametrize("seconds", [thorough(75.0), 95.0])
def test_no_network_for_a_while(kind: ErrorKind, seconds: float) -> None:
    """1,009 of 1,200 rows `server_dead`, exit 0."""
    run = held(World(_MANY, _ALL, (NetworkLost(5.0, 5.0 + seconds, kind),)))  # type: ignore[arg-type]
    assert kinds(run) == {"image": 600}


@pytest.mark.parametrize(
    ("how", "seconds"), [(ErrorKind.RESET, 20.0), (ErrorKind.DNS, 0.05)], ids=["reset", "no such name"]
)
def test_an_outage_ends_although_only_a_dead_server_is_left_to_ask(how: ErrorKind, seconds: float) -> None:
    """Nobody gave an answer with a status, so the run waited for the network that worked, and ended with exit 3."""
    dead = (Trouble(0.0, FOREVER, how, after_s=seconds),)
    loss = NetworkLost(6.0, 40.0, ErrorKind.DNS)
    run = held(one_server(*rows(15), troubles=dead, faults=(loss,), politeness={"patience_s": 120.0}))
    assert run.exits == [0]


def test_an_outage_of_the_resolver_ends_although_only_a_dead_server_is_left_to_ask() -> None:
    """Exit 3 after ten minutes, although names had been resolved for eight of them."""
    dead = Server("c.example", troubles=(Trouble(2.0, FOREVER, ErrorKind.CONNECT, after_s=20.0),))
    servers = (Server("a.example"), Server("b.example"), dead)
    listed = rows(6) + rows(15, server=1) + rows(100, server=2)
    faults = (NetworkLost(23.5, 143.5, ErrorKind.DNS),)
    run = held(World(servers, listed, faults, rate_rps=30.0, politeness={"patience_s": 60.0}))
    assert run.exits == [ExitCode.SETTLED]


def test_no_network_at_all() -> None:
    """Exit 0, and no word of network or proxy."""
    run = run_world(World(_MANY, _ALL, (NetworkLost(0.0, FOREVER),), runs=1))
    assert run.exits == [ExitCode.STOPPED]
    assert kinds(run) == {}
    assert run.seconds < 700.0


@pytest.mark.parametrize("servers", [1, 2])
def test_a_list_of_one_or_two_servers_and_none_can_be_reached(servers: int) -> None:
    """`server_dead` and exit 0, though a firewall or a missing proxy looks the same."""
    silent = Trouble(0.0, FOREVER, ErrorKind.CONNECT, after_s=10.0)
    there = tuple(Server(f"s{number}.example", troubles=(silent,)) for number in range(servers))
    listed = tuple(row for number in range(servers) for row in rows(20, server=number))
    run = run_world(World(there, listed, runs=1))
    assert (run.exits, kinds(run)) == ([ExitCode.STOPPED], {})
    assert 600.0 < run.seconds < 700.0


def test_a_single_server_that_refuses_connections_is_dead() -> None:
    """Somebody is there, so the network is."""
    run = held(one_server(*rows(20), troubles=(Trouble(0.0, FOREVER, ErrorKind.CONNECT),)))
    assert (run.exits, kinds(run)) == ([ExitCode.SETTLED], {"server_dead": 20})


def test_a_single_server_whose_name_does_not_exist() -> None:
    run = held(one_server(*rows(20), troubles=(Trouble(0.0, FOREVER, ErrorKind.DNS),)))
    assert (run.exits, kinds(run)) == ([ExitCode.SETTLED], {"dns": 20})


def test_a_single_server_that_is_reached_after_minutes_loses_nothing() -> None:
    silent = Trouble(0.0, 300.0, ErrorKind.CONNECT, after_s=10.0)
    assert kinds(held(one_server(*rows(20), troubles=(silent,)))) == {"image": 20}


@pytest.mark.parametrize("after_s", [0.05, 60.0], ids=["answers", "hangs"])
def test_what_a_killed_worker_held_of_its_servers_is_free_within_five_seconds(after_s: float) -> None:
    """Also the only connection to a server, in the middle of an answer: others waited for 30 s, or for its timeout."""
    fates = [row for server in (0, 1) for row in (*rows(2, Slow(after_s), server), *rows(60, server=server))]
    servers = (Server("a.example"), Server("b.example"))
    faults, politeness = (WorkerKilled(9.0),), {"max_connections": 1}
    run = run_world(World(servers, tuple(fates), faults, rate_rps=2.0, politeness=politeness))
    assert kinds(run) == {"image": len(fates)}
    lost = [arrivals for arrivals in run.arrivals if after_s < 1 or any(arrival.is_cut for arrival in arrivals)]
    assert lost
    for arrivals in lost:
        assert min(arrival.at_s for arrival in arrivals if arrival.at_s > 9.0) < 14.0


def test_four_lost_nodes_in_the_life_of_a_run() -> None:
    """Exit 1."""
    faults = tuple(NodeLost(5.0 * number, number % 2) for number in range(1, 7))
    run = held(World((Server("a.example"),), rows(300), faults, nodes=2))
    assert kinds(run) == {"image": 300}


# -- what was learned or ordered ---------------------------------------------------------------------------------------

_RESTARTS: tuple[Fault, ...] = (
    ActorRestarted(10.0), WorkerKilled(17.0), Drained(25.0), Requeued(80.0), NodeLost(140.0),
)  # fmt: skip


def test_a_crawl_delay_outlives_every_restart() -> None:
    robots = Robots(200, "User-agent: *\nCrawl-delay: 2\n")
    run = held(one_server(*rows(100), robots=robots, faults=_RESTARTS, task_seconds=20.0))
    assert kinds(run) == {"image": 100}


def test_an_ordered_rate_outlives_every_restart() -> None:
    faults = (Ordered(2.0, "rate", 0, 0.5), *_RESTARTS)
    run = held(one_server(*rows(100), faults=faults, task_seconds=20.0))
    assert kinds(run) == {"image": 100}


def test_a_ban_and_a_pause_outlive_every_restart() -> None:
    faults = (Ordered(2.0, "pause", 0), Ordered(200.0, "resume", 0), Ordered(3.0, "ban", 1), *_RESTARTS)
    world = World((Server("a.example"), Server("b.example")), rows(60) + rows(60, server=1), faults)
    assert kinds(held(world))["image"] >= 60


@pytest.mark.parametrize("at_s", [6.0, 30.0, 100.0])
def test_a_retry_after_outlives_a_restart(at_s: float) -> None:
    """Once it is saved, which is done every five seconds."""
    trouble = Trouble(5.0, 8.0, 503, "300")
    for fault in (ActorRestarted(at_s + 7.0), Requeued(at_s + 7.0), Drained(at_s + 7.0)):
        held(one_server(*rows(60), troubles=(trouble,), faults=(fault,)))


def test_an_operators_pause_does_not_use_up_the_patience_with_a_server() -> None:
    """While nothing may be requested no probe can show that it is well again; its rows ended as `server_refused`."""
    faults = (Ordered(10.0, "pause", 0), Ordered(400.0, "resume", 0))
    world = one_server(*rows(40), troubles=(Trouble(2.0, 420.0, 503),), faults=faults, politeness={"patience_s": 60.0})
    assert kinds(held(world)) == {"image": 40}


def test_hosts_of_a_group_share_the_rate_of_its_rule() -> None:
    """A rule for a shipped group was never used."""
    rule = {"server": "*.group.example", "group": "group", "rate_rps": 4.0}
    servers = tuple(Server(f"h{number}.group.example") for number in range(3))
    listed = tuple(Row(number % 3) for number in range(60))
    run = held(World(servers, listed, (Requeued(6.0),), politeness={"rules": [rule]}))
    times_s = [arrival.at_s for log in run.arrivals for arrival in log]
    assert widest_excess(times_s, 4.0)[0] <= 1.01
    assert run.seconds < 60.0


def test_a_banned_host_of_a_group_is_that_host_alone() -> None:
    rule = {"server": "*.group.example", "group": "group"}
    servers = (Server("h0.group.example"), Server("h1.group.example"))
    listed = rows(60) + rows(60, server=1)
    run = held(World(servers, listed, (Ordered(2.0, "ban", 0),), rate_rps=5.0, politeness={"rules": [rule]}))
    assert Counter(run.settled[f"{number}.0"][0] for number in range(60, 120)) == {"": 60}


def a_group(first: Server, *others: Server, **given: object) -> World:
    """The first of these servers, which share a budget, has 30 rows, each other 60."""
    rules = [{"server": server.name, "group": "farm"} for server in (first, *others)]
    listed = rows(30) + tuple(row for number in range(len(others)) for row in rows(60, server=number + 1))
    politeness = {"rules": rules, **given.pop("politeness", {})}  # type: ignore[dict-item]
    return World((first, *others), listed, politeness=politeness, **given)  # type: ignore[arg-type]


def kinds_of_group(run: Run) -> tuple[Counter[str], Counter[str]]:
    """How the rows of its first server ended, and those of the others."""
    ends = [run.settled[f"{number}.0"][0] for number in range(len(run.world.rows))]
    return Counter(ends[:30]), Counter(ends[30:])


@pytest.mark.parametrize("robots", ["ignore", "delay", "obey"])
@pytest.mark.parametrize(
    ("kind", "end"), [(ErrorKind.DNS, "dns"), (ErrorKind.CONNECT, "server_dead")], ids=["dns", "connect"]
)
def test_a_host_of_a_group_that_is_gone_is_given_up_by_itself(kind: ErrorKind, end: str, robots: str) -> None:
    """Its rows were requested again and again as fast as the group allowed, and the run never ended."""
    gone = Server("h0.example", troubles=(Trouble(0.0, FOREVER, kind),))
    run = held(a_group(gone, Server("h1.example"), politeness={"robots": robots}))
    assert kinds_of_group(run) == ({end: 30}, {"": 60})
    assert len(run.arrivals[0]) < 40
    assert run.seconds < 200.0


@pytest.mark.parametrize("task_seconds", [60.0, 5.0])
@pytest.mark.parametrize("lasts_s", [40.0, 100.0])
@pytest.mark.parametrize("after_s", [0.05, 20.0], ids=["refused", "silent"])
def test_a_host_of_a_group_that_comes_back_loses_nothing(after_s: float, lasts_s: float, task_seconds: float) -> None:
    back = Server("h0.example", troubles=(Trouble(0.0, lasts_s, ErrorKind.CONNECT, None, after_s),))
    run = held(a_group(back, Server("h1.example"), task_seconds=task_seconds))
    assert kinds_of_group(run) == ({"": 30}, {"": 60})
    assert max(arrival.at_s for arrival in run.arrivals[1]) < 30.0, "the others do not wait for it"


def test_hosts_of_a_group_are_given_up_one_by_one() -> None:
    gone = (Server("h0.example", troubles=(Trouble(0.0, FOREVER, ErrorKind.DNS),)),)
    gone += (Server("h1.example", troubles=(Trouble(0.0, FOREVER, ErrorKind.CONNECT),)),)
    run = held(a_group(*gone, Server("h2.example"), faults=(ActorRestarted(20.0), WorkerKilled(30.0))))
    assert kinds_of_group(run) == ({"dns": 30}, {"server_dead": 60, "": 60})


@pytest.mark.parametrize("action", ["ban", "pause"])
def test_a_host_of_a_group_gets_no_retry_of_what_was_under_way_when_the_order_came(
    action: Literal["ban", "pause"],
) -> None:
    silent = Server("h0.example", troubles=(Trouble(1.0, 40.0, ErrorKind.CONNECT, after_s=20.0),))
    faults = (Ordered(12.0, action, 0), *([Ordered(90.0, "resume", 0)] if action == "pause" else []))
    run = held(a_group(silent, Server("h1.example"), faults=faults))
    assert not [arrival for arrival in run.arrivals[0] if 20.0 < arrival.at_s < 90.0]


@pytest.mark.parametrize("count", [15, 30])
def test_a_host_of_a_group_that_forbids_everything_for_seconds_loses_nothing(count: int) -> None:
    """Its rows ended as `http_4xx`, as the other host was served."""
    banning = Server("h0.example", troubles=(Trouble(5.0, 8.0, 403),))
    group = a_group(banning, Server("h1.example"))
    run = held(replace(group, rows=(*rows(count), *rows(2 * count, server=1)), rate_rps=3.0))
    assert kinds(run) == {"image": 3 * count}


@pytest.mark.parametrize("action", ["ban", "pause"])
def test_an_order_for_a_host_of_a_group_is_one_for_its_robots_txt(action: Literal["ban", "pause"]) -> None:
    """Only its pictures were not requested any more."""
    faults = (Ordered(1.0, action, 0), *([Ordered(90.0, "resume", 0)] if action == "pause" else []))
    failing = Server("h0.example", robots=Robots(404, fails=3))
    run = held(a_group(failing, Server("h1.example"), faults=faults, politeness={"robots": "obey"}))
    assert kinds_of_group(run) == ({"ignored_server" if action == "ban" else "": 30}, {"": 60})


def test_permits_that_lapse_do_not_eat_the_requests_of_a_day() -> None:
    rule = {"server": "a.example", "max_requests_per_day": 60}
    run = held(
        one_server(*rows(50, Slow(3.0)), politeness={"rules": [rule], "max_connections": 1}, slots=3, batch_rows=10)
    )
    assert run.seconds < 200.0


# -- whose fault ---------------------------------------------------------------------------------------------------


def test_rows_that_failed_together_are_retried_however_many_retries_there_were() -> None:
    """Ten failures in a row are the server's; nine of them still counted as retries, of which there were too few."""
    trouble = Trouble(2.0, 42.0, 500)
    run = held(
        one_server(*rows(36), troubles=(trouble,), rate_rps=1.0, latency_s=0.3, politeness={"patience_s": 240.0})
    )
    assert kinds(run) == {"image": 36}


@pytest.mark.parametrize("chance", range(5))
def test_a_row_that_a_limit_refuses_by_chance_again_and_again_is_not_at_fault(chance: int) -> None:
    """At a server that refused every other request, rows that met three refusals ended as `http_429`."""
    limits = (Bucket(2.0),)
    run = held(one_server(*rows(15), limits=limits, rate_rps=30.0, chance=chance))
    assert kinds(run) == {"image": 15}


@pytest.mark.parametrize("chance", range(3))
@pytest.mark.parametrize(
    "limit",
    [Bucket(2.0, 1, 429, "1"), Bucket(5.0, 1, 503, "date:20"), Window(2, 1.0, status=503, retry_after="10")],
    ids=lambda limit: f"{type(limit).__name__}-{limit.retry_after}",
)
def test_rows_that_a_limit_refuses_whenever_they_follow_another_are_not_at_fault(limit: Limit, chance: int) -> None:
    """A refused row was requested again right after another was served, and was refused for that: it was called odd,
    its refusals taught the rate nothing any more, and it was lost.
    """
    run = held(one_server(*rows(15), limits=(limit,), rate_rps=30.0, chance=chance))
    assert kinds(run) == {"image": 15}


def test_rows_that_a_limit_of_one_request_in_five_seconds_refuses_are_not_at_fault() -> None:
    """Two seconds after another request they were taken to be refused for themselves: 24 of 60 were lost."""
    run = run_world(one_server(*rows(60), limits=(Bucket(0.2),), rate_rps=3.0))
    assert kinds(run) == {"image": 60}


def test_a_row_that_the_end_of_a_deep_bucket_refuses_is_not_at_fault() -> None:
    limits = (Bucket(2.0, 5, 503, "10"),)
    run = held(one_server(*rows(1), *rows(3, Loops()), limits=limits))
    assert kinds(run) == {"image": 1, "redirect_loop": 3}


def test_many_last_rows_that_are_refused_for_ever_in_short_slices_are_not_retried_one_by_one() -> None:
    """A new slice had served nothing for comparison, so each of them waited ten seconds after the one before."""
    refused = (Row(0), Row(0, Says(503))) * 14
    run = held(one_server(*refused, rate_rps=3.0, task_seconds=10.0, politeness={"patience_s": 60.0}))
    assert run.seconds < 200.0


def test_two_last_rows_that_fail_for_ever_in_short_slices_do_not_take_turns() -> None:
    """Each slice forgot that a comparison had shown the server to be well, so they were requested without end."""
    run = held(one_server(*rows(3), *rows(2, Says(503)), latency_s=2.0, task_seconds=5.0))
    assert kinds(run) == {"image": 3, "http_5xx": 2}
    assert len(asked(run.arrivals[0])) < 25


@pytest.mark.parametrize("kind", [ErrorKind.DNS, thorough(ErrorKind.CONNECT)])
def test_a_row_that_was_refused_for_itself_is_not_lost_as_the_network_is(
    kind: Literal[ErrorKind.DNS, ErrorKind.CONNECT],
) -> None:
    """It was at fault for good, whatever it failed with: its last attempts met a network that let nothing through."""
    servers = (Server("a.example"), Server("b.example"), Server("c.example"))
    listed = (Row(0, Says(429, 2)), *rows(29), *rows(40, server=1), *rows(40, server=2))
    for chance in range(3):
        world = World(servers, listed, (NetworkLost(8.0, 60.0, kind),), rate_rps=3.0, task_seconds=5.0, chance=chance)
        assert kinds(held(world)) == {"image": 110}


def test_rows_that_failed_in_trouble_are_not_at_fault_for_what_a_limit_refuses() -> None:
    """Comparisons had shown that it was not their server's trouble any more, and then a limit refused them."""
    limits, troubles = (Bucket(2.0, 1, 429, "1"),), (Trouble(0.0, 5.0, ErrorKind.TIMEOUT),)
    politeness: dict[str, object] = {"burst": 5, "patience_s": 60.0}
    world = one_server(
        *rows(14), limits=limits, troubles=troubles, rate_rps=30.0, task_seconds=5.0, politeness=politeness
    )
    assert kinds(held(world)) == {"image": 14}


def test_a_clock_that_is_set_back_makes_no_row_wait_longer() -> None:
    """A row's wait was saved as a time of day: it was requested an hour later, or 15."""
    fates = (*rows(10), *rows(3, Says(503, 2)), *rows(3, Says(500, 2)))
    steps = tuple(ClockStepped(float(at_s), -3600.0) for at_s in range(3, 60, 3))
    run = held(one_server(*fates, task_seconds=5.0, faults=steps))
    assert run.seconds < 120.0


def test_a_clock_that_is_put_forward_while_a_run_is_stopped_ends_no_wait() -> None:
    """By the clock, the minute for which the server asked had passed a day ago."""
    faults = (Drained(5.0), ClockStepped(10.0, 86_400.0))
    limits = (Bucket(2.0, 3, 429, "60"),)
    assert kinds(held(one_server(*rows(30), limits=limits, rate_rps=5.0, faults=faults))) == {"image": 30}


def test_slices_that_begin_after_an_outage_do_not_compare_again_what_is_known_to_be_well() -> None:
    """Each of them requested a file once more that had come before, although others were served meanwhile."""
    lost = NetworkLost(3.6, 203.6, ErrorKind.DNS)
    run = held(
        one_server(*rows(30), faults=(lost,), rate_rps=3.0, slots=3, task_seconds=20.0, batch_rows=20, pool_below=1000)
    )
    assert kinds(run) == {"image": 30}
    assert len(asked(run.arrivals[0])) == 31, "one of them found out that the network was there again"


def test_a_redirect_into_a_server_whose_one_connection_another_slice_has() -> None:
    """Its connection was reset again and again, and nobody told the slice that there was another: rows were lost."""
    limited = Server("a.example", latency_s=2.0, limits=(Connections(1, ErrorKind.RESET),), robots=Robots(404, fails=1))
    redirecting = (*rows(4, Moved(5, to=0), server=1), *rows(2, Moved(to=0), server=1), *rows(2, Moved(), server=1))
    world = World((limited, Server("b.example")), rows(100) + redirecting, slots=3, politeness={"max_connections": 2})
    assert kinds(held(world)) == {"image": 108}


def test_a_probe_that_a_slice_returns_at_its_end_is_sent_by_the_next() -> None:
    """It was waited for for a minute. Meanwhile only two servers were asked, so an outage of ours went unnoticed."""
    servers = (
        Server("a.example", robots=Robots(200, "User-agent: *\nCrawl-delay: 1\n")),
        Server("b.example", limits=(Bucket(20.0, 1, 429, "1"),)),
        Server("c.example"),
    )
    faults = (NetworkLost(1.1, 201.1, ErrorKind.CONNECT), Drained(8.4))
    politeness: dict[str, object] = {"patience_s": 60.0, "burst": 2}
    listed = rows(15) + rows(5, server=1) + rows(100, server=2)
    run = held(World(servers, listed, faults, slots=1, task_seconds=5.0, politeness=politeness, chance=229))
    assert kinds(run) == {"image": 120}


def test_a_burst_is_not_sent_to_a_server_that_has_shown_a_limit() -> None:
    """Five requests at once exceeded its two a second each time, however low the rate was: every other was refused."""
    limits = (Window(2, 1.0, status=503, retry_after="date:20"),)
    run = held(one_server(*rows(100), limits=limits, rate_rps=30.0, latency_s=0.3, politeness={"burst": 5}))
    assert run.seconds < 250.0


def test_a_slice_that_waits_for_slow_files_leaves_the_permits_to_others() -> None:
    """It took turns that it could not use, 300 a second, and the other slices got none for 50 s."""
    slow = rows(3, Slow(50.0))
    world = one_server(*slow, *rows(117), batch_rows=20, slots=3, task_seconds=5.0, rate_rps=3.0, latency_s=2.0)
    run = held(world)
    assert run.seconds < 190.0
    assert run.steps < 10_000


@pytest.mark.parametrize("how", [ErrorKind.TIMEOUT, ErrorKind.RESET, 500, 502], ids=str)
@pytest.mark.parametrize("task_seconds", [5.0, 60.0])
def test_the_last_rows_of_a_server_are_compared_with_what_it_served(how: int | ErrorKind, task_seconds: float) -> None:
    """Seven rows were left as five seconds of trouble began: too few to blame the server, and all of them were lost."""
    trouble = Trouble(2.0, 7.0, how)
    run = held(one_server(*rows(15), troubles=(trouble,), latency_s=0.3, rate_rps=3.0, task_seconds=task_seconds))
    assert kinds(run) == {"image": 15}


def test_an_unreachable_server_that_answers_whatever_it_is_is_reached() -> None:
    """After five refused connections a 500 left it unreachable, and its rows were given up probe by probe."""
    fates = (
        *rows(3, Says(500, 1)),
        *rows(9, Fails(ErrorKind.TIMEOUT, 1, 1.0)),
        *rows(3, Fails(ErrorKind.TIMEOUT, after_s=1.0)),
    )
    limits = (Connections(2, ErrorKind.CONNECT),)
    run = run_world(one_server(*fates, limits=limits, latency_s=0.3, politeness={"patience_s": 60.0}))
    assert kinds(run)["server_refused"] == 0


# -- robots ------------------------------------------------------------------------------------------------------------


def test_one_503_on_robots_txt_excludes_nobody() -> None:
    """Every row was excluded for a day."""
    run = held(one_server(*rows(20), robots=Robots(404, fails=1), politeness={"robots": "obey"}))
    assert kinds(run) == {"image": 20}


@pytest.mark.parametrize("how", [ErrorKind.RESET, ErrorKind.TIMEOUT, ErrorKind.CONNECT, 500, 503], ids=str)
@pytest.mark.parametrize("task_seconds", [5.0, 60.0])
def test_a_robots_txt_that_cannot_be_read_for_minutes_excludes_nobody(
    how: int | ErrorKind, task_seconds: float
) -> None:
    """Under `obey` it was requested for 42 s, and then all rows of its server were lost."""
    trouble = Trouble(0.0, 100.0, how)
    run = held(one_server(*rows(20), troubles=(trouble,), politeness={"robots": "obey"}, task_seconds=task_seconds))
    assert kinds(run) == {"image": 20}


def test_under_obey_nothing_is_requested_of_a_server_whose_robots_txt_was_not_read() -> None:
    """After one failure to connect its rows were requested, as if it had none."""
    robots = Robots(200, "User-agent: *\nDisallow: /\n")
    server = {"troubles": (Trouble(0.0, 30.0, ErrorKind.CONNECT),), "robots": robots}
    run = run_world(one_server(*rows(20), **server, politeness={"robots": "obey"}))
    assert kinds(run) == {"robots": 20}
    assert asked(run.arrivals[0]) == []


@pytest.mark.parametrize(
    "politeness", [{"robots": "ignore"}, {"robots": "delay"}, UNLIMITED], ids=["ignore", "delay", "unlimited"]
)
def test_a_robots_txt_that_names_us_is_obeyed_by_a_list_of_one_row_a_server(politeness: dict[str, object]) -> None:
    """It was not read under `ignore`, nor for fewer than five rows in a task."""
    ours = Robots(200, "User-agent: ray_downloader\nDisallow: /\n")
    servers = tuple(Server(f"s{number}.example", robots=ours if number % 3 else Robots(404)) for number in range(30))
    run = run_world(World(servers, tuple(Row(number) for number in range(30)), politeness=politeness))
    assert kinds(run) == {"robots": 20, "image": 10}
    assert [len(log) for log in run.arrivals] == [1 if number % 3 else 2 for number in range(30)]
    assert run.seconds < 30.0, "no row waited for another slice"


@pytest.mark.parametrize("politeness", [{"robots": "ignore"}, UNLIMITED], ids=["ignore", "unlimited"])
def test_the_delay_of_a_robots_txt_that_names_us_is_kept_under_ignore(politeness: dict[str, object]) -> None:
    robots = Robots(200, "User-agent: ray_downloader\nCrawl-delay: 2\n\nUser-agent: *\nDisallow: /\n")
    run = run_world(one_server(*rows(40), robots=robots, faults=_RESTARTS, task_seconds=20.0, politeness=politeness))
    assert kinds(run) == {"image": 40}
    times_s = [arrival.at_s for arrival in run.arrivals[0]][1:]
    assert min(later - earlier for earlier, later in pairwise(times_s)) > 1.9


@pytest.mark.parametrize("how", [ErrorKind.RESET, ErrorKind.TIMEOUT, 500, 503], ids=str)
def test_under_ignore_a_robots_txt_that_cannot_be_read_costs_one_request(how: int | ErrorKind) -> None:
    trouble = Trouble(0.0, 0.01, how, after_s=5.0 if isinstance(how, ErrorKind) else 0.01)
    run = held(one_server(*rows(40), troubles=(trouble,), politeness={"robots": "ignore"}))
    assert kinds(run) == {"image": 40}
    assert len(run.arrivals[0]) == 41
    (robots, first, *_) = run.arrivals[0]
    assert first.at_s - robots.ended_s < 0.5


@pytest.mark.parametrize("task_seconds", [5.0, 60.0])
def test_a_server_that_forbids_its_robots_txt_is_given_up_as_soon_as_any(task_seconds: float) -> None:
    """Under `ignore` that is about this file alone. It counted as a file with an error of its own: 484 s."""
    run = held(
        one_server(
            *rows(15), troubles=(Trouble(0.0, FOREVER, 403),), latency_s=0.3, task_seconds=task_seconds,
            politeness={"robots": "ignore", "patience_s": 60.0},
        )
    )  # fmt: skip
    assert run.seconds < 100.0


def test_a_server_that_opts_out_is_soon_left_alone() -> None:
    """The breaker never opened where images lie behind a redirect, or robots.txt answers 200."""
    robots = Robots(200, "User-agent: *\nAllow: /\n")
    run = held(one_server(*rows(200, OptsOut()), robots=robots))
    assert kinds(run) == {"opted_out": 200}
    assert len(asked(run.arrivals[0])) < 60
