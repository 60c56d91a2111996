"""One visit to one server, over real loopback connections: every misbehaviour ends in a sample and in time."""

import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import trustme

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FETCHERS
from ray_downloader.profile.pacer import ProbePacer
from ray_downloader.profile.probe import ProbedServer, ProbeFindings, ProbeOptions, probe_server
from tests.support.options import HostLimit, OriginOptions
from tests.support.running import RunningOrigin, running_origin

ROBOTS = "User-agent: *\nCrawl-delay: 0.2\nDisallow: /private/\n"
OPTIONS = OriginOptions(
    tls=True,
    limits={"*.limited.example": HostLimit(rate_rps=0.1, burst=3, retry_after_s=7.0)},
    robots={
        "robots.example": ROBOTS,
        "names-us.example": "User-agent: ray_downloader\nDisallow: /private/\n",
    },
    robots_statuses={"broken.example": 500, "busy.example": 503},
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


@pytest.fixture(params=["curl", "requests"])
def fetcher_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def probe_options(
    origin: RunningOrigin, fetcher_name: str, robots: str = "delay", max_seconds: float = 20.0, **changes: object
) -> ProbeOptions:
    make_fetcher = FETCHERS.get(fetcher_name)
    return ProbeOptions(make_fetcher, network(origin, **changes), AGENT, robots, max_seconds)  # type: ignore[arg-type]  # one of the modes


def probed(
    origin: RunningOrigin,
    fetcher_name: str,
    urls: list[str],
    robots: str = "delay",
    max_seconds: float = 20.0,
    **changes: object,
) -> ProbeFindings:
    options = probe_options(origin, fetcher_name, robots, max_seconds, **changes)
    return probe_server(urls, ProbePacer(0.02), options)


def test_a_good_server_is_asked_for_every_sample_on_one_connection(origin: RunningOrigin, fetcher_name: str) -> None:
    seen = probed(origin, fetcher_name, [f"http://good.example/{number}.jpg" for number in range(5)])
    assert [sample.http_status for sample in seen.samples] == [200] * 5
    assert all(sample.kind is None and sample.size_bytes > 1_000 for sample in seen.samples)
    assert all(sample.total_s is not None and sample.ttfb_s is not None for sample in seen.samples)
    assert all(sample.reused for sample in seen.samples)  # the connection that robots.txt came over
    assert seen.connection.tls == "none" and seen.connection.remote_ip == "127.0.0.1"
    log = origin.seen("good.example")
    assert [entry.target for entry in log] == ["/robots.txt", *(f"/{number}.jpg" for number in range(5))]
    assert {entry.user_agent for entry in log} == {AGENT}
    assert {entry.accept_encoding for entry in log} == {"identity"}


def test_tls_is_verified_and_its_verdict_recorded(origin: RunningOrigin, fetcher_name: str) -> None:
    seen = probed(origin, fetcher_name, ["https://safe.example/1.jpg"])
    assert (seen.connection.tls, seen.samples[0].http_status) == ("ok", 200)


def test_a_certificate_of_an_unknown_authority_is_a_broken_chain(
    origin: RunningOrigin, fetcher_name: str, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    seen = probed(origin, fetcher_name, ["https://safe.example/1.jpg"] * 3, ca_bundle=stranger)
    assert [sample.kind for sample in seen.samples] == [ErrorKind.TLS]
    assert seen.connection.tls in {"broken chain", "self-signed certificate in chain"}


def test_a_rule_can_switch_verification_off_for_one_server(
    origin: RunningOrigin, fetcher_name: str, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    options = probe_options(origin, fetcher_name, "ignore", ca_bundle=stranger)
    seen = probe_server(["https://safe.example/1.jpg"], ProbePacer(0.0), options, ProbedServer(verify_tls=False))
    assert (seen.connection.tls, seen.samples[0].http_status) == ("not verified", 200)


def test_a_limited_server_is_left_alone_at_its_first_429(origin: RunningOrigin, fetcher_name: str) -> None:
    seen = probed(
        origin,
        fetcher_name,
        [f"http://{fetcher_name}.limited.example/{number}.jpg" for number in range(5)],
        robots="ignore",
    )
    assert [sample.http_status for sample in seen.samples] == [200, 200, 429]
    assert seen.samples[-1].retry_after_s == 7.0
    assert seen.cut_short == "stopped at status 429"


def test_a_redirect_is_recorded_and_not_followed(origin: RunningOrigin, fetcher_name: str) -> None:
    seen = probed(origin, fetcher_name, ["http://moved.example/redirect?n=1&to=http://other.example/x.jpg"])
    assert seen.samples[0].kind is None and seen.samples[0].http_status == 302
    assert origin.seen("other.example") == []


def test_robots_txt_gives_delay_and_disallowed_share(origin: RunningOrigin, fetcher_name: str) -> None:
    urls = ["http://robots.example/a.jpg", "http://robots.example/private/b.jpg"]
    seen = probed(origin, fetcher_name, urls)
    assert seen.robots is not None
    assert (seen.robots.crawl_delay_s, seen.robots.disallowed_share) == (0.2, 0.5)
    arrivals_s = [entry.at_s for entry in origin.seen("robots.example")]
    assert all(later - earlier > 0.1 for earlier, later in pairwise(arrivals_s))  # the pace alone is 0.02


def test_disallowed_rows_are_not_asked_for_where_robots_txt_is_obeyed(origin: RunningOrigin, fetcher_name: str) -> None:
    probed(origin, fetcher_name, ["http://robots.example/a.jpg", "http://robots.example/private/b.jpg"], robots="obey")
    assert [entry.target for entry in origin.seen("robots.example")] == ["/robots.txt", "/a.jpg"]


@pytest.mark.parametrize(("host", "asked"), [("robots", ["/private/b.jpg", "/a.jpg"]), ("names-us", ["/a.jpg"])])
def test_where_robots_txt_is_ignored_only_a_group_that_names_us_counts(
    origin: RunningOrigin, fetcher_name: str, host: str, asked: list[str]
) -> None:
    urls = [f"http://{host}.example/private/b.jpg", f"http://{host}.example/a.jpg"]
    seen = probed(origin, fetcher_name, urls, robots="ignore")
    assert [entry.target for entry in origin.seen(f"{host}.example")] == ["/robots.txt", *asked]
    assert (seen.robots is not None) == (host == "names-us")


def test_where_robots_txt_is_ignored_one_that_is_broken_stops_nobody(origin: RunningOrigin, fetcher_name: str) -> None:
    probed(origin, fetcher_name, ["http://broken.example/a.jpg"], robots="ignore")
    assert [entry.target for entry in origin.seen("broken.example")] == ["/robots.txt", "/a.jpg"]


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
def test_each_failure_has_its_kind(
    origin: RunningOrigin, fetcher_name: str, path: str, kind: ErrorKind, status: int | None
) -> None:
    seen = probed(origin, fetcher_name, [f"http://bad.example{path}"], robots="ignore")
    assert [(sample.kind, sample.http_status) for sample in seen.samples] == [(kind, status)]


@pytest.mark.timeout(25)  # without the watchdog it would be `low_speed_s`, 30 s, or for ever
@pytest.mark.parametrize(
    "path", ["/hang", "/hang-after-headers", "/drip?interval_s=0.05", "/drip-headers?interval_s=0.05"]
)
def test_a_hostile_server_costs_no_more_than_max_seconds(origin: RunningOrigin, fetcher_name: str, path: str) -> None:
    seen = probed(origin, fetcher_name, [f"http://hostile.example{path}"] * 5, robots="ignore", max_seconds=1.0)
    assert seen.samples[0].kind is ErrorKind.TIMEOUT
    assert seen.cut_short != ""


def test_a_large_file_is_not_read_to_its_end(origin: RunningOrigin, fetcher_name: str) -> None:
    seen = probed(origin, fetcher_name, ["http://large.example/large?bytes=30000000"], robots="ignore")
    assert seen.samples[0].kind is None
    assert seen.samples[0].size_bytes < 5_000_000


def test_a_refused_port_is_given_up_after_two_attempts(origin: RunningOrigin, fetcher_name: str) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{reserved.getsockname()[1]}"
        seen = probed(origin, fetcher_name, ["http://dead.example/1.jpg"] * 5, robots="ignore", connect_to={"*": dead})
    assert [sample.kind for sample in seen.samples] == [ErrorKind.CONNECT] * 2


def test_a_name_that_does_not_resolve_is_given_up_at_once(origin: RunningOrigin, fetcher_name: str) -> None:
    seen = probed(origin, fetcher_name, ["http://no-such-host.invalid/1.jpg"] * 5, robots="ignore", connect_to=None)
    assert [sample.kind for sample in seen.samples] == [ErrorKind.DNS]


def test_a_private_address_is_not_knocked_at(origin: RunningOrigin, fetcher_name: str) -> None:
    seen = probed(origin, fetcher_name, [origin.url("/1.jpg")] * 5, robots="ignore", connect_to=None)
    assert [sample.kind for sample in seen.samples] == [ErrorKind.FORBIDDEN_ADDRESS]
    assert origin.seen("127.0.0.1") == []


def test_a_name_that_resolves_to_a_private_address_is_not_knocked_at(
    origin: RunningOrigin, fetcher_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = socket.gethostname()
    if not socket.gethostbyname(name).startswith(("127.", "10.", "172.", "192.168.")):
        pytest.skip("this machine's own name does not lead to a private address")
    seen = probed(origin, fetcher_name, [f"http://{name}/1.jpg"], robots="ignore", connect_to=None)
    assert [sample.kind for sample in seen.samples] == [ErrorKind.FORBIDDEN_ADDRESS]


def test_the_environments_proxy_is_not_read(
    origin: RunningOrigin, fetcher_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    seen = probed(origin, fetcher_name, ["https://safe.example/1.jpg", "http://safe.example/1.jpg"])
    assert [sample.http_status for sample in seen.samples] == [200, 200]


def test_a_group_that_names_us_is_obeyed_also_where_robots_txt_is_for_delays_only(
    origin: RunningOrigin, fetcher_name: str
) -> None:
    seen = probed(origin, fetcher_name, ["http://names-us.example/a.jpg", "http://names-us.example/private/b.jpg"])
    assert [entry.target for entry in origin.seen("names-us.example")] == ["/robots.txt", "/a.jpg"]
    assert seen.robots is not None
    assert (seen.robots.names_us, seen.robots.disallowed_share) == (True, 0.5)


def test_a_robots_txt_that_cannot_be_read_is_no_rule_and_stops_who_obeys(
    origin: RunningOrigin, fetcher_name: str
) -> None:
    for robots, samples in (("delay", 1), ("obey", 0)):
        seen = probed(origin, fetcher_name, ["http://broken.example/a.jpg"], robots=robots)
        assert seen.robots is not None
        assert seen.robots.is_unreachable
        assert len(seen.samples) == samples
    assert seen.cut_short == "robots.txt could not be read"


def test_a_server_that_is_busy_at_its_robots_txt_is_asked_for_nothing_else(
    origin: RunningOrigin, fetcher_name: str
) -> None:
    before_s = time.time()
    seen = probed(origin, fetcher_name, ["http://busy.example/a.jpg"])
    assert [entry.target for entry in origin.seen("busy.example")] == ["/robots.txt"]
    (sample,) = seen.samples
    assert (sample.http_status, sample.retry_after_s) == (503, 90.0)
    assert sample.retry_at_unix_s is not None
    assert before_s + 90 <= sample.retry_at_unix_s <= time.time() + 91
    assert seen.cut_short == "stopped at status 503 of robots.txt"


def test_headers_of_the_configuration_go_along_and_over_no_redirect(origin: RunningOrigin, fetcher_name: str) -> None:
    options = probe_options(origin, fetcher_name)
    server = ProbedServer(headers={"Authorization": "Bearer s3cret"})
    urls = ["http://private.example/a.jpg", "http://private.example/redirect?to=http://foreign.example/x"]
    found = probe_server(urls, ProbePacer(0.0), options, server)
    assert {entry.headers.get("authorization") for entry in origin.seen("private.example")} == {"Bearer s3cret"}
    assert origin.seen("foreign.example") == []
    assert "s3cret" not in repr(found) + repr(server)
