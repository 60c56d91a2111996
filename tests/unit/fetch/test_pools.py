"""Where urllib3's connections really go: every address is judged after it is resolved and before it is connected to."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.destination import Destinations, RefusedUrlError
from ray_downloader.fetch.pools import guarded_pools
from tests.unit.fetch.dialling import Dialling

Connect = Callable[..., HTTPConnection]


@pytest.fixture
def connect() -> Connect:
    """Connects to a host and port as the settings say."""

    def connected(host: str, port: int = 80, **network: object) -> HTTPConnection:
        destinations = Destinations(NetworkSettings.model_validate(network))
        pool = guarded_pools(destinations, lambda _socket: None)["http"]
        connection = pool.ConnectionCls(host, port=port, timeout=3.5)
        connection.connect()
        return connection

    return connected


def test_a_public_host_is_connected_to_at_the_address_it_resolved_to(connect: Connect, dialling: Dialling) -> None:
    connection = connect("Museum.org", 8080)
    assert dialling.asked == [("museum.org", 8080)]
    assert dialling.dialled == [("93.184.216.34", 8080)]
    assert connection.sock.gettimeout() == 3.5
    assert dialling.no_delay == [1], "a request of one packet does not wait for an acknowledgement"
    connection.close()


def test_addresses_that_are_not_public_are_passed_over(connect: Connect, dialling: Dialling) -> None:
    dialling.names["museum.org"] = ["10.0.0.1", "93.184.216.34", "127.0.0.1"]
    connect("museum.org").close()
    assert dialling.dialled == [("93.184.216.34", 80)]


def test_a_host_with_no_public_address_is_refused_and_not_dialled(connect: Connect, dialling: Dialling) -> None:
    dialling.names["museum.org"] = ["10.0.0.1", "127.0.0.1"]
    with pytest.raises(RefusedUrlError, match=r"museum\.org resolves to 10\.0\.0\.1, which is not public") as refusal:
        connect("museum.org")
    assert refusal.value.kind is ErrorKind.FORBIDDEN_ADDRESS
    assert dialling.dialled == []


def test_the_operator_may_allow_private_addresses_or_name_where_to_go(connect: Connect, dialling: Dialling) -> None:
    dialling.names["inside.org"] = ["10.0.0.1"]
    connect("inside.org", allow_private_addresses=True).close()
    connect("museum.org", connect_to={"*": "10.0.0.2:8080"}).close()
    assert dialling.dialled == [("10.0.0.1", 80), ("10.0.0.2", 8080)]
    assert dialling.asked[-1] == ("10.0.0.2", 8080)


def test_a_literal_in_brackets_is_dialled_as_an_address(connect: Connect, dialling: Dialling) -> None:
    dialling.names["2606:4700::1111"] = ["2606:4700::1111"]
    connect("[2606:4700::1111]").close()
    assert dialling.asked == [("2606:4700::1111", 80)]
    assert dialling.families == [socket.AF_INET6]


def test_the_next_address_is_tried_where_one_does_not_answer(connect: Connect, dialling: Dialling) -> None:
    dialling.names["museum.org"] = ["93.184.216.34", "93.184.216.35", "93.184.216.36"]
    dialling.failures["93.184.216.34"] = ConnectionRefusedError("refused")
    connect("museum.org").close()
    assert dialling.dialled == [("93.184.216.34", 80), ("93.184.216.35", 80)]


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(ConnectionRefusedError("refused"), NewConnectionError), (TimeoutError("slow"), ConnectTimeoutError)],
)
def test_where_none_answers_the_last_failure_is_told_as_urllib3_does(
    connect: Connect, dialling: Dialling, failure: OSError, raised: type[Exception]
) -> None:
    dialling.names["museum.org"] = ["93.184.216.34", "93.184.216.35"]
    dialling.failures.update({"93.184.216.34": OSError("first"), "93.184.216.35": failure})
    with pytest.raises(raised, match=r"connection to museum\.org:80") as caught:
        connect("museum.org")
    assert caught.value.__cause__ is failure
    assert all(made.fileno() == -1 for made in dialling.sockets), "none is left open"


def test_a_name_without_an_address_is_a_failed_connection(connect: Connect, dialling: Dialling) -> None:
    dialling.names["museum.org"] = []
    with pytest.raises(NewConnectionError, match="the name has no address"):
        connect("museum.org", allow_private_addresses=True)


@pytest.mark.parametrize("host", ["gone.org", "no..name"])
def test_a_name_that_does_not_resolve_is_told_as_such(connect: Connect, dialling: Dialling, host: str) -> None:
    with pytest.raises(NameResolutionError, match=host):
        connect(host)


def test_who_waits_is_told_on_which_socket_before_the_answer(dialling: Dialling) -> None:
    waits: list[socket.socket] = []
    pools = guarded_pools(Destinations(NetworkSettings()), waits.append)
    connection = pools["http"].ConnectionCls("museum.org", port=80)
    connection.request("GET", "/a.jpg")
    assert waits == []
    dialling.wire.peers[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert connection.getresponse().status == 200
    assert waits == [connection.sock]
    connection.close()


def test_tls_has_pools_of_its_own_on_the_same_guard() -> None:
    pools = guarded_pools(Destinations(NetworkSettings()), lambda _socket: None)
    secure, plain = pools["https"].ConnectionCls, pools["http"].ConnectionCls
    assert issubclass(secure, HTTPSConnection)
    assert issubclass(secure, plain)
    assert not issubclass(plain, HTTPSConnection)
    assert (pools["http"].scheme, pools["https"].scheme) == ("http", "https")
