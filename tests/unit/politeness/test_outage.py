"""Whether it is us: only failures all over, with nobody answering, of servers that should be there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from ray_downloader.politeness.outage import LEAST_S, LEAST_SERVERS, WINDOW_S, NetworkState, OutageDetector


class Watched:
    """A detector, and the sums that it is shown."""

    def __init__(self, answered_before: Sequence[str] = (), servers: int = LEAST_SERVERS) -> None:
        self.detector = OutageDetector(
            answered_before.__contains__, has_anybody_answered=bool(answered_before), servers=servers
        )
        self.turned_away = 0
        self.answered = 0
        self.unreached: Counter[str] = Counter()

    def sees(self, now_s: float, *failed: str, answered: int = 0) -> NetworkState:
        self.unreached.update(failed)
        self.answered += answered
        return self.detector.observe(self.answered, self.unreached, now_s, turned_away=self.turned_away)


def test_nobody_reachable_from_the_start_is_our_own_trouble() -> None:
    watched = Watched()
    assert watched.sees(0.0, "a", "b", "c") is NetworkState.SUSPECT
    assert watched.sees(LEAST_S - 1) is NetworkState.SUSPECT
    assert watched.sees(LEAST_S) is NetworkState.OUTAGE
    assert watched.sees(LEAST_S + 1000, "a") is NetworkState.OUTAGE, "it lasts until somebody answers"
    assert watched.sees(LEAST_S + 1001, answered=1) is NetworkState.UP


def test_one_or_two_servers_may_be_down_by_themselves() -> None:
    watched = Watched()
    watched.sees(0.0, "a", "b")
    assert watched.sees(100.0, "a", "b") is NetworkState.UP


@pytest.mark.parametrize("servers", [("a",), ("a", "b")])
def test_if_the_list_has_no_others_and_nobody_answered_it_may_as_well_be_us(servers: Sequence[str]) -> None:
    watched = Watched(servers=len(servers))
    watched.sees(0.0, servers[0])
    watched.sees(0.1, *servers)
    assert watched.sees(LEAST_S + 1) is NetworkState.OUTAGE
    assert watched.sees(LEAST_S + 2, answered=1) is NetworkState.UP
    watched.sees(LEAST_S + 3, *servers)
    assert watched.sees(3 * LEAST_S, *servers) is NetworkState.UP, "somebody answered"


def test_a_refused_connection_or_a_name_that_does_not_exist_shows_that_the_network_is_there() -> None:
    watched = Watched(servers=1)
    watched.turned_away = 1
    watched.sees(0.0, "a")
    assert watched.sees(100.0, "a") is NetworkState.UP


def test_an_answer_in_a_servers_place_ends_an_outage_that_began_without_any() -> None:
    watched = Watched(["a", "b", "c"])
    watched.sees(0.0, "a", "b", "c")
    assert watched.sees(LEAST_S, "a") is NetworkState.OUTAGE
    watched.turned_away = 1
    assert watched.sees(LEAST_S + 1, "a") is NetworkState.UP
    assert watched.sees(LEAST_S + 2) is NetworkState.UP


@pytest.mark.parametrize("at_s", [0.0, 1.0])
def test_where_every_name_is_said_not_to_exist_another_such_answer_ends_nothing(at_s: float) -> None:
    watched = Watched(["a", "b", "c"])
    if at_s:
        watched.sees(0.0, "a", "b", "c")
    watched.turned_away = 3
    watched.sees(at_s, "a", "b", "c")
    assert watched.sees(LEAST_S + 1, "a") is NetworkState.OUTAGE
    watched.turned_away = 4
    assert watched.sees(LEAST_S + 2, "b") is NetworkState.OUTAGE


def test_servers_that_answered_in_an_earlier_run_are_waited_for_by_their_own_patience() -> None:
    watched = Watched(["a"], servers=1)
    watched.sees(0.0, "a")
    assert watched.sees(100.0, "a") is NetworkState.UP


def test_an_answer_of_anybody_says_that_the_network_is_there() -> None:
    watched = Watched(["a", "b", "c"])
    watched.sees(0.0, "a", "b", "c")
    assert watched.sees(3.0, answered=1) is NetworkState.UP
    assert watched.sees(20.0) is NetworkState.UP, "failures of before the answer say nothing"


def test_dead_servers_that_are_left_at_the_end_of_a_run_are_not_an_outage() -> None:
    watched = Watched(["good"])
    for second in range(0, 600, 10):
        assert watched.sees(second, "dead-1", "dead-2", "dead-3", "dead-4") is NetworkState.UP


def test_servers_that_answered_before_and_vanish_together_are_an_outage() -> None:
    watched = Watched(["a", "b"])
    watched.sees(0.0, "a", "b", "new")
    assert watched.sees(LEAST_S + 1, "a") is NetworkState.OUTAGE


def test_failures_far_apart_are_not_all_over() -> None:
    watched = Watched(["a", "b", "c"])
    watched.sees(0.0, "a")
    watched.sees(WINDOW_S - 1, "b")
    assert watched.sees(WINDOW_S + 10, "c") is NetworkState.UP


def test_the_detector_says_what_it_is_in() -> None:
    watched = Watched()
    watched.sees(0.0, "a", "b", "c")
    assert repr(watched.detector) == "<OutageDetector suspect since 0.0, failing: ['a', 'b', 'c']>"


def test_a_silent_resolver_is_ours_however_few_servers_there_are() -> None:
    detector = OutageDetector(lambda _: False, has_anybody_answered=True)
    assert detector.observe(0, {"a.example": 2}, 1.0, unresolved=2) is NetworkState.UP
    assert detector.observe(0, {"a.example": 3}, 2.0, unresolved=3) is NetworkState.SUSPECT
    assert detector.observe(0, {"a.example": 3}, 2.0 + LEAST_S, unresolved=3) is NetworkState.OUTAGE
    assert detector.observe(1, {"a.example": 3}, 9.0, unresolved=3) is NetworkState.UP
    assert detector.observe(1, {"a.example": 5}, 10.0, unresolved=5) is NetworkState.UP, "counted anew since the answer"


def test_an_outage_of_the_resolver_ends_as_it_answers_even_if_the_server_is_dead() -> None:
    detector = OutageDetector(lambda _: False, has_anybody_answered=True)
    detector.observe(0, {"dead.example": 3}, 1.0, unresolved=3)
    assert detector.observe(0, {"dead.example": 3}, 2.0 + LEAST_S, unresolved=3) is NetworkState.OUTAGE
    assert detector.observe(0, {"dead.example": 4}, 9.0, unresolved=4) is NetworkState.OUTAGE
    assert detector.observe(0, {"dead.example": 5}, 19.0, unresolved=4) is NetworkState.UP
    assert detector.observe(0, {"dead.example": 6}, 29.0, unresolved=4) is NetworkState.UP


def test_names_that_are_resolved_do_not_end_an_outage_of_many_servers() -> None:
    servers = ("a", "b", "c")
    detector = OutageDetector(servers.__contains__, has_anybody_answered=True)
    detector.observe(0, dict.fromkeys(servers, 1), 1.0, unresolved=3)
    assert detector.observe(0, dict.fromkeys(servers, 1), 2.0 + LEAST_S, unresolved=3) is NetworkState.OUTAGE
    assert detector.observe(0, dict.fromkeys(servers, 2), 9.0, unresolved=3) is NetworkState.OUTAGE
