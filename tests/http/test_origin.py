"""The origin itself: what other tests rely on when they assert budgets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.fetch.base import FETCHERS, Fetcher
from tests.support.fetching import fetch, fetch_all, get
from tests.support.log import most_in_window
from tests.support.options import HostLimit, OriginOptions
from tests.support.running import RunningOrigin, running_origin

OPTIONS = OriginOptions(
    limits={"*.slow.example": HostLimit(rate_rps=0.01, burst=3, status=503, retry_after_s=2.5)},
    robots={"strict.example": "User-agent: *\nCrawl-delay: 5\n"},
)


@pytest.fixture(scope="module")
def limited() -> Iterator[RunningOrigin]:
    with running_origin(OPTIONS) as running:
        yield running


@pytest.fixture
def fetcher(limited: RunningOrigin) -> Iterator[Fetcher]:
    with closing(FETCHERS.get("curl")(NetworkSettings(connect_to=limited.connect_to), "test", 8)) as curl:
        yield curl


def test_a_host_with_a_limit_refuses_what_exceeds_it_and_the_log_shows_both(
    fetcher: Fetcher, limited: RunningOrigin
) -> None:
    results = fetch_all(fetcher, [get(i, f"http://a.slow.example/{i}.jpg") for i in range(5)])
    assert sorted(result.status or 0 for result in results.values()) == [200, 200, 200, 503, 503]
    assert {result.headers.get("retry-after") for result in results.values()} == {None, "2.5"}
    assert most_in_window(limited.seen("a.slow.example"), window_s=60.0) == 5


def test_a_flaky_url_fails_as_often_as_it_says_and_then_works(fetcher: Fetcher) -> None:
    url = "http://flaky.example/flaky/a.jpg?fail=2&status=500"
    assert [fetch(fetcher, url).status for _ in range(3)] == [500, 500, 200]


def test_robots_txt_is_there_for_the_hosts_that_have_one(fetcher: Fetcher) -> None:
    assert b"Crawl-delay: 5" in fetch(fetcher, "http://strict.example/robots.txt").body
    assert fetch(fetcher, "http://other.example/robots.txt").status == 404
