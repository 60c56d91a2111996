"""The contract of a fetcher, for each of them, against a real server with every misbehaviour."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NoReturn

import pycurl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind, UserError
from ray_downloader.fetch import connector, curl, curl_transfer
from ray_downloader.fetch.base import FETCHERS, DnsFailure, Fetcher, FetchRequest
from ray_downloader.fetch.cookies import RedirectCookies
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.politeness.headers.x_robots_tag import find_opt_out
from tests.support.fetching import fetch, fetch_all, get
from tests.support.log import most_in_flight
from tests.support.pictures import jpeg_of
from tests.support.running import RunningOrigin

AGENT = "ray_downloader/0 (+mailto:test@example.org)"
MAX_BYTES = 100_000
LIMITS = {"max_bytes": MAX_BYTES, "connect_timeout_s": 1.0, "request_timeout_s": 3.0, "low_speed_s": 1}

MakeFetcher = Callable[..., Fetcher]


def raw(answer: bytes) -> str:
    """Path that is answered with these bytes."""
    return f"/raw?b64={base64.urlsafe_b64encode(answer).decode()}"


@pytest.fixture(params=["curl", "requests"])
def make_fetcher(request: pytest.FixtureRequest, origin: RunningOrigin) -> Iterator[MakeFetcher]:
    """Makes fetchers whose every host name leads to the origin, unless told otherwise."""
    with ExitStack() as stack:

        def make(**network: object) -> Fetcher:
            values = {"connect_to": origin.connect_to, "ca_bundle": origin.ca_bundle, **LIMITS, **network}
            return stack.enter_context(
                closing(FETCHERS.get(request.param)(NetworkSettings.model_validate(values), AGENT, 8))
            )

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


OK = b"Content-Length: 2\r\n\r\nhi"
#: Answers that break rules of HTTP, and all that may come of each; None stands for the file.
ODD_ANSWERS = {
    b"HTTP/1.1 200OK\r\n" + OK: {None, ErrorKind.RESET},
    b"HTTP/1.1 404Not Found\r\n" + OK: {ErrorKind.HTTP_4XX, ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\nHTTP/x: y\r\n" + OK: {None},
    b"HTTP/1.1 200 OK\r\nHTTP/1.1 404 Not Found\r\n" + OK: {None, ErrorKind.RESET},
    b"HTTP/1.1 99999 OK\r\n" + OK: {ErrorKind.HTTP_4XX, ErrorKind.RESET},
    b"HTTP/1.1 1000 OK\r\n" + OK: {ErrorKind.RESET},
    b"HTTP/1.1 000 OK\r\n" + OK: {ErrorKind.RESET},
    b"HTTP/1.1 099 OK\r\n" + OK: {ErrorKind.RESET},
    b"HTTP/1.1 20 OK\r\n" + OK: {ErrorKind.RESET},
    b"HTTP/1.1 -1 OK\r\n" + OK: {ErrorKind.RESET},
    b"HTTP/1.1\r\n" + OK: {ErrorKind.RESET},
    b"HTTP/3.7 200 OK\r\n" + OK: {None, ErrorKind.RESET},
    b"http/1.1 200 OK\r\n" + OK: {None, ErrorKind.RESET},
    b"ICY 200 OK\r\n" + OK: {ErrorKind.RESET},
    b"HTTP/1.1 101 Switching\r\n\r\nhi": {ErrorKind.RESET},
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n" + OK: {None, ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\nno colon\r\n" + OK: {None, ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\n: no name\r\n" + OK: {None, ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\nX: a\0b\r\n" + OK: {None, ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\nX\0: ab\r\n" + OK: {None, ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\nX: caf\xe9 \xf0\x9f\r\n" + OK: {None},
    b"HTTP/1.1 200 OK\nX: a\nContent-Length: 2\n\nhi": {None},
    b"HTTP/1.1 200 OK\r\nX: a\r\n  b\r\n" + OK: {None},
    b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nhi": {None, ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhi": {None, ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi": {ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\nhi": {None, ErrorKind.RESET},
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: 1\r\nHTTP/1.1 404 x: y\r\n\r\n": {None},
    b"HTTP/1.1 200 OK\r\nX: a": {ErrorKind.EMPTY, ErrorKind.RESET},
    b"HTTP/1.1 302 Found\r\nLocation:\r\nContent-Length: 0\r\n\r\n": {ErrorKind.HTTP_4XX},
    b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n": {ErrorKind.HTTP_4XX},
    b"\x00\x01\x02" * 30: {ErrorKind.RESET},
    b"\r\n": {ErrorKind.RESET},
}


def test_an_answer_that_breaks_the_rules_is_that_rows_error_and_no_exception(fetcher: Fetcher) -> None:
    for index, (answer, kinds) in enumerate(ODD_ANSWERS.items()):
        result = fetch(fetcher, f"http://odd{index}.example{raw(answer)}")
        assert result.kind in kinds, (answer, result)
        assert (result.body == b"hi") is (result.kind is None), (answer, result)
        assert bool(result.message) is (result.kind is not None)
        assert result.message.isprintable()


_PIECES = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 Found\r\n", b"HTTP/1.1 ", b"200", b"Content-Length: 2\r\n", b"\r\n", b"\n",
     b"Location: ", b"http://", b"[", b"Set-Cookie: a=b; Domain=", b"Retry-After: ", b"Content-Encoding: gzip\r\n",
     b"Transfer-Encoding: chunked\r\n", b"2\r\nhi\r\n0\r\n", b"Connection: close\r\n", b":", b"hi", b"\x1f\x8b", b" "]
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_PIECES | st.binary(max_size=6), max_size=12).map(b"".join))
def test_whatever_comes_one_result_comes_of_it(fetcher: Fetcher, answer: bytes) -> None:
    result = fetch(fetcher, f"http://fuzz.example{raw(answer)}")
    assert result.kind is not ErrorKind.INTERNAL, (answer, result)
    assert result.message.isprintable()
    assert not any("\r" in value or "\0" in value for value in result.headers.values())
    RedirectCookies().add(RequestUrl.parse("http://fuzz.example/"), result.headers, 0.0)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"http://m\xfcnchen.example/x", "http://m%FCnchen.example/x"),
        (b"http://m\xc3\xbcnchen.example/x", "http://xn--mnchen-3ya.example/x"),
        (b"/caf\xe9 one.jpg#part", "http://from.example/caf%E9%20one.jpg"),
        (b"http://[::1", "http://[::1"),
        (b"\\\\other.example\\x", "http://other.example/x"),
    ],
)
def test_a_redirect_of_any_bytes_has_one_target(fetcher: Fetcher, location: bytes, target: str) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    result = fetch(fetcher, f"http://from.example{raw(answer)}")
    assert (result.kind, result.redirect_url) == (None, target)


def test_a_refusal_says_its_status_and_the_first_words_of_its_page(fetcher: Fetcher) -> None:
    result = fetch(fetcher, "http://said.example/refusal?page=<h1>Blocked</h1><p>Write%20to%20us</p>")
    assert (result.kind, result.body) == (ErrorKind.HTTP_4XX, b"")
    assert result.said == result.message == "HTTP status 403: Blocked Write to us"


def test_a_price_is_told_and_not_paid(fetcher: Fetcher) -> None:
    result = fetch(fetcher, "http://paid.example/refusal?status=402&price=USD%200.02&page=Pay&type=text/plain")
    assert result.kind is ErrorKind.PAYMENT_REQUIRED
    assert result.said == "HTTP status 402, crawler-price USD 0.02: Pay"


def test_a_page_that_repeats_our_secrets_is_quoted_without_them(fetcher: Fetcher) -> None:
    secrets = {"Authorization": "Bearer s3cret-token", "Cookie": "id=s3cret-cookie"}
    result = fetch(fetcher, "http://echo.example/echo", headers=secrets)
    assert result.said == "HTTP status 403: You sent [redacted] and [redacted]."
    assert "s3cret" not in repr(result)


def test_a_page_that_repeats_the_password_of_its_url_is_quoted_without_it(fetcher: Fetcher) -> None:
    result = fetch(fetcher, "http://me:s3cret-password@echo.example/echo")
    assert result.said == "HTTP status 403: You sent Basic [redacted] and None."


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_headers_of_one_request_do_not_go_with_the_next(fetcher: Fetcher, origin: RunningOrigin, scheme: str) -> None:
    fetch(fetcher, f"{scheme}://private.example/a.jpg", headers={"Authorization": "Bearer caf\xe9"})
    fetch(fetcher, f"{scheme}://private.example/b.jpg")
    fetch(fetcher, f"{scheme}://other.example/c.jpg")
    assert [seen.headers.get("authorization") for seen in origin.seen()] == ["Bearer caf\xe9", None, None]


def test_a_header_that_cannot_be_sent_costs_one_row(fetcher: Fetcher, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        result = fetch(fetcher, "http://snow.example/a.jpg", headers={"X-Secret": "s3cret \u2603"})
        assert result.kind is ErrorKind.INTERNAL
        assert "s3cret" not in result.message
    assert len(caplog.records) <= 1
    assert "s3cret" not in caplog.text
    assert fetch(fetcher, "http://snow.example/a.jpg").kind is None


def test_a_wall_that_sets_cookies_lets_those_in_who_bring_them(fetcher: Fetcher) -> None:
    cookies, url = RedirectCookies(), RequestUrl.parse("https://wall.example/wall/a.jpg")
    first = fetch(fetcher, url.text)
    assert first.redirect_url == url.text
    cookies.add(url, first.headers, time.time())
    assert fetch(fetcher, url.text, headers={"Cookie": cookies.header(url) or ""}).body == jpeg_of("/wall/a.jpg")


def test_two_lines_of_one_header_stay_apart(fetcher: Fetcher) -> None:
    headers = fetch(fetcher, "http://lines.example/opt-outs").headers
    assert headers["x-robots-tag"] == "otherbot: noindex\nnoai"
    assert find_opt_out(headers["x-robots-tag"], {"noai", "noindex"}, "ray_downloader") == "noai"


def test_a_file_is_cut_where_it_is_enough(fetcher: Fetcher) -> None:
    for path in ("/large?bytes=50000", "/large?bytes=50000&chunked=1"):
        target = RequestUrl.parse(f"http://enough.example{path}")
        result = fetch_all(fetcher, [FetchRequest(0, target, enough_bytes=20_000)])[0]
        assert (result.kind, len(result.body)) == (None, 20_000)
        result = fetch_all(fetcher, [FetchRequest(0, target, enough_bytes=50_000)])[0]
        assert (result.kind, len(result.body)) == (None, 50_000)


def test_a_time_out_on_a_kept_connection_is_a_time_out(make_fetcher: MakeFetcher, origin: RunningOrigin) -> None:
    hosts = {"connect_to": None, "allow_private_addresses": True}
    fetcher = make_fetcher(**hosts, request_timeout_s=1.0)
    first = fetch(fetcher, origin.url("/a.jpg"))
    second = fetch(fetcher, origin.url("/hang"))
    assert first.connection is not None
    assert (second.kind, second.connection, second.dns_failure) == (ErrorKind.TIMEOUT, None, None)


def test_a_new_connection_tells_its_times(fetcher: Fetcher) -> None:
    result = fetch(fetcher, "https://times.example/delay?s=0.2")
    assert result.connection is not None
    assert 0 <= result.connection.dns_s <= result.connection.setup_s
    assert 0 < result.connection.connect_s <= result.connection.setup_s < result.total_s


def test_each_misbehaviour_ends_with_its_kind_and_a_message_while_the_others_go_on(fetcher: Fetcher) -> None:
    requests = [get(i, f"http://bad{i}.example{path}") for i, path in enumerate(MISBEHAVIOURS)]
    results = fetch_all(fetcher, requests)
    kinds = {path: results[i].kind for i, path in enumerate(MISBEHAVIOURS)}
    assert {path: kind for path, kind in kinds.items() if kind not in MISBEHAVIOURS[path]} == {}
    assert all(result.message for result in results.values())


@pytest.mark.parametrize(
    ("path", "size_bytes"),
    [
        (f"/large?bytes={MAX_BYTES}", MAX_BYTES),
        (f"/large?bytes={MAX_BYTES}&chunked=1", MAX_BYTES),
        ("/until-close", len(jpeg_of("/until-close"))),
        ("/html", len("<!doctype html><title>Sorry</title><p>No such picture.")),
    ],
)
def test_what_is_within_the_limits_arrives(fetcher: Fetcher, path: str, size_bytes: int) -> None:
    result = fetch(fetcher, f"http://within.example{path}")
    assert (result.kind, result.status, result.message) == (None, 200, "")
    assert len(result.body) == size_bytes


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
    result = fetch(fetcher, f"http://from.example/redirect?to={location.replace('%', '%25')}")
    assert (result.kind, result.status, result.redirect_url, result.body) == (None, 302, target, b"")
    assert len(origin.seen()) == 1


def test_a_kept_connection_that_is_reset_is_not_retried_behind_our_back(
    fetcher: Fetcher, origin: RunningOrigin
) -> None:
    assert fetch(fetcher, "http://once.example/a.jpg").kind is None
    assert fetch(fetcher, "http://once.example/reset").kind is ErrorKind.RESET
    assert [seen.target for seen in origin.seen("once.example")] == ["/a.jpg", "/reset"]


def test_connections_are_kept_and_survive_error_pages(fetcher: Fetcher, origin: RunningOrigin) -> None:
    for path in ("/a.jpg", "/status/404", "/redirect", "/b.jpg"):
        fetch(fetcher, f"http://kept.example{path}")
    assert len({seen.client_port for seen in origin.seen("kept.example")}) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_many_requests_are_under_way_at_once(fetcher: Fetcher, origin: RunningOrigin, scheme: str) -> None:
    urls = [f"{scheme}://many.example/delay/{i}.jpg?s=0.3" for i in range(8)]
    results = fetch_all(fetcher, [get(i, url) for i, url in enumerate(urls)])
    assert [results[i].body for i in range(8)] == [jpeg_of(f"/delay/{i}.jpg") for i in range(8)]
    assert most_in_flight(origin.seen("many.example")) == 8


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_an_address_that_is_not_public_is_not_connected_to(
    make_fetcher: MakeFetcher, origin: RunningOrigin, host: str
) -> None:
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
    result = fetch(make_fetcher(connect_to={"*": f"127.0.0.1:{port}"}), "http://a.example/")
    assert result.kind is ErrorKind.CONNECT
    assert not result.is_refused, "this machine refused it, which is no evidence of a network"


def test_the_refusal_of_another_host_shows_that_the_network_reaches_it(
    make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for module in (connector, curl_transfer):
        monkeypatch.setattr(module, "is_public_address", lambda _: True)
    target = {"*": f"127.0.0.1:{port}"}
    assert fetch(make_fetcher(connect_to=target), "http://a.example/").is_refused
    through = make_fetcher(proxy=f"http://127.0.0.1:{port}")
    assert not fetch(through, "http://a.example/").is_refused, "it was the proxy"


def test_a_host_that_does_not_take_the_connection_is_a_connect_failure(make_fetcher: MakeFetcher) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(3):  # fill the waiting: the kernel drops what comes then
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        fetcher = make_fetcher(connect_to={"*": f"127.0.0.1:{listener.getsockname()[1]}"})
        assert fetch(fetcher, "http://a.example/").kind is ErrorKind.CONNECT


Resolver = Callable[[Exception], list[str]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Makes Python's view of the resolver fail, and returns the list of names that it is asked for from then on."""

    def fail_with(error: Exception) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, *_: object, **__: object) -> NoReturn:
            asked.append(host)
            raise error

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return fail_with


def test_a_name_that_does_not_exist_is_remembered(make_fetcher: MakeFetcher, resolver: Resolver) -> None:
    fetcher = make_fetcher(connect_to=None, connect_timeout_s=20.0)
    asked = resolver(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    results = [fetch(fetcher, "http://no-such-host.invalid/a.jpg") for _ in range(2)]
    assert [result.kind for result in results] == [ErrorKind.DNS] * 2
    assert [result.dns_failure for result in results] == [DnsFailure.NO_SUCH_NAME] * 2
    assert "a moment ago" in results[1].message
    assert asked == ["no-such-host.invalid"]


def test_a_look_up_without_an_answer_is_made_again(make_fetcher: MakeFetcher, resolver: Resolver) -> None:
    fetcher = make_fetcher(connect_to=None, connect_timeout_s=20.0)
    asked = resolver(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    results = [fetch(fetcher, "http://lost-look-up.invalid/a.jpg") for _ in range(3)]
    assert [result.dns_failure for result in results] == [DnsFailure.NO_ANSWER] * 3
    assert asked == ["lost-look-up.invalid"] * 3


def test_many_requests_for_one_name_that_does_not_exist_all_end(make_fetcher: MakeFetcher) -> None:
    requests = [get(i, f"http://no-such-host-{i % 2}.invalid/{i}.jpg") for i in range(20)]
    results = fetch_all(make_fetcher(connect_to=None), requests)
    assert {result.kind for result in results.values()} == {ErrorKind.DNS}


def test_a_certificate_of_an_unknown_authority_is_a_tls_failure(make_fetcher: MakeFetcher) -> None:
    result = fetch(make_fetcher(ca_bundle=None), "https://tls.example/a.jpg")
    assert result.kind is ErrorKind.TLS
    assert result.tls in {"broken chain", "self-signed certificate in chain"}


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


@pytest.mark.parametrize(
    "host",
    ["localhost", "printer.local", "db.internal", "metadata.google.internal", "169.254.169.254", "2130706433", "0x7f.1",
     "[::ffff:10.0.0.1]", "[fd00::1]"],
)  # fmt: skip
def test_behind_a_proxy_what_says_itself_that_it_is_not_public_is_refused_and_every_other_name_is_the_proxys(
    make_fetcher: MakeFetcher, origin: RunningOrigin, host: str
) -> None:
    """The rule of SECURITY.md: names are resolved by the proxy, so only what needs no look-up is judged here."""
    fetcher = make_fetcher(connect_to=None, proxy=f"http://{origin.address}")
    assert fetch(fetcher, f"http://{host}/a.jpg").kind is ErrorKind.FORBIDDEN_ADDRESS
    assert fetch(fetcher, "http://intranet.example/a.jpg").kind is None
    assert {seen.host for seen in origin.seen()} == {"intranet.example"}


def test_an_answer_that_comes_at_once_is_not_slept_over(fetcher: Fetcher) -> None:
    for number in range(30):
        began_s = time.monotonic()
        fetcher.start(get(number, "http://quick.example/a.jpg"))
        assert [result.token for result in fetcher.poll(20.0)] == [number]
        assert time.monotonic() - began_s < 10


def test_an_idle_poll_returns_nothing(fetcher: Fetcher) -> None:
    assert fetcher.poll(0.0) == []


def test_close_drops_what_is_under_way(fetcher: Fetcher) -> None:
    fetcher.start(get(0, "http://close.example/hang"))
    assert fetcher.poll(0.1) == []
    fetcher.close()


def test_libcurl_is_made_to_forget_a_failed_look_up(origin: RunningOrigin, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would answer from its own memory for half an hour, in every fetcher of the process."""
    starts = getattr(pycurl, "RESOLVER_START_FUNCTION", None)
    if starts is None:
        pytest.skip("this pycurl does not tell when libcurl asks the resolver")
    options, asked = curl._options, list[int]()

    def with_callback(*arguments: Any) -> dict[int, Any]:
        return {**options(*arguments), starts: lambda *_: asked.append(1) or 0}

    monkeypatch.setattr(curl, "_options", with_callback)
    monkeypatch.setattr("ray_downloader.fetch.names.failure_of", lambda _: DnsFailure.NO_ANSWER)
    for count in (1, 2, 3):
        with closing(curl.CurlFetcher(NetworkSettings(), AGENT, 8)) as fetcher:
            assert fetch(fetcher, "http://forgotten-name.invalid/").kind is ErrorKind.DNS
        assert len(asked) == count
