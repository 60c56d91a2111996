"""One visit to one server, over real loopback connections: every misbehaviour ends in a sample and in time."""

import socket
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import trustme

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.profile.connection import Dialler
from ray_downloader.profile.pacer import ProbePacer
from ray_downloader.profile.probe import Manners, Visit, visit
from tests.support.options import HostLimit, OriginOptions
from tests.support.running import RunningOrigin, running_origin

ROBOTS = "User-agent: *\nCrawl-delay: 0.2\nDisallow: /private/\n"
OPTIONS = OriginOptions(
    tls=True,
    limits={"limited.example": HostLimit(rate_rps=0.1, burst=2, retry_after_s=7.0)},
    robots={"robots.example": ROBOTS},
)
AGENT = "ray_downloader/test (+me@lab.example)"


@pytest.fixture(scope="module")
def origin() -> Iterator[RunningOrigin]:
    with running_origin(OPTIONS) as running:
        yield running


def network(origin: RunningOrigin, **changes: object) -> NetworkSettings:
    return NetworkSettings.model_validate(
        {"connect_to": origin.connect_to, "ca_bundle": origin.ca_bundle, "low_speed_s": 30, **changes}
    )


def visited(
    origin: RunningOrigin, urls: list[str], *, robots: str = "delay", max_seconds: float = 20.0, **changes: object
) -> Visit:
    manners = Manners(network(origin, **changes), AGENT, robots, max_seconds)
    return visit(urls, ProbePacer(0.02), manners)


def test_a_good_server_is_asked_for_every_sample_on_one_connection(origin: RunningOrigin) -> None:
    origin.forget()
    seen = visited(origin, [f"http://good.example/{number}.jpg" for number in range(5)])
    assert [sample.http_status for sample in seen.samples] == [200] * 5
    assert all(sample.kind is None and sample.size_bytes > 1_000 for sample in seen.samples)
    assert all(sample.total_s is not None and sample.ttfb_s is not None for sample in seen.samples)
    assert all(sample.reused for sample in seen.samples)  # the connection that robots.txt came over
    assert seen.connection.tls == "none" and seen.connection.remote_ip == "127.0.0.1"
    log = origin.seen("good.example")
    assert [entry.target for entry in log] == ["/robots.txt", *(f"/{number}.jpg" for number in range(5))]
    assert {entry.user_agent for entry in log} == {AGENT}
    assert {entry.accept_encoding for entry in log} == {"identity"}


def test_tls_is_verified_and_its_verdict_recorded(origin: RunningOrigin) -> None:
    seen = visited(origin, ["https://safe.example/1.jpg"])
    assert (seen.connection.tls, seen.samples[0].http_status) == ("ok", 200)


def test_a_certificate_of_an_unknown_authority_is_a_broken_chain(origin: RunningOrigin, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    seen = visited(origin, ["https://safe.example/1.jpg"] * 3, ca_bundle=stranger)
    assert [sample.kind for sample in seen.samples] == [ErrorKind.TLS]
    assert seen.connection.tls in {"broken chain", "self-signed certificate in chain"}


def test_a_rule_can_switch_verification_off_for_one_server(origin: RunningOrigin, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    manners = Manners(network(origin, ca_bundle=stranger), AGENT, "ignore", 20.0)
    with pytest.warns(match="Unverified HTTPS request"):
        seen = visit(["https://safe.example/1.jpg"], ProbePacer(0.0), manners, verify_tls=False)
    assert (seen.connection.tls, seen.samples[0].http_status) == ("not verified", 200)


def test_a_limited_server_is_left_alone_at_its_first_429(origin: RunningOrigin) -> None:
    seen = visited(origin, [f"http://limited.example/{number}.jpg" for number in range(5)], robots="ignore")
    assert [sample.http_status for sample in seen.samples] == [200, 200, 429]
    assert seen.samples[-1].retry_after_s == 7.0
    assert seen.cut_short == "stopped at status 429"


def test_a_redirect_is_recorded_and_not_followed(origin: RunningOrigin) -> None:
    origin.forget()
    seen = visited(origin, ["http://moved.example/redirect?n=1&to=http://other.example/x.jpg"])
    assert seen.samples[0].kind is None and seen.samples[0].http_status == 302
    assert origin.seen("other.example") == []


def test_robots_txt_gives_delay_and_disallowed_share(origin: RunningOrigin) -> None:
    origin.forget()
    urls = ["http://robots.example/a.jpg", "http://robots.example/private/b.jpg"]
    seen = visited(origin, urls)
    assert seen.robots is not None
    assert (seen.robots.crawl_delay_s, seen.robots.disallowed_share) == (0.2, 0.5)
    arrivals_s = [entry.at_s for entry in origin.seen("robots.example")]
    assert all(later - earlier > 0.1 for earlier, later in pairwise(arrivals_s))  # the pace alone is 0.02


def test_disallowed_rows_are_not_asked_for_where_robots_txt_is_obeyed(origin: RunningOrigin) -> None:
    origin.forget()
    visited(origin, ["http://robots.example/a.jpg", "http://robots.example/private/b.jpg"], robots="obey")
    assert [entry.target for entry in origin.seen("robots.example")] == ["/robots.txt", "/a.jpg"]


def test_robots_txt_is_not_asked_for_where_it_is_ignored(origin: RunningOrigin) -> None:
    origin.forget()
    visited(origin, ["http://robots.example/a.jpg"], robots="ignore")
    assert [entry.target for entry in origin.seen("robots.example")] == ["/a.jpg"]


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/status/404", ErrorKind.HTTP_4XX, 404),
        ("/status/500", ErrorKind.HTTP_5XX, 500),
        ("/drop", ErrorKind.TRUNCATED, 200),
        ("/no-answer", ErrorKind.RESET, None),
        ("/reset", ErrorKind.RESET, None),
        ("/garbage", ErrorKind.RESET, None),
    ],
)
def test_each_failure_has_its_kind(origin: RunningOrigin, path: str, kind: ErrorKind, status: int | None) -> None:
    seen = visited(origin, [f"http://bad.example{path}"], robots="ignore")
    assert [(sample.kind, sample.http_status) for sample in seen.samples] == [(kind, status)]


@pytest.mark.timeout(25)  # without the watchdog it would be `low_speed_s`, 30 s, or for ever
@pytest.mark.parametrize(
    "path", ["/hang", "/hang-after-headers", "/drip?interval_s=0.05", "/drip-headers?interval_s=0.05"]
)
def test_a_hostile_server_costs_no_more_than_max_seconds(origin: RunningOrigin, path: str) -> None:
    seen = visited(origin, [f"http://hostile.example{path}"] * 5, robots="ignore", max_seconds=1.0)
    assert seen.samples[0].kind is ErrorKind.TIMEOUT
    assert seen.cut_short != ""


def test_a_large_file_is_not_read_to_its_end(origin: RunningOrigin) -> None:
    seen = visited(origin, ["http://large.example/large?bytes=30000000"], robots="ignore")
    assert seen.samples[0].kind is None
    assert seen.samples[0].size_bytes < 5_000_000


def test_a_refused_port_is_given_up_after_two_attempts(origin: RunningOrigin) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{reserved.getsockname()[1]}"
        seen = visited(origin, ["http://dead.example/1.jpg"] * 5, robots="ignore", connect_to={"*": dead})
    assert [sample.kind for sample in seen.samples] == [ErrorKind.CONNECT] * 2


def test_a_name_that_does_not_resolve_is_given_up_at_once(origin: RunningOrigin) -> None:
    seen = visited(origin, ["http://no-such-host.invalid/1.jpg"] * 5, robots="ignore", connect_to=None)
    assert [sample.kind for sample in seen.samples] == [ErrorKind.DNS]


def test_a_private_address_is_not_knocked_at(origin: RunningOrigin) -> None:
    origin.forget()
    seen = visited(origin, [origin.url("/1.jpg")] * 5, robots="ignore", connect_to=None)
    assert [sample.kind for sample in seen.samples] == [ErrorKind.FORBIDDEN_ADDRESS]
    assert origin.seen("127.0.0.1") == []


def test_a_name_that_resolves_to_a_private_address_is_not_knocked_at() -> None:
    dialler = Dialler(NetworkSettings(), resolve=lambda host, port: [(socket.AF_INET, 1, 6, "", ("10.0.0.1", port))])
    assert failure_of(dialler, "innocent.example") == ErrorKind.FORBIDDEN_ADDRESS


def test_a_resolver_that_hangs_is_waited_for_no_longer_than_the_connection() -> None:
    released = threading.Event()

    def hang(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        released.wait(30)
        return []

    assert failure_of(Dialler(NetworkSettings(), resolve=hang), "a.example") == ErrorKind.DNS
    released.set()


def failure_of(dialler: Dialler, host: str) -> ErrorKind:
    from urllib3.connection import HTTPConnection
    from urllib3.exceptions import NewConnectionError

    with pytest.raises(NewConnectionError):
        dialler.dial(HTTPConnection(host), host, 80, timeout_s=0.1)
    failure = dialler.take_failure()
    assert failure is not None
    return failure[0]
