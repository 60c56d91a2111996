from __future__ import annotations

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.server.liveness import FAILURES_TO_PARK, PROBE_TIMEOUT_S, RECHECK_S, Liveness

DELAYS_S = (5.0, 15.0)


def parked(at_s: float = 0.0) -> Liveness:
    liveness = Liveness(DELAYS_S)
    for _ in range(FAILURES_TO_PARK):
        liveness.observe(ErrorKind.CONNECT, at_s)
    return liveness


def test_failures_in_a_row_park() -> None:
    assert parked().is_parked
    assert parked().wait_s("b", 1.0) == 4.0


@pytest.mark.parametrize("kind", [None, ErrorKind.HTTP_4XX, ErrorKind.TLS, ErrorKind.HTTP_429])
def test_any_answer_shows_that_the_host_lives(kind: ErrorKind | None) -> None:
    liveness = Liveness(DELAYS_S)
    for _ in range(3 * FAILURES_TO_PARK):
        liveness.observe(ErrorKind.DNS, 0.0)
        liveness.observe(kind, 0.0)
    assert not liveness.is_parked


def test_probes_wait_longer_and_longer_and_then_the_host_is_dead() -> None:
    liveness = parked()
    liveness.probe("a", 5.0, 5.1)
    liveness.observe(ErrorKind.CONNECT, 6.0)
    assert liveness.wait_s("b", 6.0) == 15.0
    assert not liveness.is_dead
    liveness.probe("a", 21.0, 21.1)
    liveness.observe(ErrorKind.CONNECT, 22.0)
    assert liveness.is_dead


def test_failures_of_before_the_probe_do_not_count_as_its_own() -> None:
    liveness = parked()
    liveness.probe("a", 5.0, 5.1)
    liveness.observe(ErrorKind.CONNECT, 4.9)
    assert liveness.wait_s("b", 5.0) > DELAYS_S[0]


def test_a_probe_that_is_never_reported_is_given_again() -> None:
    liveness = parked()
    liveness.probe("a", 5.0, 5.1)
    assert liveness.wait_s("b", 6.0) > 0
    assert liveness.wait_s("b", 5.1 + PROBE_TIMEOUT_S) == 0
    assert not liveness.is_dead


def test_a_probe_that_is_answered_ends_it() -> None:
    liveness = parked()
    liveness.probe("a", 5.0, 5.1)
    liveness.observe(ErrorKind.HTTP_4XX, 6.0)
    assert not liveness.is_parked


def test_without_probes_a_parked_host_is_dead() -> None:
    liveness = Liveness(())
    for _ in range(FAILURES_TO_PARK):
        liveness.observe(ErrorKind.DNS, 0.0)
    assert liveness.is_dead


def test_a_probe_whose_permit_lapsed_is_given_again_at_once() -> None:
    liveness = Liveness((5.0, 15.0))
    for second in range(FAILURES_TO_PARK):
        liveness.observe(ErrorKind.CONNECT, float(second))
    liveness.probe("a", 10.0, 10.1)
    liveness.has_nothing_under_way("a", 10.05)
    liveness.has_nothing_under_way("b", 11.0)
    assert liveness.wait_s("b", 11.0) > 50.0
    assert liveness.wait_s("a", 11.0) == RECHECK_S
    liveness.has_nothing_under_way("a", 11.0)
    assert liveness.wait_s("b", 11.0) == 0.0


def test_four_failures_do_not_park_and_a_fifth_does() -> None:
    liveness = Liveness(DELAYS_S)
    for _ in range(4):
        liveness.observe(ErrorKind.DNS, 10.0)
    assert (liveness.is_parked, liveness.is_dead, liveness.wait_s("a", 10.0)) == (False, False, 0.0)
    liveness.observe(ErrorKind.CONNECT, 10.0)
    assert liveness.is_parked
    assert not liveness.is_dead
    assert (liveness.parked_until_s, liveness.wait_s("a", 14.0), liveness.wait_s("a", 99.0)) == (15.0, 1.0, 0.0)


def test_while_a_probe_is_under_way_its_holder_speaks_soon_and_others_wait() -> None:
    liveness = parked()
    liveness.probe("a", 5.0, 8.0)
    assert liveness.wait_s("a", 5.5) == 2.5
    assert liveness.wait_s("a", 7.9) == 1.0
    assert liveness.wait_s("b", 5.5) == 62.5
    assert liveness.wait_s("a", 68.0) == 0.0, "its permit ended a minute ago"


def test_failures_while_parked_and_without_a_probe_change_nothing() -> None:
    liveness = parked()
    for _ in range(9):
        liveness.observe(ErrorKind.CONNECT, 3.0)
    assert (liveness.parked_until_s, liveness.is_dead) == (5.0, False)


def test_a_probe_that_fails_at_the_moment_it_was_sent_has_failed() -> None:
    liveness = parked()
    liveness.probe("a", 5.0, 5.1)
    liveness.observe(ErrorKind.CONNECT, 5.0)
    assert liveness.parked_until_s == 20.0
    liveness.probe("a", 20.0, 20.1)
    liveness.observe(ErrorKind.CONNECT, 21.0)
    assert (liveness.is_dead, liveness.parked_until_s) == (True, 21.0)


def test_a_host_that_lived_again_has_all_its_probes_again() -> None:
    liveness = parked()
    liveness.probe("a", 5.0, 5.1)
    liveness.observe(ErrorKind.CONNECT, 6.0)
    liveness.observe(None, 7.0)
    assert not liveness.is_parked
    for _ in range(FAILURES_TO_PARK):
        liveness.observe(ErrorKind.CONNECT, 10.0)
    assert liveness.wait_s("a", 10.0) == 5.0


def test_a_permit_that_can_still_be_used_has_not_lapsed() -> None:
    liveness = parked()
    liveness.probe("a", 5.0, 8.0)
    liveness.has_nothing_under_way("a", 8.0)
    assert liveness.wait_s("b", 8.0) == 60.0
    liveness.has_nothing_under_way("a", 8.1)
    assert (liveness.wait_s("b", 8.1), liveness.parked_until_s) == (0.0, 8.1)
    unparked = Liveness(DELAYS_S)
    unparked.has_nothing_under_way("", 9.0)
    assert not unparked.is_parked
