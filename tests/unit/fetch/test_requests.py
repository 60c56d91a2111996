"""The fetcher on threads: the same promises as the default one, with its own clocks and sockets."""

from __future__ import annotations

import errno
import gzip
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import BadStatusLine, RemoteDisconnected
from pathlib import Path
from typing import Any

import certifi
import pytest
import requests
from urllib3.exceptions import InvalidHeader, LocationParseError, MaxRetryError, NewConnectionError, ProtocolError

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind, UserError
from ray_downloader.fetch import requests as ours
from ray_downloader.fetch.base import FETCHERS, FetchResult
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.fetch.requests import RequestsFetcher
from ray_downloader.spill import read_descriptor
from tests.support.fetching import get
from tests.unit.fetch.connecting import Connecting
from tests.unit.fetch.wire import AGENT, answer_of

MakeFetcher = Callable[..., RequestsFetcher]


@pytest.fixture
def make_fetcher(far_ends: Connecting) -> Iterator[MakeFetcher]:
    """Makes fetchers whose connections are those of `far_ends`."""
    with ExitStack() as stack:

        def make(max_host_connections: int = 4, room: BodyRoom | None = None, **network: object) -> RequestsFetcher:
            settings = NetworkSettings.model_validate(network)
            return stack.enter_context(closing(RequestsFetcher(settings, AGENT, max_host_connections, room)))

        yield make


def ended(fetcher: RequestsFetcher, patience_s: float = 60.0) -> FetchResult:
    (result,) = fetcher.poll(patience_s)
    return result


def answered(fetcher: RequestsFetcher, far_ends: Connecting, *parts: bytes, leave: bool = False) -> FetchResult:
    """The result of a request that the server answers so."""
    before = len(far_ends.wire.peers)
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    far_ends.wait_for(before + 1)
    far_ends.wire.read()
    far_ends.wire.answer(*parts)
    if leave:
        far_ends.wire.peers[-1].close()
    return ended(fetcher)


def test_it_is_known_by_its_name() -> None:
    assert FETCHERS.get("requests") is RequestsFetcher
    assert (ours.THREADS, ours.POOLS) == (32, 256)


def test_a_request_names_its_asker_and_no_encoding_and_carries_its_own_headers(
    make_fetcher: MakeFetcher, far_ends: Connecting
) -> None:
    fetcher = make_fetcher()
    before_s = time.monotonic()
    fetcher.start(get(7, "http://museum.org/a.jpg", {"X-Key": "1", "Accept": "image/*"}))
    ((token, at_s),) = fetcher.take_sent()
    assert (token, before_s <= at_s <= time.monotonic()) == (7, True)
    assert fetcher.take_sent() == []
    far_ends.wait_for()
    request, *headers = far_ends.wire.read().split("\r\n")[:-2]
    assert request == "GET /a.jpg HTTP/1.1"
    assert set(headers) == {
        "Host: museum.org", f"User-Agent: {AGENT}", "Accept: image/*", "Accept-Encoding: identity", "X-Key: 1",
    }  # fmt: skip


def test_a_whole_answer_says_all_that_is_known_of_it(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    result = answered(make_fetcher(), far_ends, answer_of(b"pixels", "200 OK", 'ETag: "x"', "X-Robots-Tag: noai"))
    assert (result.token, result.kind, result.status, result.body) == (1, None, 200, b"pixels")
    assert result.headers == {"content-length": "6", "etag": '"x"', "x-robots-tag": "noai"}
    assert (result.redirect_url, result.message, result.http_version) == (None, "", "1.1")
    assert result.remote_ip == "93.184.216.34"
    assert result.ttfb_s is not None
    assert 0 < result.ttfb_s <= result.total_s < 5.0
    assert result.connection is not None
    assert 0 <= result.connection.connect_s <= result.connection.setup_s <= result.total_s


def test_a_body_is_charged_to_the_room_of_its_worker(
    make_fetcher: MakeFetcher, far_ends: Connecting, tmp_path: Path
) -> None:
    """Of memory there is one bound for all that a worker receives: with none left, a body goes to its scratch."""
    fetcher = make_fetcher(room=BodyRoom(0, tmp_path))
    result = answered(fetcher, far_ends, answer_of(b"pixels"))
    assert result.file is not None
    assert (read_descriptor(result.file.descriptor), result.body) == (b"pixels", b"")
    result.file.close()
    assert answered(make_fetcher(), far_ends, answer_of(b"pixels")).file is None


def test_an_old_server_is_told_by_its_version(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    result = answered(make_fetcher(), far_ends, b"HTTP/1.0 200 OK\r\n\r\npixels", leave=True)
    assert (result.kind, result.body, result.http_version) == (None, b"pixels", "1.0")


@pytest.mark.parametrize(
    ("status", "kind"),
    [("404 Gone", "http_4xx"), ("429 Slow", "http_429"), ("503 Busy", "http_5xx")],
)
def test_a_refusal_has_its_kind_headers_and_no_page(
    make_fetcher: MakeFetcher, far_ends: Connecting, status: str, kind: str
) -> None:
    result = answered(make_fetcher(), far_ends, answer_of(b"<html>", status, "Retry-After: 7"))
    assert (result.kind, result.body, result.headers["retry-after"]) == (ErrorKind(kind), b"", "7")
    assert result.message == f"HTTP status {status[:3]}"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b.jpg", "http://museum.org/b.jpg"),
        ("https://other.org/c%20d", "https://other.org/c%20d"),
        ("/bild é.jpg", "http://museum.org/bild%20%C3%A9.jpg"),
    ],
)
@pytest.mark.parametrize("status", [300, 301, 308])
def test_a_redirect_is_told_with_its_absolute_target_and_not_followed(
    make_fetcher: MakeFetcher, far_ends: Connecting, location: str, target: str, status: int
) -> None:
    header = f"Location: {location}".encode().decode("latin-1")
    result = answered(make_fetcher(), far_ends, answer_of(b"moved", f"{status} Moved", header))
    assert (result.kind, result.status, result.redirect_url) == (None, status, target)
    assert (result.body, result.message) == (b"", "")
    assert len(far_ends.connected_to) == 1


@pytest.mark.parametrize("status", ["299 Odd", "400 Bad"])
def test_a_target_in_an_answer_that_is_no_redirect_is_not_gone_to(
    make_fetcher: MakeFetcher, far_ends: Connecting, status: str
) -> None:
    result = answered(make_fetcher(), far_ends, answer_of(b"pixels", status, "Location: /b.jpg"))
    assert result.redirect_url is None
    assert (result.kind, result.body) == ((None, b"pixels") if status[0] == "2" else (ErrorKind.HTTP_4XX, b""))


def test_a_redirect_without_a_target_is_a_refusal(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    result = answered(make_fetcher(), far_ends, answer_of(b"moved", "302 Found"))
    assert (result.kind, result.redirect_url) == (ErrorKind.HTTP_4XX, None)


def test_an_empty_file_a_torn_one_and_one_that_is_too_large(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    assert answered(make_fetcher(), far_ends, answer_of(b"")).kind is ErrorKind.EMPTY
    torn = answered(make_fetcher(), far_ends, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npix", leave=True)
    assert (torn.kind, torn.body) == (ErrorKind.TRUNCATED, b"pix")
    assert torn.message
    large = answered(make_fetcher(max_bytes=5), far_ends, answer_of(b"pixels"))
    assert (large.kind, large.message) == (ErrorKind.TOO_LARGE, "6 bytes announced, 5 allowed")
    assert answered(make_fetcher(), far_ends, answer_of(b"", "204 No Content")).kind is ErrorKind.EMPTY
    assert answered(make_fetcher(), far_ends, answer_of(b"pix", "206 Partial")).kind is ErrorKind.TRUNCATED


def test_gzip_that_nobody_asked_for_is_taken_off_within_the_limit(
    make_fetcher: MakeFetcher, far_ends: Connecting
) -> None:
    packed = gzip.compress(bytes(500))
    answer = answer_of(packed, "200 OK", "Content-Encoding: gzip")
    assert answered(make_fetcher(max_unpacked_bytes=500), far_ends, answer).body == bytes(500)
    unfolded = answered(make_fetcher(max_unpacked_bytes=499), far_ends, answer)
    assert unfolded.kind is ErrorKind.TOO_LARGE
    assert "network.max_unpacked_bytes" in unfolded.message


def test_error_pages_keep_the_connection_within_their_own_limit(
    make_fetcher: MakeFetcher, far_ends: Connecting
) -> None:
    fetcher = make_fetcher(max_bytes=1)
    assert answered(fetcher, far_ends, answer_of(bytes(65536), "404 Not Found")).kind is ErrorKind.HTTP_4XX
    fetcher.start(get(2, "http://museum.org/b.jpg"))
    far_ends.wire.read()
    far_ends.wire.answer(answer_of(bytes(65537), "404 Not Found"))
    assert ended(fetcher).kind is ErrorKind.HTTP_4XX
    assert len(far_ends.connected_to) == 1
    with pytest.raises(ConnectionResetError):  # a longer page is dropped with its connection, not read to its end
        far_ends.wire.peers[0].recv(1)


def test_a_server_that_says_nothing_is_woken_at_its_time_limit(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    fetcher = make_fetcher(request_timeout_s=0.2)
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    result = ended(fetcher)
    assert (result.kind, result.status, result.body) == (ErrorKind.TIMEOUT, None, b"")
    assert 0.2 <= result.total_s < 2.0


def test_a_body_that_never_ends_is_woken_at_its_time_limit(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    fetcher = make_fetcher(request_timeout_s=0.3)
    result = answered(fetcher, far_ends, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npix")
    assert (result.kind, result.body, result.status) == (ErrorKind.TIMEOUT, b"pix", 200)


def test_a_poll_ends_with_the_first_result_and_not_before_its_time_without_one(
    make_fetcher: MakeFetcher, far_ends: Connecting
) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    began_s = time.monotonic()
    assert fetcher.poll(0.15) == []
    assert 0.15 <= time.monotonic() - began_s < 1.1
    far_ends.wait_for()
    far_ends.wire.answer(answer_of(b"pixels"))
    began_s = time.monotonic()
    assert ended(fetcher, 10.0).kind is None
    assert time.monotonic() - began_s < 5.0


def test_all_that_has_ended_comes_with_one_poll(make_fetcher: MakeFetcher) -> None:
    fetcher = make_fetcher()
    for token in range(3):
        fetcher.start(get(token, "http://10.0.0.1/a.jpg"))
    results = fetcher.poll(0.0)
    assert [(result.token, result.kind) for result in results] == [(n, ErrorKind.FORBIDDEN_ADDRESS) for n in range(3)]
    assert fetcher.take_sent() == []


def test_a_name_that_did_not_resolve_is_not_asked_again(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    fetcher = make_fetcher()
    messages = []
    for token in range(2):
        fetcher.start(get(token, "http://gone.org/a.jpg"))
        result = ended(fetcher)
        assert result.kind is ErrorKind.DNS
        messages.append(result.message)
    assert [("a moment ago" in message) for message in messages] == [False, True]
    assert len(far_ends.asked) == 1


def test_a_name_that_leads_inside_is_not_connected_to(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://inside.org/a.jpg"))
    result = ended(fetcher)
    assert result.kind is ErrorKind.FORBIDDEN_ADDRESS
    assert result.message == "inside.org resolves to 10.0.0.1, which is not public"
    assert far_ends.connected_to == []


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(ConnectionRefusedError("refused"), ErrorKind.CONNECT), (TimeoutError("slow"), ErrorKind.CONNECT)],
)
def test_a_connection_that_does_not_come_about_is_a_connect_failure(
    make_fetcher: MakeFetcher, far_ends: Connecting, failure: OSError, kind: ErrorKind
) -> None:
    far_ends.failures["93.184.216.34"] = failure
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    assert ended(fetcher).kind is kind
    assert len(far_ends.connected_to) == 1, "nothing is tried again behind our back"


def test_a_connection_that_ends_without_an_answer_is_a_reset(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    assert answered(make_fetcher(), far_ends, leave=True).kind is ErrorKind.RESET
    assert len(far_ends.connected_to) == 1


def test_a_proxy_is_connected_to_as_the_operator_named_it_and_asked_for_the_whole_url(
    make_fetcher: MakeFetcher, far_ends: Connecting
) -> None:
    fetcher = make_fetcher(proxy="http://10.0.0.9:3128")
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    far_ends.wait_for()
    assert far_ends.connected_to == [("10.0.0.9", 3128)]
    assert far_ends.wire.read().startswith("GET http://museum.org/a.jpg HTTP/1.1\r\n")
    far_ends.wire.answer(answer_of(b"pixels"))
    assert ended(fetcher).body == b"pixels"


class NotedAdapter:
    """The adapter as far as its arguments go."""

    def __init__(self, destinations: object, max_host_connections: int, on_wait: object) -> None:
        self.max_host_connections = max_host_connections
        self.sent: list[tuple[Any, ...]] = []

    def send(self, *arguments: Any) -> requests.Response:
        self.sent.append(arguments)
        raise requests.exceptions.InvalidSchema

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("own", [None, True, False])
@pytest.mark.parametrize("configured", [True, False])
def test_limits_and_verification_are_as_configured_unless_the_request_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, own: bool | None, configured: bool
) -> None:
    monkeypatch.setattr(ours, "_Adapter", NotedAdapter)
    network = NetworkSettings(
        connect_timeout_s=2, request_timeout_s=9, verify_tls=configured, proxy="http://p:1"
    )  # fmt: skip
    with closing(RequestsFetcher(network, AGENT, 3)) as fetcher:
        fetcher.start(get(1, "http://museum.org/", verify_tls=own))
        assert ended(fetcher).kind is ErrorKind.BAD_URL
        adapter = fetcher._adapter
    assert isinstance(adapter, NotedAdapter)
    assert adapter.max_host_connections == 3
    _, stream, timeouts, verify, cert, proxies = adapter.sent[0]
    is_verified = configured if own is None else own
    assert (stream, timeouts, cert) == (True, (2.0, 9.0), None)
    assert verify == (certifi.where() if is_verified else False)
    assert proxies == {"http": "http://p:1", "https": "http://p:1"}


def test_connections_to_a_host_are_bounded_and_kept(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    fetcher = make_fetcher(max_host_connections=1)
    for token in range(2):
        fetcher.start(get(token, f"http://museum.org/{token}"))
    far_ends.wait_for()
    bodies = set()
    for _ in range(2):
        target = far_ends.wire.read().split()[1]
        far_ends.wire.answer(answer_of(target.encode()))
        bodies.add(ended(fetcher).body)
    assert bodies == {b"/0", b"/1"}
    assert len(far_ends.connected_to) == 1


def test_nobody_is_asked_before_the_bundle_is_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"network\.ca_bundle"):
        RequestsFetcher(NetworkSettings(ca_bundle=tmp_path / "none.pem"), AGENT, 1)


def test_close_ends_threads_that_wait_without_a_result(make_fetcher: MakeFetcher, far_ends: Connecting) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    far_ends.wait_for()
    far_ends.wire.read()
    while fetcher._under_way[1].socket is None:
        time.sleep(0.001)
    fetcher.close()
    assert far_ends.wire.peers[0].recv(1) == b""
    with pytest.raises(RuntimeError):
        fetcher._threads.submit(print)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (requests.exceptions.SSLError("bad"), ErrorKind.TLS, "bad"),
        (requests.exceptions.ProxyError("bad"), ErrorKind.CONNECT, "bad"),
        (requests.exceptions.ConnectTimeout("bad"), ErrorKind.CONNECT, "bad"),
        (requests.exceptions.ReadTimeout("bad"), ErrorKind.TIMEOUT, "bad"),
        (requests.exceptions.ConnectionError("bad"), ErrorKind.RESET, "bad"),
        (requests.exceptions.InvalidURL("bad"), ErrorKind.BAD_URL, "bad"),
        (requests.exceptions.InvalidSchema("bad"), ErrorKind.BAD_URL, "bad"),
        (LocationParseError("bad"), ErrorKind.BAD_URL, "Failed to parse: bad"),
        (InvalidHeader("bad"), ErrorKind.RESET, "bad"),
        (requests.exceptions.ConnectionError(), ErrorKind.RESET, "ConnectionError"),
        (
            requests.exceptions.ConnectionError(ProtocolError("aborted", BadStatusLine("HTTP/1.1 2\r\n"))),
            ErrorKind.RESET,
            "the answer cannot be read: HTTP/1.1 2",
        ),
        (
            requests.exceptions.ConnectionError(ProtocolError("aborted", RemoteDisconnected("closed"))),
            ErrorKind.RESET,
            "closed",
        ),
        (ValueError("bad"), ErrorKind.INTERNAL, "ValueError: bad"),
        (
            requests.exceptions.ConnectionError(
                MaxRetryError(None, "/", NewConnectionError(None, "refused"))  # type: ignore[arg-type]  # no pool
            ),
            ErrorKind.CONNECT,
            "None: refused",
        ),
    ],
)
def test_each_failure_before_the_body_has_its_kind(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: ErrorKind, message: str
) -> None:
    class Failing(NotedAdapter):
        def send(self, *_arguments: Any) -> requests.Response:
            raise error

    monkeypatch.setattr(ours, "_Adapter", Failing)
    with closing(RequestsFetcher(NetworkSettings(), AGENT, 3)) as fetcher:
        fetcher.start(get(4, "http://museum.org/"))
        result = ended(fetcher)
    assert (result.token, result.kind, result.message, result.lack) == (4, kind, message, None)


@pytest.mark.parametrize("is_wrapped", [True, False], ids=["urllib3's", "plain"])
def test_a_machine_without_descriptors_is_no_failure_of_a_server(
    monkeypatch: pytest.MonkeyPatch, is_wrapped: bool
) -> None:
    class Failing(NotedAdapter):
        def send(self, *_arguments: Any) -> requests.Response:
            error = OSError(errno.EMFILE, "Too many open files")
            if not is_wrapped:
                raise error
            inner = NewConnectionError(None, "failed")  # type: ignore[arg-type]  # no pool
            inner.__cause__ = error
            raise requests.exceptions.ConnectionError(MaxRetryError(None, "/", inner))  # type: ignore[arg-type]

    monkeypatch.setattr(ours, "_Adapter", Failing)
    with closing(RequestsFetcher(NetworkSettings(), AGENT, 3)) as fetcher:
        fetcher.start(get(4, "http://museum.org/"))
        result = ended(fetcher)
    assert result.lack is not None and "ulimit -n" in str(result.lack)
