"""A header of the configuration goes to the row's own server, and over no redirect to another host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from ray_downloader.config.secrets import SecretHeaders
from ray_downloader.config.settings import Settings
from ray_downloader.fetch.base import FETCHERS, Fetcher, FetchRequest, FetchResult
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.worker.request_policy import RequestPolicy, Route
from tests.support.fetching import fetch_all
from tests.support.running import RunningOrigin

SECRET = "Bearer s3cret"


@pytest.fixture
def settings(origin: RunningOrigin) -> Settings:
    return Settings.from_config(
        {
            "path_to_input": "list.txt",
            "path_to_output": "out",
            "downloader_parameters": {"header": f"Authorization: {SECRET}"},
            "politeness": {"rules": [{"server": "*", "headers_env": {"X-Key": "MY_KEY"}}]},
            "network": {"connect_to": origin.connect_to, "ca_bundle": str(origin.ca_bundle)},
        }
    )


@pytest.fixture(params=["curl", "requests"])
def fetcher(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Fetcher]:
    with closing(FETCHERS.get(request.param)(settings.network, "test", 4)) as made:
        yield made


def download(fetcher: Fetcher, settings: Settings, url: str) -> FetchResult:
    """The answer after all redirects, asked for as the worker does it."""
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, {})
    policy = RequestPolicy(settings, policies, (), SecretHeaders.read(settings, {"MY_KEY": "s3cret-key"}))
    at = url
    while True:
        route = policy.route(at, url)
        assert isinstance(route, Route)
        assert "s3cret" not in repr(route)
        request = FetchRequest(0, route.target, route.headers)
        assert "s3cret" not in repr(request)
        result = fetch_all(fetcher, [request])[0]
        if result.redirect_url is None:
            return result
        at = result.redirect_url


def carried(origin: RunningOrigin) -> list[tuple[str, bool, bool]]:
    """Host, TLS, and whether both headers came, by request."""
    seen = origin.seen()
    assert all(("authorization" in entry.headers) == ("x-key" in entry.headers) for entry in seen)
    return [(entry.host, entry.tls, entry.headers.get("authorization") == SECRET) for entry in seen]


def test_a_redirect_to_another_host_does_not_carry_them(
    fetcher: Fetcher, settings: Settings, origin: RunningOrigin
) -> None:
    download(fetcher, settings, "https://listed.example/redirect?n=2&to=https://other.example/redirect?to=/b.jpg")
    assert carried(origin) == [
        ("listed.example", True, True),
        ("listed.example", True, True),
        ("other.example", True, False),
        ("other.example", True, False),
    ]


@pytest.mark.parametrize(
    ("start", "to", "is_carried"),
    [
        ("http://up.example", "https://up.example/b.jpg", True),
        ("https://down.example", "http://down.example/b.jpg", False),
        ("https://port.example", "https://port.example:443/b.jpg", True),
        ("https://sub.example", "https://www.sub.example/b.jpg", False),
        ("https://sub.example", "https://SUB.example./b.jpg", True),
    ],
)
def test_a_redirect_within_the_server_carries_them_unless_anybody_could_read_them(
    fetcher: Fetcher, settings: Settings, origin: RunningOrigin, start: str, to: str, is_carried: bool
) -> None:
    assert download(fetcher, settings, f"{start}/redirect?to={to}").kind is None
    assert [is_with for _, _, is_with in carried(origin)] == [True, is_carried]


def test_a_page_that_repeats_them_is_not_quoted_with_them(fetcher: Fetcher, settings: Settings) -> None:
    result = download(fetcher, settings, "https://echo.example/echo")
    assert "You sent [redacted]" in result.message
    assert "s3cret" not in repr(result)
