"""One probe session in virtual order: what it asks for, what it obeys, and when it stops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import Fetcher, FetchRequest
from ray_downloader.fetch.fake import FakeClock, FakeFetcher, Reply
from ray_downloader.profile.pacer import ProbePacer
from ray_downloader.profile.probe import ProbedServer, ProbeFindings, ProbeOptions, probe_server
from ray_downloader.worker.robots_store import KeptAnswer

URLS = ["http://a.example/1.jpg", "http://a.example/private/2.jpg", "not a url", "http://a.example/3.jpg"]
IMAGE = Reply(body=b"pixels", headers={"content-type": "image/jpeg"})
NO_ROBOTS = Reply(ErrorKind.HTTP_4XX, status=404)


class Session:
    """A server of a script, and the requests that it got."""

    def __init__(self, robots: Reply, script: Callable[[FetchRequest], Reply] = lambda _: IMAGE) -> None:
        self.networks: list[NetworkSettings] = []
        self.fetchers: list[FakeFetcher] = []
        self._robots = robots
        self._script = script

    def make_fetcher(self, network: NetworkSettings, user_agent: str, max_host_connections: int) -> Fetcher:
        self.networks.append(network)
        fetcher = FakeFetcher(
            lambda request: self._robots if request.url.endswith("/robots.txt") else self._script(request), FakeClock()
        )
        self.fetchers.append(fetcher)
        return fetcher

    def run(
        self, robots: Any = "delay", urls: list[str] = URLS, robots_known: KeptAnswer | None = None, **server: Any
    ) -> ProbeFindings:
        options = ProbeOptions(self.make_fetcher, NetworkSettings(), "ray_downloader/1", robots, 30.0)
        self.pacer = ProbePacer(0.0, lambda: 0.0, lambda _: None)
        return probe_server(urls, self.pacer, options, ProbedServer(**server, robots=robots_known))

    @property
    def asked(self) -> list[str]:
        return [request.url.removeprefix("http://a.example") for _, request in self.fetchers[0].started]


def rules(*lines: str) -> Reply:
    return Reply(body="\n".join(lines).encode())


def test_robots_txt_comes_first_and_every_url_once() -> None:
    session = Session(NO_ROBOTS)
    found = session.run()
    assert session.asked == ["/robots.txt", "/1.jpg", "/private/2.jpg", "/3.jpg"]
    assert [sample.kind for sample in found.samples] == [None] * 3
    assert found.robots is not None
    assert (found.robots.crawl_delay_s, found.robots.names_us, found.cut_short) == (None, False, "")
    assert session.fetchers[0].is_closed
    assert (session.networks[0].connect_timeout_s, session.networks[0].request_timeout_s) == (20.0, 30.0)


@pytest.mark.parametrize(
    ("mode", "group", "asked"),
    [
        ("ignore", "*", ["/robots.txt", "/1.jpg", "/private/2.jpg", "/3.jpg"]),
        ("ignore", "ray_downloader", ["/robots.txt", "/1.jpg", "/3.jpg"]),
        ("delay", "*", ["/robots.txt", "/1.jpg", "/private/2.jpg", "/3.jpg"]),
        ("obey", "*", ["/robots.txt", "/1.jpg", "/3.jpg"]),
        ("delay", "ray_downloader", ["/robots.txt", "/1.jpg", "/3.jpg"]),
        ("delay", "otherbot", ["/robots.txt", "/1.jpg", "/private/2.jpg", "/3.jpg"]),
    ],
)
def test_what_robots_txt_excludes_is_asked_for_where_it_is_not_obeyed(mode: str, group: str, asked: list[str]) -> None:
    session = Session(rules(f"User-agent: {group}", "Disallow: /private"))
    session.run(mode)
    assert session.asked == asked


def test_what_was_read_today_is_not_requested_again_and_what_is_read_is_for_the_download() -> None:
    lines = ("User-agent: ray_downloader", "Disallow: /private")
    found = Session(rules(*lines)).run("ignore")
    assert found.answer == KeptAnswer(200, "\n".join(lines))
    again = Session(NO_ROBOTS)
    assert again.run("ignore", robots_known=found.answer).answer is None
    assert again.asked == ["/1.jpg", "/3.jpg"]
    assert Session(NO_ROBOTS).run().answer == KeptAnswer(404, "")
    assert Session(Reply(ErrorKind.HTTP_5XX, status=500)).run().answer is None, "the download asks again"


def test_a_crawl_delay_slows_the_whole_budget_down() -> None:
    session = Session(rules("User-agent: *", "Crawl-delay: 7"))
    found = session.run()
    assert session.pacer.spacing_s == 7.0
    assert found.robots is not None
    assert found.robots.crawl_delay_s == 7.0


def test_a_site_that_allows_nothing_is_asked_for_nothing() -> None:
    session = Session(rules("User-agent: ray_downloader", "Disallow: /"))
    found = session.run()
    assert session.asked == ["/robots.txt"]
    assert found.cut_short == "no sampled row may be requested"


def test_robots_txt_is_followed_within_its_server_and_no_further() -> None:
    session = Session(Reply(status=301, redirect_url="http://a.example/elsewhere.txt"))
    session._script = lambda request: (
        rules("User-agent: *", "Crawl-delay: 3") if request.url.endswith(".txt") else IMAGE
    )
    found = session.run()
    assert session.asked[:2] == ["/robots.txt", "/elsewhere.txt"]
    assert found.robots is not None
    assert found.robots.crawl_delay_s == 3.0
    away = Session(Reply(status=301, redirect_url="http://b.example/robots.txt"))
    assert "on another server" in away.run().cut_short
    assert away.asked == ["/robots.txt"], "it may name us there"
    loop = Session(Reply(status=301, redirect_url="http://a.example/robots.txt"))
    loop.run()
    assert loop.asked.count("/robots.txt") == 6


@pytest.mark.parametrize(
    "answer",
    [Reply(ErrorKind.HTTP_5XX, status=500), Reply(ErrorKind.TRUNCATED, body=b"User-agent: *\nDisallow: /\n")],
)
def test_half_a_robots_txt_is_none(answer: Reply) -> None:
    obeying, delaying = Session(answer), Session(answer)
    assert obeying.run("obey").cut_short == "robots.txt could not be read"
    assert obeying.asked == ["/robots.txt"]
    found = delaying.run("delay")
    assert len(delaying.asked) == 4
    assert found.robots is not None
    assert found.robots.is_unreachable


def test_a_throttled_answer_ends_the_session_at_once() -> None:
    session = Session(NO_ROBOTS, lambda _: Reply(ErrorKind.HTTP_429, status=429, headers={"retry-after": "60"}))
    found = session.run()
    assert session.asked == ["/robots.txt", "/1.jpg"]
    assert found.cut_short == "stopped at status 429"
    assert found.samples[0].retry_after_s == 60.0


def test_two_failures_without_an_answer_end_the_session() -> None:
    session = Session(NO_ROBOTS, lambda _: Reply(ErrorKind.RESET, status=None))
    found = session.run()
    assert [sample.kind for sample in found.samples] == [ErrorKind.RESET] * 2
    assert found.cut_short == "stopped at reset"


@pytest.mark.parametrize("kind", [ErrorKind.DNS, ErrorKind.TLS, ErrorKind.FORBIDDEN_ADDRESS])
def test_what_another_request_would_only_repeat_ends_the_session(kind: ErrorKind) -> None:
    found = Session(Reply(kind, status=None), lambda _: Reply(kind, status=None)).run()
    assert (len(found.samples), found.cut_short, found.robots) == (1, f"stopped at {kind}", None)


def test_every_request_carries_what_the_rules_say() -> None:
    session = Session(NO_ROBOTS)
    session.run(headers={"Authorization": "s3cret"}, verify_tls=False)
    requests = [request for _, request in session.fetchers[0].started]
    assert all(request.headers == {"Authorization": "s3cret"} and request.verify_tls is False for request in requests)
    assert [request.enough_bytes for request in requests] == [512_000, *[4 * 1024 * 1024] * 3]


def test_a_sample_says_what_the_answer_said() -> None:
    headers = {"content-type": "Image/JPEG", "ratelimit": '"a";r=10;t=20'}
    reply = Reply(body=b"pixels", headers=headers, after_s=0.5)
    (sample,) = Session(NO_ROBOTS, lambda _: reply).run(urls=URLS[:1]).samples
    assert (sample.http_status, sample.size_bytes, sample.content_type) == (200, 6, "image/jpeg")
    assert (sample.ttfb_s, sample.total_s, sample.reused) == (0.5, 0.5, True)
    assert sample.ratelimit_rps is not None and math.isclose(sample.ratelimit_rps, 0.5)
    moved = Reply(status=302, redirect_url="https://B.example:443/x")
    (sample,) = Session(NO_ROBOTS, lambda _: moved).run(urls=URLS[:1]).samples
    assert (sample.kind, sample.redirect_host) == (None, "b.example")
