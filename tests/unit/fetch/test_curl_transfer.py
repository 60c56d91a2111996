"""One transfer of libcurl: what goes out, what may be connected to, and what the answer is taken for."""

from __future__ import annotations

import gzip
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pycurl
import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch import curl_transfer
from ray_downloader.fetch.base import FetchResult, NewConnection
from ray_downloader.fetch.curl import CurlFetcher
from ray_downloader.fetch.curl_transfer import Transfer
from ray_downloader.fetch.destination import Destination
from ray_downloader.fetch.receiver import BodyRoom
from tests.support.fetching import get
from tests.unit.fetch.wire import MakeFetcher, Wire, answer_of, ended

OPEN = {"allow_private_addresses": True}


def answered(fetcher: CurlFetcher, wire: Wire, *parts: bytes, leave: bool = False) -> FetchResult:
    """The result of a request that the server answers so."""
    fetcher.start(get(1, "http://museum.org/a.jpg"))
    fetcher.poll(0.0)
    wire.read()
    wire.answer(*parts)
    if leave:
        wire.peers[-1].close()
    return ended(fetcher)


def test_a_whole_answer_says_all_that_is_known_of_it(make_fetcher: MakeFetcher, wire: Wire) -> None:
    result = answered(make_fetcher(), wire, answer_of(b"pixels", "200 OK", 'ETag: "x"', "X-Robots-Tag: noai"))
    assert (result.token, result.kind, result.status, result.body) == (1, None, 200, b"pixels")
    assert result.headers == {"content-length": "6", "etag": '"x"', "x-robots-tag": "noai"}
    assert (result.redirect_url, result.message, result.http_version) == (None, "", "1.1")
    assert result.remote_ip == "93.184.216.34"
    assert result.ttfb_s is not None
    assert 0 < result.ttfb_s <= result.total_s


def test_an_old_server_is_told_by_its_version(make_fetcher: MakeFetcher, wire: Wire) -> None:
    result = answered(make_fetcher(), wire, b"HTTP/1.0 200 OK\r\n\r\npixels", leave=True)
    assert (result.kind, result.body, result.http_version) == (None, b"pixels", "1.0")


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (pycurl.CURL_HTTP_VERSION_1_0, "1.0"),
        (pycurl.CURL_HTTP_VERSION_1_1, "1.1"),
        (pycurl.CURL_HTTP_VERSION_2_0, "2"),
        (pycurl.CURL_HTTP_VERSION_2TLS, "2"),
        (pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE, "2"),
        (pycurl.CURL_HTTP_VERSION_3, "3"),
        (31, "3"),  # CURL_HTTP_VERSION_3ONLY
    ],
)
def test_versions_are_named_as_people_do(version: int, name: str) -> None:
    assert curl_transfer._HTTP_VERSIONS[version] == name


def test_headers_of_the_request_go_out_and_not_with_the_next(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher()
    sent = []
    for headers in ({"X-Key": "1"}, {"X-Key": "2"}, {}):
        fetcher.start(get(1, "http://museum.org/a.jpg", headers))
        fetcher.poll(0.0)
        sent.append([line for line in wire.read().splitlines() if line.startswith(("X-Key", "Accept-E"))])
        wire.answer(answer_of(b"pixels"))
        ended(fetcher)
    identity = "Accept-Encoding: identity"
    assert sent == [[identity, "X-Key: 1"], [identity, "X-Key: 2"], [identity]]


def test_the_last_answer_counts_after_those_of_a_proxy(make_fetcher: MakeFetcher, wire: Wire) -> None:
    before = b"HTTP/1.1 100 Continue\r\nX-From: proxy\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    result = answered(make_fetcher(), wire, before, answer_of(b"gone", "404 Not Found", "X-From: server"))
    assert (result.status, result.kind) == (404, ErrorKind.HTTP_4XX)
    assert result.headers == {"content-length": "4", "x-from": "server"}


@pytest.mark.parametrize(
    ("status", "kind"), [("403 Forbidden", "http_403_ban"), ("429 Slow", "http_429"), ("503 Busy", "http_5xx")]
)
def test_a_refusal_has_its_kind_headers_and_no_page(
    make_fetcher: MakeFetcher, wire: Wire, status: str, kind: str
) -> None:
    result = answered(make_fetcher(), wire, answer_of(b"<html>", status, "Retry-After: 7"))
    assert (result.kind, result.body, result.headers["retry-after"]) == (ErrorKind(kind), b"", "7")
    assert status[:3] in result.message


def test_a_redirect_is_told_with_its_absolute_target(make_fetcher: MakeFetcher, wire: Wire) -> None:
    result = answered(make_fetcher(), wire, answer_of(b"moved", "302 Found", "Location: /b.jpg"))
    assert (result.kind, result.redirect_url, result.body) == (None, "http://museum.org/b.jpg", b"")
    assert (result.status, result.message) == (302, "")


def test_a_redirect_without_a_target_is_a_refusal(make_fetcher: MakeFetcher, wire: Wire) -> None:
    result = answered(make_fetcher(), wire, answer_of(b"moved", "302 Found"))
    assert (result.kind, result.redirect_url) == (ErrorKind.HTTP_4XX, None)


def test_a_target_in_an_answer_that_is_no_redirect_is_not_gone_to(make_fetcher: MakeFetcher, wire: Wire) -> None:
    result = answered(make_fetcher(), wire, answer_of(b"pixels", "200 OK", "Location: /b.jpg"))
    assert (result.kind, result.redirect_url, result.body) == (None, None, b"pixels")
    fetcher = make_fetcher()
    fetcher.start(get(2, "http://second.org/a.jpg"))
    fetcher.poll(0.0)
    wire.read(1)
    wire.answer(answer_of(b"", "400 Bad Request", "Location: /b.jpg"), peer=1)
    assert (result := ended(fetcher)).redirect_url is None
    assert result.kind is ErrorKind.HTTP_4XX


@pytest.mark.parametrize(("size", "is_too_large"), [(1000, False), (1001, True)])
@pytest.mark.parametrize("is_announced", [True, False])
def test_a_file_is_read_up_to_the_limit(
    make_fetcher: MakeFetcher, wire: Wire, size: int, is_too_large: bool, is_announced: bool
) -> None:
    answer = answer_of(bytes(size)) if is_announced else b"HTTP/1.1 200 OK\r\n\r\n" + bytes(size)
    result = answered(make_fetcher(max_bytes=1000), wire, answer, leave=True)
    assert result.kind is (ErrorKind.TOO_LARGE if is_too_large else None)
    assert len(result.body) <= 1000
    assert bool(result.message) == is_too_large


def test_an_error_page_within_its_own_limit_keeps_the_connection(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher(max_bytes=1_000_000)
    result = answered(fetcher, wire, answer_of(bytes(65536), "404 Not Found"))
    assert (result.kind, result.body) == (ErrorKind.HTTP_4XX, b"")
    fetcher.start(get(2, "http://museum.org/b.jpg"))
    assert wire.read().startswith("GET /b.jpg ")


def test_a_file_of_any_2xx_may_be_longer_than_an_error_page(make_fetcher: MakeFetcher, wire: Wire) -> None:
    result = answered(make_fetcher(), wire, answer_of(bytes(65537), "299 Odd"))
    assert (result.status, len(result.body)) == (299, 65537)


@pytest.mark.parametrize(
    ("status", "kind"), [("300 Multiple Choices", ErrorKind.TOO_LARGE), ("404 Not Found", ErrorKind.HTTP_4XX)]
)
def test_a_longer_page_is_dropped_with_its_connection_and_a_refusal_stays_one(
    make_fetcher: MakeFetcher, wire: Wire, status: str, kind: ErrorKind
) -> None:
    result = answered(make_fetcher(), wire, answer_of(bytes(65537), status))
    assert (result.kind, result.status, result.body) == (kind, int(status[:3]), b"")
    wire.peers[0].settimeout(2.0)
    assert wire.peers[0].recv(1) == b"", "the connection is closed"


def test_an_empty_file_and_one_that_ends_early_are_told_apart(make_fetcher: MakeFetcher, wire: Wire) -> None:
    assert answered(make_fetcher(), wire, answer_of(b"")).kind is ErrorKind.EMPTY
    torn = answered(make_fetcher(), wire, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npix", leave=True)
    assert (torn.kind, torn.body) == (ErrorKind.TRUNCATED, b"pix")
    assert torn.message


def test_a_connection_that_ends_without_an_answer_is_a_reset_and_not_sent_again(
    make_fetcher: MakeFetcher, wire: Wire
) -> None:
    fetcher = make_fetcher()
    answered(fetcher, wire, answer_of(b"pixels"))
    fetcher.take_sent()
    fetcher.start(get(2, "http://museum.org/b.jpg"))
    wire.read()
    wire.peers[0].close()
    result = ended(fetcher)
    assert (result.token, result.kind, result.status) == (2, ErrorKind.RESET, None)
    assert (result.headers, result.ttfb_s) == ({}, None)
    assert [token for token, _ in fetcher.take_sent()] == [2], "a permit is for one request"
    assert all(wire.is_silent(peer) for peer in range(1, len(wire.peers)))


def test_a_name_that_leads_inside_is_not_connected_to(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://inside.org/a.jpg"))
    result = ended(fetcher)
    assert result.kind is ErrorKind.FORBIDDEN_ADDRESS
    assert result.message == "inside.org resolves to 10.0.0.1, which is not public"
    assert (wire.peers, fetcher.take_sent()) == ([], [])


@pytest.mark.parametrize(
    ("network", "url"),
    [
        (OPEN, "http://inside.org/a.jpg"),
        ({"connect_to": {"a.org": "10.0.0.1:80"}}, "http://a.org/a.jpg"),
        ({"proxy": "http://10.0.0.1:8080"}, "http://museum.org/a.jpg"),
    ],
)
def test_where_the_operator_leads_the_guard_does_not_stand(
    make_fetcher: MakeFetcher, wire: Wire, network: dict[str, Any], url: str
) -> None:
    fetcher = make_fetcher(**network)
    fetcher.start(get(1, url))
    fetcher.poll(0.0)
    wire.read()
    wire.answer(answer_of(b"pixels"))
    result = ended(fetcher)
    assert (result.kind, result.body, result.remote_ip) == (None, b"pixels", "10.0.0.1")


def test_a_public_literal_is_connected_to(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher()
    fetcher.start(get(1, "http://93.184.216.34/a.jpg"))
    fetcher.poll(0.0)
    wire.read()
    wire.answer(answer_of(b"pixels"))
    assert ended(fetcher).kind is None


def test_a_destination_of_its_own_leaves_no_trace_on_the_next_request(make_fetcher: MakeFetcher, wire: Wire) -> None:
    fetcher = make_fetcher(connect_to={"named.org": "10.0.0.9:8080"})
    for host, address in (("named.org", "10.0.0.9"), ("museum.org", "93.184.216.34"), ("named.org", "10.0.0.9")):
        fetcher.start(get(1, f"http://{host}/a.jpg"))
        fetcher.poll(0.0)
        assert f"Host: {host}\r\n" in wire.read(len(wire.peers) - 1)
        wire.answer(answer_of(b"pixels", "200 OK", "Connection: close"), peer=len(wire.peers) - 1)
        assert ended(fetcher).remote_ip == address


class NotedCurl(pycurl.Curl):  # type: ignore[misc]  # pycurl has no types
    """An easy handle that remembers how it was set, and answers as told what it measured."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, Any]] = []
        self.measured: dict[int, Any] = {}

    def setopt(self, option: int, value: Any) -> None:
        self.calls.append((option, value))
        super().setopt(option, value)

    def getinfo(self, what: int) -> Any:
        return self.measured.get(what, 0)

    def values(self, option: int) -> list[Any]:
        return [value for set_option, value in self.calls if set_option == option]


@pytest.fixture
def transfer(monkeypatch: pytest.MonkeyPatch) -> Transfer:
    monkeypatch.setattr(curl_transfer.pycurl, "Curl", NotedCurl)
    return Transfer({pycurl.NOSIGNAL: 1}, NetworkSettings(max_bytes=100), [], BodyRoom())


def begin(
    transfer: Transfer, connects_to: tuple[str, int] | None = None, verify_tls: bool = True, **headers: str
) -> None:
    destination = Destination("a.org", 80, connects_to, connects_to is None, connects_to is None)
    transfer.begin(get(1, "http://a.org/", headers), destination, verify_tls)


def test_a_certificate_is_verified_with_its_name_or_not_at_all(transfer: Transfer) -> None:
    for verify_tls in (True, False):
        begin(transfer, verify_tls=verify_tls)
    assert transfer.easy.values(pycurl.SSL_VERIFYPEER) == [1, 0]
    assert transfer.easy.values(pycurl.SSL_VERIFYHOST) == [2, 0], "1 is no value that libcurl knows"


def test_lists_are_set_only_where_they_changed(transfer: Transfer) -> None:
    begin(transfer)
    begin(transfer)
    begin(transfer, connects_to=("10.0.0.1", 80), key="1")
    assert transfer.easy.values(pycurl.CONNECT_TO) == [[":::"], ["::10.0.0.1:80"]]
    identity = b"Accept-Encoding: identity"
    assert transfer.easy.values(pycurl.HTTPHEADER) == [[identity], [identity, b"key: 1"]]


@pytest.mark.parametrize(
    ("came", "status", "total_s", "kind"),
    [
        ({}, 0, 20.0, ErrorKind.DNS),
        ({"has_address": True}, 0, 20.0, ErrorKind.CONNECT),
        ({"has_address": True, "address": "8.8.8.8"}, 0, 20.0, ErrorKind.TIMEOUT),  # in the TLS handshake
        ({"is_sent": True}, 0, 20.0, ErrorKind.TIMEOUT),  # on a kept connection
        ({"is_sent": True}, 200, 20.0, ErrorKind.TOO_SLOW),
        ({"is_sent": True}, 200, 300.0, ErrorKind.TIMEOUT),
    ],
)
def test_a_time_limit_is_told_by_how_far_the_request_came(
    transfer: Transfer, came: Mapping[str, Any], status: int, total_s: float, kind: ErrorKind
) -> None:
    begin(transfer)
    transfer.has_address, transfer.is_sent = came.get("has_address", False), came.get("is_sent", False)
    transfer.header_lines[:] = [f"HTTP/1.1 {status} OK".encode()] if status else []
    transfer.easy.measured = {pycurl.PRIMARY_IP: came.get("address", ""), pycurl.TOTAL_TIME: total_s}
    assert result_of(transfer, 28).kind is kind


def test_a_name_that_is_not_looked_up_here_cannot_be_what_took_so_long(transfer: Transfer) -> None:
    begin(transfer, connects_to=("10.0.0.1", 80))
    assert result_of(transfer, 28).kind is ErrorKind.CONNECT


def test_a_refused_connection_is_not_one_that_we_refused(transfer: Transfer) -> None:
    begin(transfer)
    assert result_of(transfer, 7).kind is ErrorKind.CONNECT
    transfer.refused_address = "10.0.0.1"
    assert result_of(transfer, 7).kind is ErrorKind.FORBIDDEN_ADDRESS
    assert result_of(transfer, 56).kind is ErrorKind.RESET


def test_a_failure_that_is_in_no_table_is_internal(transfer: Transfer) -> None:
    begin(transfer)
    assert result_of(transfer, 9999).kind is ErrorKind.INTERNAL


def test_a_failure_after_a_good_start_has_its_own_kind_and_what_arrived(transfer: Transfer) -> None:
    begin(transfer)
    transfer.header_lines[:] = [b"HTTP/2 200 \r\n", b"etag: x\r\n"]
    for chunk in (b"pix", b"els"):
        transfer._write(chunk)
    transfer.easy.measured = {pycurl.STARTTRANSFER_TIME: 0.5, pycurl.TOTAL_TIME: 0.9, pycurl.INFO_HTTP_VERSION: 3}
    result = result_of(transfer, 92)
    assert (result.kind, result.body, result.message) == (ErrorKind.RESET, b"pixels", "as libcurl says")
    assert (result.ttfb_s, result.total_s, result.http_version, result.remote_ip) == (0.5, 0.9, "2", None)


def test_gzip_that_nobody_asked_for_is_taken_off_within_the_limit(make_fetcher: MakeFetcher, wire: Wire) -> None:
    packed = gzip.compress(bytes(500))
    answer = answer_of(packed, "200 OK", "Content-Encoding: gzip")
    assert answered(make_fetcher(max_unpacked_bytes=500), wire, answer).body == bytes(500)
    unfolded = answered(make_fetcher(max_unpacked_bytes=499), wire, answer)
    assert unfolded.kind is ErrorKind.TOO_LARGE
    assert "network.max_unpacked_bytes" in unfolded.message


def test_a_lent_socket_closes_with_the_last_that_refers_to_it() -> None:
    lent = curl_transfer._LentSocket(socket.AF_INET, socket.SOCK_STREAM, 0)
    descriptor = lent.fileno()
    del lent
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_the_time_of_sending_is_noted(transfer: Transfer) -> None:
    begin(transfer)
    before_s = time.monotonic()
    assert transfer._before_sending() == pycurl.PREREQFUNC_OK
    assert transfer._before_sending() == pycurl.PREREQFUNC_ABORT
    ((token, at_s),) = transfer._sent
    assert (token, before_s <= at_s <= time.monotonic()) == (1, True)
    begin(transfer)
    assert transfer._before_sending() == pycurl.PREREQFUNC_OK


def test_a_head_that_breaks_off_is_no_refusal_below_400(transfer: Transfer) -> None:
    for status, kind in ((200, ErrorKind.RESET), (302, ErrorKind.RESET), (404, ErrorKind.HTTP_4XX)):
        begin(transfer)
        transfer.header_lines[:] = [f"HTTP/1.1 {status} X".encode()]
        assert result_of(transfer, 8).kind is kind


def test_a_new_connection_tells_its_times_and_a_kept_one_none(transfer: Transfer) -> None:
    begin(transfer)
    measured = {pycurl.NAMELOOKUP_TIME: 0.25, pycurl.CONNECT_TIME: 0.75, pycurl.PRETRANSFER_TIME: 1.5}
    transfer.easy.measured = measured
    assert result_of(transfer, 0).connection is None
    transfer.has_address = True
    assert result_of(transfer, 0).connection == NewConnection(dns_s=0.25, connect_s=0.5, setup_s=1.5)
    transfer.easy.measured = {}
    assert result_of(transfer, 7).connection is None


def result_of(transfer: Transfer, code: int) -> FetchResult:
    return curl_transfer.result_of(transfer, code, "as libcurl says", NetworkSettings())


def test_a_name_is_forgotten_for_one_use_of_the_handle(transfer: Transfer) -> None:
    begin(transfer)
    assert not transfer.forgets_name
    transfer.forget_name("a.org", 81)
    assert transfer.forgets_name
    assert transfer.easy.values(pycurl.RESOLVE) == [["-a.org:81"]]


def test_a_socket_that_cannot_be_made_is_named_and_not_connected(
    transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_facts: int) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(curl_transfer, "_LentSocket", exhausted)
    begin(transfer)
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, ("93.184.216.34", 80))
    assert not transfer.has_address
    assert transfer._open_socket(0, address) == pycurl.SOCKET_BAD
    assert transfer.has_address, "its name is not to blame"
    result = result_of(transfer, 7)
    assert result.message == "93.184.216.34: Too many open files"
    assert result.lack is not None and "ulimit -n" in str(result.lack)


def test_libcurl_without_memory_is_a_lack_of_this_machine(transfer: Transfer) -> None:
    begin(transfer)
    assert "Cannot allocate memory" in str(result_of(transfer, 27).lack)
    assert result_of(transfer, 7).lack is None


def test_scratch_that_cannot_take_a_body_is_a_lack_of_this_machine(
    transfer: Transfer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(transfer, "_room", BodyRoom(0, tmp_path / "missing"))
    begin(transfer)
    transfer.header_lines[:] = [b"HTTP/1.1 200 OK\r\n", b"content-length: 6\r\n"]
    assert transfer._write(b"pixels") == 0
    assert "cannot take a large body: No such file" in str(result_of(transfer, 23).lack)


def test_a_page_of_exactly_400_is_a_refusal_though_it_broke_off(transfer: Transfer) -> None:
    begin(transfer)
    transfer.header_lines[:] = [b"HTTP/1.1 400 X"]
    assert result_of(transfer, 8).kind is ErrorKind.HTTP_4XX


def test_a_kept_connection_that_ended_is_told_in_words_of_ours(transfer: Transfer) -> None:
    begin(transfer)
    assert result_of(transfer, 42).message == "the connection, kept from an earlier request, ended before the answer"


def test_an_error_page_is_not_unpacked(make_fetcher: MakeFetcher, wire: Wire) -> None:
    page = gzip.compress(b"not here")
    result = answered(make_fetcher(), wire, answer_of(page, "404 Not Found", "Content-Encoding: gzip"))
    assert (result.kind, result.status) == (ErrorKind.HTTP_4XX, 404)
    transferred = answered(make_fetcher(), wire, answer_of(gzip.compress(b"x" * 10), "200 OK"))
    assert transferred.body == gzip.compress(b"x" * 10), "nothing says that it is packed"


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        ("200 OK", None, b"pix"),
        ("203 From a Proxy", None, b"pix"),
        ("299 Fine", None, b"pix"),
        ("404 Not Found", ErrorKind.HTTP_4XX, b""),
    ],
)
def test_a_file_that_is_needed_in_part_is_cut_there_and_counts_as_complete(
    make_fetcher: MakeFetcher, wire: Wire, status: str, kind: ErrorKind | None, body: bytes
) -> None:
    """As a robots.txt is: without it, a long one would be taken for unreadable."""
    fetcher = make_fetcher()
    fetcher.start(replace(get(1, "http://museum.org/robots.txt"), enough_bytes=3))
    fetcher.poll(0.0)
    wire.read()
    wire.answer(answer_of(b"pixels", status))
    result = ended(fetcher)
    assert (result.kind, result.body) == (kind, body)
