"""Run requests through a fetcher until all have ended, for tests."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from ray_downloader.fetch.base import Fetcher, FetchRequest, FetchResult
from ray_downloader.partition.server_key import RequestUrl


def get(token: int, url: str, headers: Mapping[str, str] | None = None, verify_tls: bool | None = None) -> FetchRequest:
    """A request, its URL as text."""
    return FetchRequest(token, RequestUrl.parse(url), headers or {}, verify_tls)


def fetch_all(fetcher: Fetcher, requests: Iterable[FetchRequest], patience_s: float = 90.0) -> dict[int, FetchResult]:
    """Results by token.

    Raises:
        AssertionError: Not all have ended after `patience_s`, or one ended twice.
    """
    wanted = 0
    for request in requests:
        fetcher.start(request)
        wanted += 1
    results: dict[int, FetchResult] = {}
    until_s = time.monotonic() + patience_s
    while len(results) < wanted:
        assert time.monotonic() < until_s, f"{wanted - len(results)} requests hang"
        for result in fetcher.poll(0.5):
            assert result.token not in results, "a request ended twice"
            results[result.token] = result
    return results


def fetch(
    fetcher: Fetcher, url: str, headers: Mapping[str, str] | None = None, verify_tls: bool | None = None
) -> FetchResult:
    """The result of one GET."""
    return fetch_all(fetcher, [get(0, url, headers, verify_tls)])[0]
