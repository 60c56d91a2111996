"""Several distinct URLs that fail in a row say of their server what a single one cannot."""

from __future__ import annotations

import pytest

from ray_downloader.politeness.server.evidence import Evidence
from ray_downloader.politeness.server.runs import REFUSED_RUN, DistinctUrls, Runs


def complete(runs: Runs, evidence: Evidence, hashes: range | list[int]) -> list[int]:
    """Which of the answers, from 1, complete a run."""
    return [number for number, url in enumerate(hashes, 1) if runs.is_complete_with(evidence, url)]


def test_urls_are_counted_once_and_those_without_a_name_each_time() -> None:
    urls = DistinctUrls()
    assert [urls.add(url) for url in (5, 5, 6, 0, 0)] == [True, False, True, True, True]
    assert len(urls) == 4
    urls.clear()
    assert len(urls) == 0
    assert urls.add(5)


@pytest.mark.parametrize(("evidence", "length"), [(Evidence.FAILED, 10), (Evidence.UNREACHED, 5)])
def test_a_run_is_complete_at_its_length_and_begins_anew(evidence: Evidence, length: int) -> None:
    runs = Runs()
    assert complete(runs, evidence, range(1, 2 * length + 1)) == [length, 2 * length]
    assert runs.is_empty


def test_one_url_again_and_again_is_no_run_of_failures_and_one_of_servers_that_are_not_reached() -> None:
    assert complete(Runs(), Evidence.FAILED, [7] * 50) == []
    assert complete(Runs(), Evidence.UNREACHED, [7] * 5) == [5]


def test_a_run_of_403_is_no_coincidence_whatever_was_served_before() -> None:
    assert complete(Runs(), Evidence.FORBIDDEN, range(1, 6)) == [5]
    assert complete(Runs(10), Evidence.FORBIDDEN, range(1, 6)) == [5]


def test_where_many_files_are_forbidden_a_run_of_403_has_to_be_longer() -> None:
    runs = Runs()
    for url in range(1, 5):
        runs.is_complete_with(Evidence.FORBIDDEN, url)
    runs.is_complete_with(Evidence.SERVED, 9)
    assert complete(runs, Evidence.FORBIDDEN, range(10, 60)) == [18, 36]


def test_where_many_files_fail_a_run_of_failures_has_to_be_longer() -> None:
    """Else a server with many broken files is paused again and again, for files that no pause mends."""
    runs = Runs()
    for url in range(1, 10):
        runs.is_complete_with(Evidence.FAILED, url)
    runs.is_complete_with(Evidence.SERVED, 100)
    assert complete(runs, Evidence.FAILED, range(10, 20)) == []
    assert complete(Runs(), Evidence.FAILED, range(10, 20)) == [10]


@pytest.mark.parametrize("ending", [Evidence.SERVED, Evidence.ANSWERED])
def test_a_file_or_a_plain_answer_ends_every_run(ending: Evidence) -> None:
    runs = Runs(10)
    for evidence in (Evidence.FAILED, Evidence.FORBIDDEN, Evidence.UNREACHED):
        for url in range(1, 5):
            runs.is_complete_with(evidence, url)
    assert not runs.is_empty
    assert not runs.is_complete_with(ending, 50)
    assert runs.is_empty
    assert runs.files == 10 + (ending is Evidence.SERVED)
    assert complete(runs, Evidence.UNREACHED, range(1, 5)) == []


@pytest.mark.parametrize("evidence", [Evidence.HOP, Evidence.REFUSED, Evidence.FORBIDDEN])
def test_who_answers_at_all_is_reached(evidence: Evidence) -> None:
    runs = Runs()
    complete(runs, Evidence.UNREACHED, range(1, 5))
    assert not runs.is_complete_with(evidence, 60)
    assert complete(runs, Evidence.UNREACHED, range(1, 6)) == [5], "from there on five in a row are needed, as before"


def test_ten_redirects_in_a_row_end_a_run_though_no_file_came() -> None:
    runs = Runs()
    complete(runs, Evidence.FAILED, range(1, 10))
    complete(runs, Evidence.HOP, range(1, 10))
    assert not runs.is_empty
    runs.is_complete_with(Evidence.NOTHING, 0)
    complete(runs, Evidence.HOP, range(1, 10))
    assert not runs.is_empty, "not in a row"
    runs.is_complete_with(Evidence.HOP, 0)
    assert runs.is_empty
    assert runs.files == 0


def test_a_refusal_is_noise_if_no_more_come_in_a_row_than_at_random() -> None:
    runs = Runs()
    assert not runs.is_noise_with(1), "it is not known to refuse at random"
    runs.clear()
    runs.own.is_noise = True
    assert runs.is_noise_with(1)
    assert not runs.is_noise_with(2), "two in a row, and nothing is known of how frequent they are"
    runs.is_complete_with(Evidence.SERVED, 9)
    assert runs.is_noise_with(3)
    assert not runs.is_noise_with(3), "the same URL again"


@pytest.mark.parametrize("is_noise", [True, False])
def test_how_frequent_refusals_are_is_learned_only_where_they_come_at_random(is_noise: bool) -> None:
    runs = Runs()
    runs.own.is_noise = is_noise
    for url in range(1, 101):
        runs.is_noise_with(url)
        runs.is_complete_with(Evidence.SERVED, 1_000 + url)
    assert (runs.own.needed(Evidence.REFUSED, REFUSED_RUN) > REFUSED_RUN) is is_noise
