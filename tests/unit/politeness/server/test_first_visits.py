"""Servers that refuse each URL once are told from those that refuse what comes too soon."""

from __future__ import annotations

import pytest

from ray_downloader.politeness.server.evidence import Evidence
from ray_downloader.politeness.server.first_visits import REMEMBERED, FirstVisits

REFUSED, SERVED = Evidence.REFUSED, Evidence.SERVED


def told(*answers: tuple[Evidence, int, float]) -> FirstVisits:
    visits = FirstVisits()
    for evidence, url, at_s in answers:
        assert not visits.note(evidence, url, at_s)
    return visits


def test_urls_that_are_served_sooner_than_others_were_refused_show_it() -> None:
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (SERVED, 1, 180.0))
    assert not visits.may_be_refused, "a limiter with a memory of two minutes would do the same"
    visits.note(SERVED, 2, 182.0)
    assert (visits.may_be_refused, visits.are_refused) == (True, False)
    assert not visits.note(REFUSED, 3, 184.0)
    visits.note(SERVED, 3, 186.0)
    assert visits.are_refused
    assert visits.note(REFUSED, 4, 186.5), "as expected"
    visits.note(SERVED, 4, 187.0)
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
        pytest.param((SERVED, 9, 200.0), id="a first visit is served"),
    ],
)
def test_what_speaks_against_it_ends_it(answer: tuple[Evidence, int, float]) -> None:
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (SERVED, 1, 62.0), (SERVED, 2, 64.0))
    assert visits.are_refused
    visits.note(REFUSED, 3, 66.0)
    assert not visits.note(*answer)
    assert not (visits.are_refused or visits.may_be_refused)


def test_a_500_for_a_first_visit_is_like_a_refusal() -> None:
    failed = Evidence.FAILED
    visits = told((failed, 1, 0.0), (failed, 2, 60.0), (SERVED, 1, 62.0), (SERVED, 2, 64.0))
    assert visits.note(failed, 3, 66.0)


def test_other_answers_only_count_as_requests() -> None:
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (Evidence.HOP, 2, 90.0), (SERVED, 1, 120.0))
    assert visits.may_be_refused, "30 s after the last request"


def test_a_file_shows_it_once_and_only_so_many_refusals_are_remembered() -> None:
    visits = told((REFUSED, 1, 0.0), (REFUSED, 2, 60.0), (SERVED, 1, 62.0), (SERVED, 1, 64.0))
    assert not visits.may_be_refused, "its second file was not refused before"
    visits = told(*((REFUSED, url, 60.0 * url) for url in range(1, REMEMBERED + 2)))
    visits.note(SERVED, 1, 60.0 * REMEMBERED + 61.0)
    assert not visits.may_be_refused
