"""Servers that refuse each URL once are told from those that refuse what comes too soon."""

from __future__ import annotations

import pytest

from ray_downloader.politeness.server.events import Event
from ray_downloader.politeness.server.evidence import Evidence
from ray_downloader.politeness.server.first_visits import REMEMBERED, FirstVisits

REFUSED, SERVED = Evidence.REFUSED, Evidence.SERVED


def note(visits: FirstVisits, evidence: Evidence, url: int, at_s: float, http_status: int = 503) -> bool:
    return visits.note(Event(evidence, at_s, at_s, at_s, url, http_status=http_status))


def told(*answers: tuple[Evidence, int, float]) -> FirstVisits:
    visits = FirstVisits()
    for evidence, url, at_s in answers:
        assert not note(visits, evidence, url, at_s)
    return visits


def test_urls_that_are_served_sooner_than_others_were_refused_show_it() -> None:
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (SERVED, 1, 180.0))
    assert not visits.may_be_refused, "a limiter with a memory of two minutes would do the same"
    note(visits, SERVED, 2, 182.0)
    assert (visits.may_be_refused, visits.are_refused) == (True, False)
    assert not note(visits, REFUSED, 3, 184.0)
    note(visits, SERVED, 3, 186.0)
    assert visits.are_refused
    assert note(visits, REFUSED, 4, 186.5), "as expected"
    note(visits, SERVED, 4, 187.0)
    assert visits.are_refused


@pytest.mark.parametrize(("after_s", "is_shown"), [(30.0, True), (30.1, False)])
def test_sooner_means_after_half_the_time(after_s: float, is_shown: bool) -> None:
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (SERVED, 1, 60.0 + after_s))
    assert visits.may_be_refused is is_shown


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((REFUSED, 3, 200.0), id="a second visit is refused"),
        pytest.param((REFUSED, 0, 200.0), id="a URL without identity is refused"),
    ],
)
def test_what_speaks_against_it_ends_it(answer: tuple[Evidence, int, float]) -> None:
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (SERVED, 1, 62.0), (SERVED, 2, 64.0))
    assert visits.are_refused
    note(visits, REFUSED, 3, 66.0)
    assert not note(visits, *answer)
    assert not (visits.are_refused or visits.may_be_refused)


def test_where_only_some_first_visits_are_refused_it_stays_known() -> None:
    """Half of 200 first visits were refused: each that was served began the search anew, and it took 38 minutes."""
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (SERVED, 1, 62.0), (SERVED, 9, 64.0), (SERVED, 2, 66.0))
    assert (visits.shown, visits.widest_s) == (1, 0.0), "only what was refused since then is compared"
    for evidence, url, at_s in ((REFUSED, 3, 126.0), (SERVED, 3, 130.0), (SERVED, 10, 131.0)):
        note(visits, evidence, url, at_s)
    assert visits.are_refused


def test_refusals_with_another_status_are_no_first_visits() -> None:
    """The server also has a limit, and says so with 429."""
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (SERVED, 1, 62.0), (SERVED, 2, 64.0))
    assert not note(visits, REFUSED, 3, 65.0, 429)
    assert note(visits, REFUSED, 4, 66.0)
    note(visits, REFUSED, 5, 126.0)
    note(visits, SERVED, 3, 127.0)
    assert (visits.shown, visits.http_status) == (1, 429), "unless second visits after those are served as well"


def test_a_500_for_a_first_visit_is_like_a_refusal() -> None:
    failed = Evidence.FAILED
    visits = told((failed, 1, 0.0), (failed, 2, 60.0), (SERVED, 1, 62.0), (SERVED, 2, 64.0))
    assert note(visits, failed, 3, 66.0)


def test_other_answers_only_count_as_requests() -> None:
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (Evidence.HOP, 2, 90.0), (SERVED, 1, 120.0))
    assert visits.may_be_refused, "30 s after the last request"


def test_a_file_shows_it_once_and_only_so_many_refusals_are_remembered() -> None:
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (SERVED, 1, 62.0), (SERVED, 1, 64.0))
    assert visits.shown == 1, "its second file was not refused before"
    visits = told(*((REFUSED, url, 60.0 * url) for url in range(1, REMEMBERED + 2)))
    assert len(visits._refused_s) == REMEMBERED
    note(visits, SERVED, 1, 60.0 * REMEMBERED + 61.0)
    assert not visits.may_be_refused


def test_a_refusal_with_none_before_it_shows_nothing_however_soon_its_url_is_served() -> None:
    assert not told((REFUSED, 1, 0.0), (SERVED, 1, 0.4)).may_be_refused


def test_when_requests_were_sent_counts_and_not_when_their_answers_came() -> None:
    """A bucket of one that refuses after a second and serves after two: each file looked sooner than any refusal."""
    visits = FirstVisits()
    first = ((REFUSED, 1, 0.25, 1.25), (REFUSED, 2, 0.5, 1.5), (SERVED, 9, 0.0, 2.0))
    for evidence, url, sent_s, ended_s in (*first, (REFUSED, 3, 20.25, 21.25), (SERVED, 2, 20.0, 22.0)):
        visits.note(Event(evidence, ended_s, ended_s, sent_s, url, http_status=503))
    assert visits.widest_s == 0.25, "not twenty seconds"
    visits.note(Event(SERVED, 22.5, 22.5, 20.5, 1, http_status=503))
    assert visits.shown == 0, "neither came sooner than what was refused"
