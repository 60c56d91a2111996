"""A server that often fails at single URLs needs more of them in a row before it is thought to be in trouble."""

from __future__ import annotations

import pytest

from ray_downloader.politeness.server.evidence import Evidence
from ray_downloader.politeness.server.own_faults import OwnFaults


def test_a_server_without_such_urls_needs_the_least() -> None:
    faults = OwnFaults()
    assert faults.needed(Evidence.FAILED, 10) == 10
    for url in range(100):
        faults.served(url)
    assert faults.needed(Evidence.FAILED, 10) == 10


@pytest.mark.parametrize(
    ("own", "served", "needed"), [(50, 49, 10), (60, 39, 14), (80, 19, 31), (90, 9, 40), (10, 89, 5), (1, 98, 5)]
)
def test_the_more_of_them_there_are_the_longer_a_row_is_no_accident(own: int, served: int, needed: int) -> None:
    faults = OwnFaults()
    faults.passed(Evidence.FORBIDDEN, own)
    for url in range(served):
        faults.served(url)
    assert faults.needed(Evidence.FORBIDDEN, 5) == needed
    assert faults.needed(Evidence.FAILED, 5) == 5, "each kind for itself"


def test_three_refusals_that_were_about_their_urls_are_what_one_is_used_to() -> None:
    faults = OwnFaults()
    for url in (1, 2, 3):
        assert not faults.is_used_to_refusals
        faults.refused(url, states_wait=False)
        faults.was_odd(url)
    assert faults.is_used_to_refusals
    assert faults.odd_in_a_row == 3
    assert faults.needed(Evidence.REFUSED, 1) == 25, "three of four"


def test_a_url_that_is_forbidden_again_counts_once() -> None:
    faults = OwnFaults()
    for url in range(50):
        faults.was_odd(url, is_forbidden=True)
    for url in range(49):
        faults.served(url)
    assert faults.needed(Evidence.FORBIDDEN, 5) == 10, "a half of all"


def test_only_a_url_that_was_refused_can_turn_out_odd_and_once() -> None:
    faults = OwnFaults()
    faults.was_odd(7)
    faults.refused(0, states_wait=False)
    faults.was_odd(0)
    assert faults.odd_in_a_row == 0
    faults.refused(7, states_wait=False)
    faults.was_odd(7)
    faults.was_odd(7)
    assert faults.odd_in_a_row == 1


def test_a_refused_url_that_is_served_later_was_refused_by_its_server() -> None:
    faults = OwnFaults()
    for url in (1, 2, 3, 4):
        faults.refused(url, states_wait=False)
    for url in (1, 2, 3):
        faults.was_odd(url)
    faults.served(99)
    assert faults.odd_in_a_row == 3
    faults.served(4)
    assert faults.odd_in_a_row == 0


def used_to_waits(*, served: int) -> OwnFaults:
    """Three URLs stated a wait for themselves, twice each, and so many files were served."""
    faults = OwnFaults()
    for url in (1, 2, 3):
        faults.refused(url, states_wait=True)
        faults.believed_a_wait()
        faults.was_odd(url, states_wait=True)
    for url in range(100, 100 + served):
        faults.served(url)
    return faults


def test_urls_that_state_waits_for_themselves_are_what_one_gets_used_to() -> None:
    assert used_to_waits(served=0).is_used_to_waits
    assert used_to_waits(served=50).is_used_to_waits


@pytest.mark.parametrize(("first", "second"), [(False, False), (True, False), (False, True)])
def test_urls_that_are_refused_without_a_wait_do_not_make_waits_doubtful(first: bool, second: bool) -> None:
    faults = OwnFaults()
    for url in (1, 2, 3, 4):
        faults.refused(url, states_wait=first)
        faults.was_odd(url, states_wait=second)
    assert faults.is_used_to_refusals
    assert not faults.is_used_to_waits


def test_a_url_that_stated_a_wait_and_is_served_later_spoke_for_its_server() -> None:
    faults = used_to_waits(served=50)
    faults.refused(7, states_wait=False)
    faults.served(7)
    assert faults.is_used_to_waits, "it stated none"
    faults.refused(8, states_wait=True)
    faults.refused(8, states_wait=False)
    faults.served(8)
    assert not faults.is_used_to_waits


@pytest.mark.parametrize(
    ("answers", "is_believed"),
    [
        ("w", False),
        ("ww", True),
        ("wsw", True),
        ("wsssw", False),
        ("wssswssw", False),
        ("wsswsw", True),
        ("w" + 40 * "s" + "w", False),
    ],
)
def test_more_waits_than_urls_state_for_themselves_are_the_servers(answers: str, is_believed: bool) -> None:
    faults = used_to_waits(served=35)  # three of 39: one in thirteen
    for url, answer in enumerate(answers, start=1000):
        if answer == "s":
            faults.served(url)
        else:
            faults.refused(url, states_wait=True)
    assert faults.is_used_to_waits is not is_believed
    faults.believed_a_wait()
    assert faults.is_used_to_waits, "it is counted anew"


def test_one_url_that_repeats_its_wait_counts_once() -> None:
    faults = used_to_waits(served=35)
    for _ in range(5):
        faults.refused(1000, states_wait=True)
    assert faults.is_used_to_waits


def test_where_most_urls_state_waits_for_themselves_nothing_shows_that_one_is_the_servers() -> None:
    faults = used_to_waits(served=1)
    for url in range(1000, 1040):
        faults.refused(url, states_wait=True)
    assert faults.is_used_to_waits


def test_256_refused_urls_are_awaited() -> None:
    faults = OwnFaults()
    for url in range(1, 258):
        faults.refused(url, states_wait=False)
    faults.was_odd(1)
    assert faults.odd_in_a_row == 0
    faults.was_odd(2)
    assert faults.odd_in_a_row == 1


def test_what_a_server_did_long_ago_is_forgotten() -> None:
    faults = OwnFaults()
    faults.passed(Evidence.FAILED, 3000)
    for url in range(1000):
        faults.served(url)
    before = faults.needed(Evidence.FAILED, 1)
    faults.served(5000)
    assert faults.needed(Evidence.FAILED, 1) == before, "both are halved"
    for url in range(600):
        faults.served(url)
    assert faults.needed(Evidence.FAILED, 1) < before
