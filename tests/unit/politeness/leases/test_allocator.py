"""What a server allows is shared among its holders: permits by intervals, connections at once."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ray_downloader.politeness.leases.allocator import LeaseAllocator, Terms
from ray_downloader.politeness.messages import Lease, LeaseRequest, Verdict
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.server.state import ServerState

UNLIMITED = ServerPolicy(None, None, max_connections=64, adaptive=False)


def ask(state: ServerState, holder: str, now_s: float, in_flight: int = 0) -> Lease:
    return state.handle(LeaseRequest("s", holder, 500, in_flight), now_s, random.Random(1))


def test_the_second_holder_works_at_once_and_soon_has_half() -> None:
    state = ServerState(UNLIMITED, 0.0)
    first, second = ask(state, "a", 0.0), ask(state, "b", 0.1)
    assert (first.connections, second.connections) == (48, 16)
    for turn in (1.0, 2.0, 3.0):
        first, second = (
            ask(state, "a", turn, in_flight=first.connections),
            ask(state, "b", turn, in_flight=second.connections),
        )
        assert first.connections + second.connections <= 64
    assert (first.connections, second.connections) == (32, 32)


def test_a_single_connection_is_given_to_the_first() -> None:
    state = ServerState(ServerPolicy(None, None, max_connections=1, adaptive=False), 0.0)
    assert ask(state, "a", 0.0).connections == 1
    assert not ask(state, "b", 0.0).connections


TERMS = Terms(
    not_before_s=0.0, interval_s=0.1, least_s=0.08, burst=1, connections=4, turn_connections=1, length_s=2.0,
    most_permits=1e9, retries=5.0,
)  # fmt: skip


def request(
    holder: str = "a", wanted: int = 100, in_flight: int = 0, unused: int = 0, server: str = "s"
) -> LeaseRequest:
    return LeaseRequest(server, holder, wanted, in_flight, unused)


def offer(allocator: LeaseAllocator, asked: LeaseRequest, now_s: float = 0.0, terms: Terms = TERMS) -> Lease:
    allocator.receive(asked, now_s)
    return allocator.offer(asked, terms, now_s)


def test_one_that_is_alone_has_permits_for_the_length_of_a_lease() -> None:
    allocator = LeaseAllocator(0.0)
    lease = offer(allocator, request())
    assert (lease.server, lease.permits, lease.interval_s, lease.burst) == ("s", 20, 0.1, 1)
    assert (lease.first_in_s, lease.connections, lease.retries, lease.serial) == (0.0, 4, 5, 1)
    assert lease.valid_s == pytest.approx(1.9 + 0.1)
    assert (lease.verdict, lease.request_again_in_s) == (Verdict.OPEN, 0.0)
    assert allocator.expires_s == pytest.approx(lease.valid_s + 0.1)


@pytest.mark.parametrize(
    ("changed", "asked", "permits"),
    [
        ({}, request(wanted=3), 3),
        ({"most_permits": 7.9}, request(), 7),
        ({"most_permits": 0.2}, request(), 1),
        ({"length_s": 0.05}, request(), 1),
        ({"interval_s": 0.3}, request(), 6),
    ],
)
def test_permits_are_bounded_by_what_is_wanted_the_time_and_the_quota(
    changed: dict[str, float], asked: LeaseRequest, permits: int
) -> None:
    assert offer(LeaseAllocator(0.0), asked, terms=replace(TERMS, **changed)).permits == permits


@pytest.mark.parametrize(("retries", "permits", "allowed"), [(5.9, 20, 5), (0.5, 20, 0), (-3.0, 20, 0), (50.0, 3, 3)])
def test_retries_are_what_the_retry_budget_leaves(retries: float, permits: int, allowed: int) -> None:
    lease = offer(LeaseAllocator(0.0), request(wanted=permits), terms=replace(TERMS, retries=retries))
    assert lease.retries == allowed


def test_retries_that_another_lease_allows_are_taken() -> None:
    allocator = LeaseAllocator(0.0)
    assert offer(allocator, request("a", wanted=4)).retries == 4
    assert offer(allocator, request("b", wanted=4), terms=replace(TERMS, not_before_s=0.0)).retries in (0, 1)


def test_permits_of_the_lease_before_may_go_to_retries_as_long_as_they_can_be_used() -> None:
    allocator = LeaseAllocator(0.0)
    assert offer(allocator, request("a", wanted=2)).retries == 2
    assert offer(allocator, request("a", wanted=1), 0.05).retries == 3, "two of the first lease may be left"
    assert offer(allocator, request("a", wanted=1), 3.0).retries == 1


@pytest.mark.parametrize(("retries", "allowed", "may_retry_later"), [(1.5, 0, True), (4.0, 3, True), (0.5, 0, False)])
def test_a_holder_knows_whether_others_have_what_is_left_of_the_retry_budget(
    retries: float, allowed: int, may_retry_later: bool
) -> None:
    allocator = LeaseAllocator(0.0)
    terms = replace(TERMS, retries=retries, connections=8)
    offer(allocator, request("b", wanted=1), terms=terms)
    lease = offer(allocator, request("a", wanted=4), 0.05, terms)
    assert (lease.retries, lease.may_retry_later) == (allowed, may_retry_later)


def test_a_lease_that_has_not_begun_is_given_again() -> None:
    allocator = LeaseAllocator(0.0)
    first = offer(allocator, request("a"), terms=replace(TERMS, not_before_s=0.5))
    again = offer(allocator, request("a"), 0.2, replace(TERMS, not_before_s=0.5))
    assert (first.serial, first.first_in_s) == (again.serial, 0.5)
    assert again.first_in_s == pytest.approx(0.3)
    assert again.permits == first.permits
    begun = offer(allocator, request("a"), 0.5, TERMS)
    assert begun.serial != first.serial or begun.permits == 0


def test_a_start_that_is_far_away_is_waited_for() -> None:
    allocator = LeaseAllocator(0.0)
    late = replace(TERMS, not_before_s=10.0)
    lease = offer(allocator, request(), 0.0, late)
    assert (lease.permits, lease.verdict) == (0, Verdict.OPEN)
    assert lease.request_again_in_s == pytest.approx(9.5), "half of a second's lead before it"
    assert offer(allocator, request(), 9.0, late).permits == 20
    short = replace(late, length_s=0.4)
    assert offer(LeaseAllocator(0.0), request(), 0.0, short).request_again_in_s == pytest.approx(10.0 - 0.1)
    assert offer(LeaseAllocator(0.0), request(), 9.79, short).permits == 0
    assert offer(LeaseAllocator(0.0), request(), 9.8, short).permits == 4


def test_among_others_leases_are_short_and_faster_by_what_a_change_costs() -> None:
    allocator = LeaseAllocator(0.0)
    allocator.receive(request("b"), 0.0)
    lease = offer(allocator, request("a"))
    assert lease.interval_s == pytest.approx(0.1 / 1.05)
    assert lease.permits == 4, "0.4 s of them"
    slow = LeaseAllocator(0.0)
    slow.receive(request("b"), 0.0)
    assert offer(slow, request("a"), terms=replace(TERMS, least_s=0.099)).interval_s == 0.099
    with_burst = LeaseAllocator(0.0)
    with_burst.receive(request("b"), 0.0)
    assert offer(with_burst, request("a"), terms=replace(TERMS, burst=4)).interval_s == 0.1


def test_holders_take_turns_that_do_not_touch() -> None:
    allocator = LeaseAllocator(0.0)
    allocator.receive(request("b"), 0.0)
    first = offer(allocator, request("a", wanted=4), terms=replace(TERMS, connections=8))
    second = offer(allocator, request("b", wanted=4), terms=replace(TERMS, connections=8))
    assert second.first_in_s >= first.first_in_s + 4 * first.interval_s


def test_one_worker_may_ask_for_two_hosts_of_a_group() -> None:
    allocator = LeaseAllocator(0.0)
    first = offer(allocator, request("a", wanted=1, server="one"))
    second = offer(allocator, request("a", wanted=1, server="two"))
    assert (first.server, second.server) == ("one", "two")
    assert first.serial != second.serial
    assert second.first_in_s > first.first_in_s


def test_connections_are_no_more_than_permits_and_what_is_under_way_need() -> None:
    lease = offer(LeaseAllocator(0.0), request(wanted=1, in_flight=2))
    assert (lease.permits, lease.connections) == (1, 3)
    assert offer(LeaseAllocator(0.0), request(wanted=100)).connections == 4


def test_one_that_finds_no_connection_free_asks_again_soon() -> None:
    allocator = LeaseAllocator(0.0)
    assert offer(allocator, request("a")).connections == 4
    lease = offer(allocator, request("b"))
    assert (lease.permits, lease.connections, lease.request_again_in_s) == (0, 0, 0.25)


def test_what_is_given_back_goes_to_the_next() -> None:
    allocator = LeaseAllocator(0.0)
    offer(allocator, request("a"))
    allocator.receive(request("a", wanted=0, unused=19), 0.1)
    assert allocator.in_flight == 0
    lease = offer(allocator, request("b"), 0.1)
    assert (lease.permits > 0, lease.connections) == (True, 4)
    assert lease.first_in_s == pytest.approx(0.1, abs=0.02)


def test_unused_permits_end_a_lease_and_the_holder_stays() -> None:
    allocator = LeaseAllocator(0.0)
    offer(allocator, request("a"))
    allocator.receive(request("a", in_flight=3, unused=5), 0.5)
    assert allocator.in_flight == 3
    assert allocator.expires_s == pytest.approx(0.6)
    refused = allocator.refuse(request("a"), 2.0, Verdict.OPEN, 0.5)
    assert (refused.connections, refused.request_again_in_s) == (0, 2.0)


def test_connections_of_a_lease_that_is_over_are_free() -> None:
    allocator = LeaseAllocator(0.0)
    offer(allocator, request("a"))
    allocator.receive(request("a", in_flight=1), 2.3)
    allocator.receive(request("b"), 2.3)
    assert allocator.offer(request("b"), TERMS, 2.3).connections == 2


@pytest.mark.parametrize(
    ("verdict", "now_s", "connections"),
    [(Verdict.OPEN, 1.0, 4), (Verdict.OPEN, 2.3, 0), (Verdict.PAUSED, 1.0, 0), (Verdict.BANNED, 1.0, 0)],
)
def test_a_refusal_leaves_a_running_lease_its_connections_unless_a_verdict_ends_it(
    verdict: Verdict, now_s: float, connections: int
) -> None:
    allocator = LeaseAllocator(0.0)
    offer(allocator, request("a"))
    refused = allocator.refuse(request("a"), 7.0, verdict, now_s)
    assert (refused.permits, refused.connections, refused.verdict) == (0, connections, verdict)
    assert (refused.server, refused.request_again_in_s) == ("s", 7.0)
    assert allocator.refuse(request("a"), 7.0, Verdict.OPEN, now_s).connections == connections


def test_a_holder_that_is_not_known_is_refused_with_nothing() -> None:
    refused = LeaseAllocator(0.0).refuse(request("x"), 7.0, Verdict.PAUSED, 0.0)
    assert (refused.permits, refused.connections) == (0, 0)


def test_without_a_rate_all_that_is_wanted_goes_out_at_once() -> None:
    allocator = LeaseAllocator(0.0)
    free = replace(TERMS, interval_s=0.0, connections=8)
    lease = offer(allocator, request(wanted=50), 0.0, free)
    assert (lease.permits, lease.burst, lease.retries, lease.valid_s, lease.interval_s) == (50, 50, 50, 30.0, 0.0)
    assert lease.connections == 6, "a fourth stays for the next holder"
    again = offer(allocator, request(wanted=50, in_flight=6), 1.0, free)
    assert again.serial == lease.serial + 1


def test_a_wait_is_counted_from_now_and_not_from_the_clocks_beginning() -> None:
    allocator = LeaseAllocator(500.0)
    assert offer(allocator, request(), 490.0, replace(TERMS, not_before_s=0.0)).request_again_in_s == pytest.approx(9.5)


def test_connections_without_a_rate_are_held_as_long_as_the_lease_runs() -> None:
    free = replace(TERMS, interval_s=0.0, connections=8)
    for asked_again_s, connections in ((29.9, 2), (30.0, 4)):
        allocator = LeaseAllocator(0.0)
        offer(allocator, request("a", wanted=50), 0.0, free)
        allocator.receive(request("a", wanted=50), asked_again_s)
        assert offer(allocator, request("b", wanted=50), asked_again_s, free).connections == connections
