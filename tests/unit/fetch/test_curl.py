"""The event loop over libcurl: what is started goes out, what ends comes back once, and time is kept."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import certifi
import pycurl
import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind, UserError
from ray_downloader.fetch import curl
from ray_downloader.fetch.base import FETCHERS, DnsFailure, FetchRequest, FetchResult
from ray_downloader.fetch.curl import CurlFetcher
from ray_downloader.fetch.destination import Destination
from ray_downloader.fetch.receiver import BodyRoom
from tests.support.fetching import get
from tests.unit.fetch.wire import AGENT, MakeFetcher, Wire, answer_of, ended


def collected(fetcher: CurlFetcher, count: int, patience_s: float = 60.0) -> dict[int, FetchResult]:
    """Results by token, once that many have come."""
    results: dict[int, FetchResult] = {}
    until_s = time.monotonic() + patience_s
    while len(results) < count and time.monotonic() < until_s:
        for result in fetcher.poll(0.05):
            assert result.token not in results
            results[result.token] = result
    return results


def test_the_default_fetcher_is_known_by_its_name() -> None:
    assert FETCHERS.get("curl") is CurlFetcher


def test_the_options_of_every_transfer(make_fetcher: MakeFetcher, wire: Wire, tmp_path: Path) -> None:
    bundle = tmp_path / "authorities.pem"
    bundle.write_text("")
    make_fetcher(
        connect_timeout_s=1.5, request_timeout_s=20.25, low_speed_bytes_per_s=7, low_speed_s=9, max_bytes=12345,
        proxy="http://proxy:3128", ca_bundle=bundle,
    )  # fmt: skip
    options = dict(wire.options[0])
    assert isinstance(options.pop(pycurl.SHARE), pycurl.CurlShare), "names that one slice looked up serve the next"
    assert options == {
        pycurl.NOSIGNAL: 1,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
        pycurl.USERAGENT: AGENT,
        pycurl.CONNECTTIMEOUT_MS: 1500,
        pycurl.TIMEOUT_MS: 20250,
        pycurl.LOW_SPEED_LIMIT: 7,
        pycurl.LOW_SPEED_TIME: 9,
        pycurl.MAXFILESIZE_LARGE: 12345,
        pycurl.DNS_CACHE_TIMEOUT: 3600,
        pycurl.BUFFERSIZE: 131072,
        pycurl.PROXY: "http://proxy:3128",
        pycurl.CAINFO: str(bundle),
    }


def test_without_a_proxy_or_a_bundle_neither_the_environment_nor_the_system_decides(
    make_fetcher: MakeFetcher, wire: Wire
) -> None:
    make_fetcher()
    assert wire.options[0][pycurl.PROXY] == ""
    assert wire.options[0][pycurl.CAINFO] == certifi.where()


def test_a_missing_bundle_is_named_before_the_first_request(make_fetcher: MakeFetcher, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"network\.ca_bundle"):
        make_fetcher(ca_bundle=tmp_path / "none.pem")


class NotedMulti:
    """libcurl's multi handle as far as its options go."""

    def __init__(self) -> None:
        self.options: dict[int, object] = {}

    def setopt(self, option: int, value: object) -> None:
        self.options[option] = value

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("network", "limit"),
    [({}, 3), ({"connect_to": {"*": "127.0.0.1:1"}}, None), ({"proxy": "http://p:1"}, None)],
)
def test_connections_to_a_host_are_bounded_where_libcurl_counts_by_host(
    monkeypatch: pytest.MonkeyPatch, network: dict[str, object], limit: int | None
) -> None:
    monkeypatch.setattr(pycurl, "CurlMulti", NotedMulti)
    fetcher = CurlFetcher(NetworkSettings.model_validate(network), AGENT, 3)
    options = fetcher._multi.options
    assert options.get(pycurl.M_MAX_HOST_CONNECTIONS) == limit
    assert options[pycurl.M_MAXCONNECTS] == 640, "many systems give a process 1,024 descriptors"
    assert options[pycurl.M_PIPELINING] == pycurl.PIPE_MULTIPLEX
    fetcher.close()


def test_a_request_goes_out_with_its_start_once_there_is_a_connection(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(7, "http://museum.org/a.jpg"))
    assert fetcher.poll(0.0) == []
    assert wire.read() == (
        f"GET /a.jpg HTTP/1.1\r\nHost: museum.org\r\nUser-Agent: {AGENT}\r\n"
        "Accept: */*\r\nAccept-Encoding: identity\r\n\r\n"
    )
    wire.answer(answer_of(b"pixels"))
    assert (ended(fetcher).token, fetcher.poll(0.0)) == (7, [])
    fetcher.start(get(8, "http://museum.org/b.jpg"))
    assert wire.read().startswith("GET /b.jpg "), "on a kept connection it does not wait for the next poll"
    assert len(wire.peers) == 1


def test_what_was_sent_is_told_once_with_its_time(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher()
    before_s = time.monotonic()
    for token, host in enumerate(("museum.org", "second.org")):
        fetcher.start(get(token, f"http://{host}/a.jpg"))
    fetcher.poll(0.0)
    sent = fetcher.take_sent()
    assert sorted(token for token, _ in sent) == [0, 1]
    assert all(before_s <= at_s <= time.monotonic() for _, at_s in sent)
    assert fetcher.take_sent() == []
    fetcher.start(get(2, "http://second.org/b.jpg"))
    fetcher.poll(0.0)
    assert [token for token, _ in fetcher.take_sent()] == [2], "the list that transfers append to stays the same one"


def test_a_poll_ends_with_the_first_result_and_not_before_its_time_without_one(
    make_fetcher: MakeFetcher, wire: Wire
) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    began_s = time.monotonic()
    assert fetcher.poll(0.15) == []
    assert 0.15 <= time.monotonic() - began_s < 2.0
    wire.answer(answer_of(b"pixels"))
    began_s = time.monotonic()
    assert ended(fetcher, 10.0).kind is None
    assert time.monotonic() - began_s < 5.0


def test_time_is_over_at_the_moment_that_was_named(make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher = make_fetcher()
    monkeypatch.setattr(curl.time, "monotonic", lambda: 100.0)  # and it never is a later one
    assert fetcher.poll(0.0) == []
    fetcher._set_timer(2500)
    assert fetcher._timer_at_s == 102.5
    fetcher._set_timer(-1)
    assert fetcher._timer_at_s is None, "libcurl waits for nothing"


def test_a_body_without_a_place_is_received_when_there_is_one(wire: Wire, tmp_path: Path) -> None:
    room = BodyRoom(0, tmp_path, scratch_bytes=10)
    body = b"abcdef" * 3
    head, parts = answer_of(body)[: -len(body)], (body[:12], body[12:])
    with closing(CurlFetcher(NetworkSettings(), AGENT, 4, room)) as fetcher:
        for peer, host in enumerate(("museum.org", "second.org")):
            fetcher.start(get(peer, f"http://{host}/a.jpg"))
            fetcher.poll(0.0)
            wire.answer(head, parts[0], peer=peer)
            while room.on_scratch_bytes < 12 * (peer + 1):
                assert fetcher.poll(0.01) == []
                if peer:
                    break
        wire.answer(parts[1], peer=1)
        assert fetcher.poll(0.05) == [], "the older one may go on, this one waits"
        wire.answer(parts[1], peer=0)
        first = ended(fetcher)
        second = ended(fetcher)
    for token, result in enumerate((first, second)):
        assert (result.token, result.kind) == (token, None)
        assert result.file is not None
        assert b"".join(result.file.pieces()) == body
        result.file.close()


def test_half_a_body_gives_its_place_back_when_all_ends(wire: Wire, tmp_path: Path) -> None:
    room = BodyRoom(0, tmp_path, scratch_bytes=100)
    fetcher = CurlFetcher(NetworkSettings(), AGENT, 4, room)
    fetcher.start(get(0, "http://museum.org/a.jpg"))
    fetcher.poll(0.0)
    wire.answer(answer_of(b"abcdef")[:-3])
    until_s = time.monotonic() + 60
    while room.on_scratch_bytes < 3 and time.monotonic() < until_s:
        assert fetcher.poll(0.01) == []
    assert room.on_scratch_bytes == 3
    fetcher.close()
    assert room.on_scratch_bytes == 0


def test_sockets_are_waited_for_until_a_timer_or_an_inquiry_is_due(
    make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetcher = make_fetcher()
    waits: list[float] = []
    monkeypatch.setattr(fetcher, "_wait", lambda patience_s: waits.append(patience_s) or [])
    monkeypatch.setattr(curl.time, "monotonic", lambda: 100.0)
    fetcher._move(0.5)
    for timer_at_s in (100.75, 100.25, 99.0):
        fetcher._timer_at_s = timer_at_s
        fetcher._move(0.5)
    fetcher._timer_at_s = None
    monkeypatch.setattr(fetcher, "_inquiry", [object()])
    fetcher._move(0.5)
    fetcher._move(0.005)
    assert waits == [0.5, 0.5, 0.25, 0.0, 0.01, 0.005]


def test_an_idle_poll_sleeps_to_the_fraction_of_a_millisecond(
    make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetcher = make_fetcher()
    slept: list[float] = []
    monkeypatch.setattr(curl.time, "sleep", slept.append)
    waits: list[float] = []
    select = fetcher._selector.select
    monkeypatch.setattr(fetcher._selector, "select", lambda wait_s: waits.append(wait_s) or select(0))
    monkeypatch.setattr(curl.time, "monotonic", lambda: 100.0)
    assert fetcher._wait(0.0057) == []
    assert waits == [0.005, 0], "epoll counts whole milliseconds, and would round up"
    assert slept == [pytest.approx(0.0057)]
    assert fetcher._wait(3.0) == []
    assert waits[2:] == [3, 0]


def test_transfers_of_many_servers_are_under_way_at_once_and_end_apart(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    fetcher.start(get(2, "http://second.org/a.jpg"))
    fetcher.poll(0.0)
    asked = {("museum.org" if "museum" in wire.read(peer) else "second.org"): peer for peer in (0, 1)}
    wire.answer(answer_of(b"second"), peer=asked["second.org"])
    assert ended(fetcher).body == b"second"
    wire.answer(answer_of(b"first"), peer=asked["museum.org"])
    assert ended(fetcher).body == b"first"


def test_more_requests_than_connections_wait_and_lose_nothing(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher(max_host_connections=1)
    for token in range(3):
        fetcher.start(get(token, f"http://museum.org/{token}.jpg"))
    bodies = []
    for _ in range(3):
        fetcher.poll(0.0)
        target = wire.read().split()[1]
        wire.answer(answer_of(target.encode()))
        bodies.append(ended(fetcher).body)
    assert bodies == [b"/0.jpg", b"/1.jpg", b"/2.jpg"]
    assert len(wire.peers) == 1


def test_a_refused_url_ends_at_the_next_poll_without_waiting_for_others(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    fetcher.start(get(2, "http://10.0.0.1/a.jpg"))
    began_s = time.monotonic()
    result = ended(fetcher, 10.0)
    assert (result.token, result.kind) == (2, ErrorKind.FORBIDDEN_ADDRESS)
    assert time.monotonic() - began_s < 5.0
    wire.answer(answer_of(b"pixels"))
    assert ended(fetcher).token == 1
    assert [token for token, _ in fetcher.take_sent()] == [1]


def test_a_name_that_does_not_exist_is_not_asked_for_again(
    make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    fetcher = make_fetcher()
    messages = []
    for token in range(2):
        fetcher.start(get(token, "http://no..name/a.jpg"))
        result = ended(fetcher)
        assert (result.kind, result.dns_failure) == (ErrorKind.DNS, DnsFailure.NO_SUCH_NAME)
        messages.append(result.message)
    assert "a moment ago" in messages[1]
    assert "a moment ago" not in messages[0]


def test_a_server_that_says_nothing_is_given_up_at_its_time_limit(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher(request_timeout_s=0.2)
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    result = ended(fetcher)
    assert (result.kind, result.status) == (ErrorKind.TIMEOUT, None)
    assert 0.2 <= result.total_s < 2.0
    assert wire.read().startswith("GET /a.jpg ")


def test_verification_is_as_configured_unless_the_request_says_otherwise(
    make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    begin = curl.Transfer.begin

    def noted(transfer: curl.Transfer, request: FetchRequest, destination: Destination, verify_tls: bool) -> None:
        begun.append(verify_tls)
        begin(transfer, request, destination, verify_tls)

    monkeypatch.setattr(curl.Transfer, "begin", noted)
    strict, lax = make_fetcher(), make_fetcher(verify_tls=False)
    for fetcher in (strict, lax):
        for own in (None, True, False):
            fetcher.start(get(0, "http://museum.org/", verify_tls=own))
    assert begun == [True, True, False, False, True, False]


def test_handles_are_used_again(make_fetcher: MakeFetcher, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[curl.Transfer] = []
    transfer = curl.Transfer
    monkeypatch.setattr(curl, "Transfer", lambda *arguments: made.append(transfer(*arguments)) or made[-1])
    fetcher = make_fetcher()
    for token in range(3):
        fetcher.start(get(token, "http://museum.org/a.jpg"))
        fetcher.poll(0.0)
        wire.read()
        wire.answer(answer_of(b"pixels"))
        assert ended(fetcher).body == b"pixels"
    assert len(made) == 1


def test_close_drops_connections_idle_and_busy(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    fetcher.poll(0.0)
    wire.read()
    wire.answer(answer_of(b"pixels"))
    ended(fetcher)
    fetcher.start(get(2, "http://second.org/a.jpg"))
    fetcher.poll(0.0)
    wire.read(1)
    fetcher.close()
    assert [peer.recv(1) for peer in wire.peers] == [b"", b""], "both connections are at their end"


def test_a_result_of_each_of_many(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher(max_host_connections=8)
    for token in range(8):
        fetcher.start(get(token, f"http://museum.org/{token}"))
    fetcher.poll(0.0)
    for peer in range(8):
        target = wire.read(peer).split()[1]
        wire.answer(answer_of(target.encode()), peer=peer)
    results = collected(fetcher, 8)
    assert {token: result.body for token, result in results.items()} == {n: f"/{n}".encode() for n in range(8)}


def test_a_name_whose_look_up_failed_is_forgotten_by_libcurl_until_it_resolves(
    make_fetcher: MakeFetcher, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr(curl, "_DOUBTFUL", {("museum.org", 80)})
    forgotten: list[tuple[str, int]] = []
    monkeypatch.setattr(curl.Transfer, "forget_name", lambda transfer, *name: _forget(transfer, forgotten, name))
    fetcher = make_fetcher()
    for _ in range(2):
        fetcher.start(get(1, "http://no..name/a.jpg"))
        assert ended(fetcher).dns_failure is DnsFailure.NO_ANSWER
    assert forgotten == [("no..name", 80)], "not before its first failure"
    for _ in range(2):
        fetcher.start(get(1, "http://museum.org/a.jpg"))
        fetcher.poll(0.0)
        wire.read()
        wire.answer(answer_of(b"pixels"))
        assert ended(fetcher).kind is None
    assert forgotten[1:] == [("museum.org", 80)], "not once it resolved"
    assert {("no..name", 80)} == curl._DOUBTFUL


def _forget(transfer: curl.Transfer, forgotten: list[tuple[str, int]], name: tuple[str, int]) -> None:
    transfer.forgets_name = True
    forgotten.append(name)
