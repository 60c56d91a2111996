"""The contract of a fetcher, for each of them, against a real server with every misbehaviour."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind, UserError
from ray_downloader.fetch.base import FETCHERS, Fetcher
from tests.support.fetching import fetch, fetch_all, get
from tests.support.log import most_in_flight
from tests.support.pictures import jpeg_of
from tests.support.running import RunningOrigin

AGENT = "ray_downloader/0 (+mailto:test@example.org)"
MAX_BYTES = 100_000
LIMITS = {"max_bytes": MAX_BYTES, "connect_timeout_s": 1.0, "request_timeout_s": 3.0, "low_speed_s": 1}

MakeFetcher = Callable[..., Fetcher]


@pytest.fixture(params=["curl", "requests"])
def make_fetcher(request: pytest.FixtureRequest, origin: RunningOrigin) -> Iterator[MakeFetcher]:
    """Makes fetchers whose every host name leads to the origin, unless told otherwise."""
    with ExitStack() as stack:

        def make(**network: object) -> Fetcher:
            values = {"connect_to": origin.connect_to, "ca_bundle": origin.ca_bundle, **LIMITS, **network}
            settings = NetworkSettings.model_validate(values)
            return stack.enter_context(closing(FETCHERS.get(request.param)(settings, AGENT, 8)))

        yield make


@pytest.fixture
def fetcher(make_fetcher: MakeFetcher) -> Fetcher:
    return make_fetcher()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_picture_arrives_whole_and_says_where_it_came_from(fetcher: Fetcher, scheme: str) -> None:
    result = fetch(fetcher, f"{scheme}://whole.example/a.jpg")
    assert result.kind is None
    assert (result.status, result.body) == (200, jpeg_of("/a.jpg"))
    assert result.headers["etag"].startswith('"')
    assert (result.http_version, result.remote_ip, result.redirect_url) == ("1.1", "127.0.0.1", None)
    assert result.ttfb_s is not None
    assert 0 < result.ttfb_s <= result.total_s


def test_the_server_learns_who_asks_and_that_no_encoding_is_wanted(fetcher: Fetcher, origin: RunningOrigin) -> None:
    fetch(fetcher, "http://who.example/a.jpg")
    (seen,) = origin.seen("who.example")
    assert (seen.user_agent, seen.accept_encoding) == (AGENT, "identity")
    origin.forget()


MISBEHAVIOURS = {
    "/status/404": {ErrorKind.HTTP_4XX},
    "/status/403": {ErrorKind.HTTP_4XX},
    "/status/304": {ErrorKind.HTTP_4XX},
    "/status/999": {ErrorKind.HTTP_4XX},
    "/status/429?retry_after=7": {ErrorKind.HTTP_429},
    "/status/503": {ErrorKind.HTTP_5XX},
    "/status/204": {ErrorKind.EMPTY},
    "/status/206": {ErrorKind.TRUNCATED},
    "/empty": {ErrorKind.EMPTY},
    "/drop": {ErrorKind.TRUNCATED},
    "/short": {ErrorKind.TRUNCATED},
    "/unfinished-chunked": {ErrorKind.TRUNCATED},
    "/broken-chunked": {ErrorKind.TRUNCATED, ErrorKind.RESET},
    "/no-answer": {ErrorKind.RESET},
    "/reset": {ErrorKind.RESET},
    "/reset-midway": {ErrorKind.RESET},
    "/garbage": {ErrorKind.RESET},
    "/drip": {ErrorKind.TOO_SLOW},
    "/drip-headers": {ErrorKind.TOO_SLOW, ErrorKind.TIMEOUT},
    "/hang-after-headers": {ErrorKind.TOO_SLOW},
    "/hang": {ErrorKind.TIMEOUT},
    f"/large?bytes={MAX_BYTES + 1}": {ErrorKind.TOO_LARGE},
    f"/large?bytes={MAX_BYTES + 1}&chunked=1": {ErrorKind.TOO_LARGE},
    "/announced?bytes=1000000000000": {ErrorKind.TOO_LARGE},
}


def test_each_misbehaviour_ends_with_its_kind_and_a_message_while_the_others_go_on(fetcher: Fetcher) -> None:
    requests = [get(i, f"http://bad{i}.example{path}") for i, path in enumerate(MISBEHAVIOURS)]
    results = fetch_all(fetcher, requests)
    kinds = {path: results[i].kind for i, path in enumerate(MISBEHAVIOURS)}
    assert {path: kind for path, kind in kinds.items() if kind not in MISBEHAVIOURS[path]} == {}
    assert all(result.message for result in results.values())


@pytest.mark.parametrize(
    "path", [f"/large?bytes={MAX_BYTES}", f"/large?bytes={MAX_BYTES}&chunked=1", "/until-close", "/html"]
)
def test_what_is_within_the_limits_arrives(fetcher: Fetcher, path: str) -> None:
    result = fetch(fetcher, f"http://within.example{path}")
    assert (result.kind, result.status, result.message) == (None, 200, "")
    assert len(result.body) == (MAX_BYTES if "large" in path else len(result.body)) > 0


def test_gzip_that_nobody_asked_for_is_taken_off(fetcher: Fetcher) -> None:
    assert fetch(fetcher, "http://gzip.example/gzip-encoded").body == jpeg_of("/gzip-encoded")


def test_headers_of_a_refusal_arrive_and_its_page_does_not(fetcher: Fetcher) -> None:
    result = fetch(fetcher, "http://refusal.example/status/429?retry_after=7")
    assert (result.headers["retry-after"], result.body) == ("7", b"")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b.jpg", "http://from.example/b.jpg"),
        ("b.jpg", "http://from.example/b.jpg"),
        ("//other.example/c", "http://other.example/c"),
        ("https://other.example/d", "https://other.example/d"),
        ("ftp://other.example/e", "ftp://other.example/e"),
        ("/a%20b", "http://from.example/a%20b"),
    ],
)
def test_a_redirect_is_told_and_not_followed(
    fetcher: Fetcher, origin: RunningOrigin, location: str, target: str
) -> None:
    origin.forget()
    result = fetch(fetcher, f"http://from.example/redirect?to={location.replace('%', '%25')}")
    assert (result.kind, result.status, result.redirect_url, result.body) == (None, 302, target, b"")
    assert len(origin.seen()) == 1


def test_a_kept_connection_that_is_reset_is_not_retried_behind_our_back(
    fetcher: Fetcher, origin: RunningOrigin
) -> None:
    assert fetch(fetcher, "http://once.example/a.jpg").kind is None
    assert fetch(fetcher, "http://once.example/reset").kind is ErrorKind.RESET
    assert [seen.target for seen in origin.seen("once.example")] == ["/a.jpg", "/reset"]
    origin.forget()


def test_connections_are_kept_and_survive_error_pages(fetcher: Fetcher, origin: RunningOrigin) -> None:
    for path in ("/a.jpg", "/status/404", "/redirect", "/b.jpg"):
        fetch(fetcher, f"http://kept.example{path}")
    assert len({seen.client_port for seen in origin.seen("kept.example")}) == 1
    origin.forget()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_many_requests_are_under_way_at_once(fetcher: Fetcher, origin: RunningOrigin, scheme: str) -> None:
    urls = [f"{scheme}://many.example/delay/{i}.jpg?s=0.3" for i in range(8)]
    results = fetch_all(fetcher, [get(i, url) for i, url in enumerate(urls)])
    assert [results[i].body for i in range(8)] == [jpeg_of(f"/delay/{i}.jpg") for i in range(8)]
    assert most_in_flight(origin.seen("many.example")) == 8
    origin.forget()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_an_address_that_is_not_public_is_not_connected_to(
    make_fetcher: MakeFetcher, origin: RunningOrigin, host: str
) -> None:
    origin.forget()
    result = fetch(make_fetcher(connect_to=None), f"http://{host}:{origin.http_port}/a.jpg")
    assert result.kind is ErrorKind.FORBIDDEN_ADDRESS
    assert origin.seen() == []


def test_a_name_that_resolves_to_a_private_address_is_not_connected_to(
    make_fetcher: MakeFetcher, origin: RunningOrigin
) -> None:
    name = socket.gethostname()
    if not socket.gethostbyname(name).startswith(("127.", "10.", "172.", "192.168.")):
        pytest.skip("this machine's own name does not lead to a private address")
    result = fetch(make_fetcher(connect_to=None), f"http://{name}:{origin.http_port}/a.jpg")
    assert result.kind is ErrorKind.FORBIDDEN_ADDRESS
    assert name.lower() in result.message


def test_private_addresses_are_reached_where_the_operator_allows_them(
    make_fetcher: MakeFetcher, origin: RunningOrigin
) -> None:
    fetcher = make_fetcher(connect_to=None, allow_private_addresses=True)
    assert fetch(fetcher, origin.url("/a.jpg")).body == jpeg_of("/a.jpg")


def test_connect_to_leads_only_the_hosts_it_names_and_leaves_no_trace_on_the_next_request(
    make_fetcher: MakeFetcher, origin: RunningOrigin
) -> None:
    fetcher = make_fetcher(connect_to={"named.example:80": origin.address})
    for _ in range(2):
        assert fetch(fetcher, "http://named.example/a.jpg").kind is None
        assert fetch(fetcher, f"http://127.0.0.1:{origin.http_port}/a.jpg").kind is ErrorKind.FORBIDDEN_ADDRESS
        assert fetch(fetcher, "http://other.invalid/a.jpg").kind is ErrorKind.DNS


def test_a_refused_connection_is_a_connect_failure(make_fetcher: MakeFetcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert fetch(make_fetcher(connect_to={"*": f"127.0.0.1:{port}"}), "http://a.example/").kind is ErrorKind.CONNECT


def test_a_host_that_does_not_take_the_connection_is_a_connect_failure(make_fetcher: MakeFetcher) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(3):  # fill the waiting: the kernel drops what comes then
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        fetcher = make_fetcher(connect_to={"*": f"127.0.0.1:{listener.getsockname()[1]}"})
        assert fetch(fetcher, "http://a.example/").kind is ErrorKind.CONNECT


def test_a_name_that_does_not_resolve_is_remembered(make_fetcher: MakeFetcher) -> None:
    fetcher = make_fetcher(connect_to=None)
    first, second = (fetch(fetcher, "http://no-such-host.invalid/a.jpg") for _ in range(2))
    assert (first.kind, second.kind) == (ErrorKind.DNS, ErrorKind.DNS)
    assert "a moment ago" in second.message


def test_a_certificate_of_an_unknown_authority_is_a_tls_failure(make_fetcher: MakeFetcher) -> None:
    assert fetch(make_fetcher(ca_bundle=None), "https://tls.example/a.jpg").kind is ErrorKind.TLS


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verification_can_be_off_for_all_or_for_one_request(make_fetcher: MakeFetcher) -> None:
    lax, strict = make_fetcher(ca_bundle=None, verify_tls=False), make_fetcher(ca_bundle=None)
    assert fetch(lax, "https://tls.example/a.jpg").kind is None
    assert fetch(strict, "https://tls.example/a.jpg", verify_tls=False).kind is None
    assert fetch(strict, "https://tls.example/b.jpg").kind is ErrorKind.TLS


def test_a_missing_ca_bundle_is_told_at_once(make_fetcher: MakeFetcher, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"network\.ca_bundle"):
        make_fetcher(ca_bundle=tmp_path / "none.pem")


def test_the_environments_proxy_is_not_read(make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert fetch(make_fetcher(), "http://env.example/a.jpg").kind is None


def test_a_proxy_is_used_though_its_address_is_private(make_fetcher: MakeFetcher, origin: RunningOrigin) -> None:
    fetcher = make_fetcher(connect_to=None, proxy=f"http://{origin.address}")
    assert fetch(fetcher, "http://proxied.example/a.jpg").kind is None
    assert fetch(fetcher, "http://127.0.0.1/a.jpg").kind is ErrorKind.FORBIDDEN_ADDRESS
    assert [seen.target for seen in origin.seen("proxied.example")] == ["http://proxied.example/a.jpg"]
    origin.forget()


def test_an_idle_poll_returns_nothing(fetcher: Fetcher) -> None:
    assert fetcher.poll(0.0) == []


def test_close_drops_what_is_under_way(fetcher: Fetcher) -> None:
    fetcher.start(get(0, "http://close.example/hang"))
    assert fetcher.poll(0.1) == []
    fetcher.close()
