"""An odd answer costs its own row: each fetcher has one result for it, and goes on."""

from __future__ import annotations

from contextlib import closing

import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.fetch.base import FETCHERS
from tests.support.attacks import ODD_HEADS, attacking_server
from tests.support.fetching import fetch_all, get


@pytest.mark.parametrize("fetcher", ["curl", "requests"])
def test_every_odd_head_ends_in_one_result_and_the_next_request_is_served(fetcher: str) -> None:
    with attacking_server() as address:
        settings = NetworkSettings(connect_to={"*:80": address}, request_timeout_s=20)
        with closing(FETCHERS.get(fetcher)(settings, "test", 8)) as made:
            urls = [f"http://a.example/{name}/1" for name in ODD_HEADS] + ["http://a.example/good/1"]
            results = fetch_all(made, [get(token, url) for token, url in enumerate(urls)])
    assert results.pop(len(ODD_HEADS)).kind is None
    for token, name in enumerate(ODD_HEADS):
        result = results[token]
        assert result.kind is None or str(result.kind) in {"reset", "truncated", "http_4xx", "http_5xx"}, (name, result)
        assert all(value.isprintable() for line in result.headers.values() for value in line.split("\n")), name
