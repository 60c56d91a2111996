"""Where urllib3's connections really go: every address is judged after it is resolved and before it is connected to."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import DnsFailure
from ray_downloader.fetch.connector import HostRefusedError, UnknownNameError, _first_connected, connector_pools
from ray_downloader.fetch.destination import Destinations, RefusedUrlError
from tests.unit.fetch.connecting import Connecting

Connect = Callable[..., HTTPConnection]


class Noted:
    """What a watcher is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.waits: list[socket.socket] = []

    @contextmanager
    def setting_up(self) -> Iterator[None]:
        self.events.append("sets up")
        yield
        self.events.append("is set up")

    def resolved(self) -> None:
        self.events.append("resolved")

    def connected(self) -> None:
        self.events.append("connected")

    def waits_on(self, waiting: socket.socket) -> None:
        self.waits.append(waiting)


@pytest.fixture
def connect() -> Connect:
    """Connects to a host and port as the settings say."""

    def connected(host: str, port: int = 80, **network: object) -> HTTPConnection:
        destinations = Destinations(NetworkSettings.model_validate(network))
        pool = connector_pools(destinations, Noted())["http"]
        connection = pool.ConnectionCls(host, port=port, timeout=3.5)
        connection.connect()
        return connection

    return connected


def test_a_public_host_is_connected_to_at_the_address_it_resolved_to(connect: Connect, far_ends: Connecting) -> None:
    connection = connect("Museum.org", 8080)
    assert far_ends.asked == [("museum.org", 8080)]
    assert far_ends.connected_to == [("93.184.216.34", 8080)]
    assert connection.sock.gettimeout() == pytest.approx(3.5, abs=0.5)
    assert far_ends.no_delay == [1], "a request of one packet does not wait for an acknowledgement"
    connection.close()


def test_addresses_that_are_not_public_are_passed_over(connect: Connect, far_ends: Connecting) -> None:
    far_ends.names["museum.org"] = ["10.0.0.1", "93.184.216.34", "127.0.0.1"]
    connect("museum.org").close()
    assert far_ends.connected_to == [("93.184.216.34", 80)]


def test_a_host_with_no_public_address_is_refused_and_not_connected_to(connect: Connect, far_ends: Connecting) -> None:
    far_ends.names["museum.org"] = ["10.0.0.1", "127.0.0.1"]
    with pytest.raises(RefusedUrlError, match=r"museum\.org resolves to 10\.0\.0\.1, which is not public") as refusal:
        connect("museum.org")
    assert refusal.value.kind is ErrorKind.FORBIDDEN_ADDRESS
    assert far_ends.connected_to == []


def test_the_operator_may_allow_private_addresses_or_name_where_to_go(connect: Connect, far_ends: Connecting) -> None:
    far_ends.names["inside.org"] = ["10.0.0.1"]
    connect("inside.org", allow_private_addresses=True).close()
    connect("museum.org", connect_to={"*": "10.0.0.2:8080"}).close()
    assert far_ends.connected_to == [("10.0.0.1", 80), ("10.0.0.2", 8080)]
    assert far_ends.asked[-1] == ("10.0.0.2", 8080)


def test_a_literal_in_brackets_is_connected_to_as_an_address(connect: Connect, far_ends: Connecting) -> None:
    far_ends.names["2606:4700::1111"] = ["2606:4700::1111"]
    connect("[2606:4700::1111]").close()
    assert far_ends.asked == [("2606:4700::1111", 80)]
    assert far_ends.families == [socket.AF_INET6]


def test_the_next_address_is_tried_where_one_does_not_answer(connect: Connect, far_ends: Connecting) -> None:
    far_ends.names["museum.org"] = ["93.184.216.34", "93.184.216.35", "93.184.216.36"]
    far_ends.failures["93.184.216.34"] = ConnectionRefusedError("refused")
    connect("museum.org").close()
    assert far_ends.connected_to == [("93.184.216.34", 80), ("93.184.216.35", 80)]


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (OSError("no route"), NewConnectionError),
        (ConnectionRefusedError("refused"), HostRefusedError),
        (TimeoutError("slow"), ConnectTimeoutError),
    ],
)
def test_where_none_answers_the_last_failure_is_told_as_urllib3_does(
    connect: Connect, far_ends: Connecting, failure: OSError, raised: type[Exception]
) -> None:
    far_ends.names["museum.org"] = ["93.184.216.34", "93.184.216.35"]
    far_ends.failures.update({"93.184.216.34": OSError("first"), "93.184.216.35": failure})
    with pytest.raises(raised, match=r"connection to museum\.org:80") as caught:
        connect("museum.org")
    assert type(caught.value) is raised
    cause = caught.value.__cause__
    assert isinstance(cause, type(failure))
    assert cause.args == failure.args
    assert all(made.fileno() == -1 for made in far_ends.sockets), "none is left open"


def test_a_refusal_by_an_address_that_is_not_public_is_no_evidence_of_a_network(
    connect: Connect, far_ends: Connecting
) -> None:
    far_ends.failures["10.0.0.1"] = ConnectionRefusedError("refused")
    with pytest.raises(NewConnectionError, match=r"connection to inside\.org:80 failed: refused") as caught:
        connect("inside.org", allow_private_addresses=True)
    assert not isinstance(caught.value, HostRefusedError)


def test_a_kind_of_address_that_this_machine_does_not_know_is_passed_over(
    connect: Connect, far_ends: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_ends.names["museum.org"] = ["2606:2800:220:1::1", "93.184.216.34"]
    made = socket.socket

    def without_ipv6(family: int = -1, *rest: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return made(family, *rest)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    connect("museum.org").close()
    assert far_ends.connected_to == [("93.184.216.34", 80)]
    far_ends.names["museum.org"].pop()
    with pytest.raises(NewConnectionError, match="Address family not supported"):
        connect("museum.org")


@pytest.mark.parametrize("is_guarded", [True, False])
def test_a_name_without_an_address_is_a_failed_connection(
    connect: Connect, far_ends: Connecting, is_guarded: bool
) -> None:
    far_ends.names["museum.org"] = []
    with pytest.raises(NewConnectionError, match="the name has no address"):
        connect("museum.org", allow_private_addresses=not is_guarded)


@pytest.mark.parametrize("host", ["gone.org", "no..name"])
def test_a_name_that_does_not_exist_is_told_as_such(connect: Connect, far_ends: Connecting, host: str) -> None:
    with pytest.raises(UnknownNameError, match=host) as caught:
        connect(host)
    assert caught.value.failure is DnsFailure.NO_SUCH_NAME


def test_all_addresses_and_the_look_up_share_the_time(connect: Connect, far_ends: Connecting) -> None:
    far_ends.names["museum.org"] = ["93.184.216.34", "93.184.216.35"]
    far_ends.failures = {address: TimeoutError("slow") for address in far_ends.names["museum.org"]}
    with pytest.raises(ConnectTimeoutError):
        connect("museum.org")
    first, second = far_ends.timeouts
    assert 3.0 < second <= first <= 3.5


def test_an_address_whose_time_is_over_is_still_tried_for_a_moment(far_ends: Connecting) -> None:
    """A timeout of 0 would mean not to wait at all, and a negative one is an error."""
    addresses: list[Any] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]
    _first_connected(addresses, time.monotonic() - 5).close()
    assert far_ends.timeouts == [0.001]


def test_a_watcher_sees_the_set_up_and_the_socket_on_which_the_answer_is_waited_for(far_ends: Connecting) -> None:
    noted = Noted()
    pools = connector_pools(Destinations(NetworkSettings()), noted)
    connection = pools["http"].ConnectionCls("museum.org", port=80, timeout=5.0)
    connection.request("GET", "/a.jpg")
    assert noted.events == ["sets up", "resolved", "connected", "is set up"]
    far_ends.wire.peers[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert connection.getresponse().status == 200
    assert noted.waits == [connection.sock]
    connection.close()


def test_tls_has_pools_of_its_own_on_the_same_guard() -> None:
    pools = connector_pools(Destinations(NetworkSettings()), Noted())
    secure, plain = pools["https"].ConnectionCls, pools["http"].ConnectionCls
    assert issubclass(secure, HTTPSConnection)
    assert issubclass(secure, plain)
    assert not issubclass(plain, HTTPSConnection)
    assert (pools["http"].scheme, pools["https"].scheme) == ("http", "https")
