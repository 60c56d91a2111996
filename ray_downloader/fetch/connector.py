"""The connector for Python's HTTP libraries: it looks names up, connects where `Destinations` says, and guards.

The address is checked after its name is resolved and before the connection is made, so a changing DNS answer cannot
slip past the guard. TLS still speaks to the host of the URL, wherever the connection goes. (libcurl connects by itself;
`curl_transfer.py` has the same guard at the same point.)
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.response import HTTPResponse

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.addresses import is_public_address
from ray_downloader.fetch.base import DnsFailure
from ray_downloader.fetch.destination import Destination, Destinations, RefusedUrlError
from ray_downloader.fetch.names import Address, NameLookupError, look_up


class UnknownNameError(NewConnectionError):
    """The host's name has no address; `failure` says whether that is certain."""

    def __init__(self, connection: HTTPConnection, failure: DnsFailure, message: str) -> None:
        super().__init__(connection, message)
        self.failure = failure


class ConnectionWatcher(Protocol):
    """Sees the connections of one fetcher; called in the thread of the request."""

    def setting_up(self) -> AbstractContextManager[None]:
        """Around the set-up of a connection, its TLS handshake included."""

    def resolved(self) -> None:
        """The name has been looked up."""

    def connected(self) -> None:
        """TCP is connected."""

    def waits_on(self, waiting: socket.socket) -> None:
        """The request has been sent on this socket, and its answer is awaited."""


def connector_pools(destinations: Destinations, watcher: ConnectionWatcher) -> dict[str, type[HTTPConnectionPool]]:
    """Pool classes by scheme, for `PoolManager.pool_classes_by_scheme`.

    Args:
        destinations: Where each host's connections go.
        watcher: Observes each connection.
    """

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, destinations, watcher)

        def connect(self) -> None:
            with watcher.setting_up():
                super().connect()

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
            watcher.waits_on(self.sock)
            return super().getresponse()

    class Secure(Plain, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _PublicRefusalError(ConnectionRefusedError):
    """The host that refused has a public address."""


class HostRefusedError(NewConnectionError):
    """A public host refused the connection, so the network reaches it."""


def _connect(connection: HTTPConnection, destinations: Destinations, watcher: ConnectionWatcher) -> socket.socket:
    """A connected socket; failures are raised as urllib3 itself would."""
    destination = destinations.of_host(connection.host.strip("[]").lower(), connection.port)
    host, port = destination.endpoint
    timeout_s = connection.timeout
    assert isinstance(timeout_s, int | float)  # urllib3 also allows "none" and "the default"; the fetcher sets one
    until_s = time.monotonic() + timeout_s
    try:
        addresses = look_up(host, port, timeout_s)
    except NameLookupError as error:
        raise UnknownNameError(connection, error.failure, str(error)) from error
    watcher.resolved()
    try:
        connected = _first_connected(_allowed(destination, addresses), until_s)
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, f"connection to {host}:{port} timed out") from error
    except OSError as error:
        failure = HostRefusedError if isinstance(error, _PublicRefusalError) else NewConnectionError
        raise failure(connection, f"connection to {host}:{port} failed: {error}") from error
    watcher.connected()
    return connected


def _allowed(destination: Destination, addresses: Sequence[Address]) -> Sequence[Address]:
    """Those of the resolved addresses that may be connected to; at least one."""
    if not (destination.is_guarded and addresses):
        return addresses
    allowed = [address for address in addresses if is_public_address(address[4][0])]
    if not allowed:
        message = f"{destination.host} resolves to {addresses[0][4][0]}, which is not public"
        raise RefusedUrlError(ErrorKind.FORBIDDEN_ADDRESS, message)
    return allowed


def _first_connected(addresses: Sequence[Address], until_s: float) -> socket.socket:
    """A socket connected to the first of the addresses that answers; they share the time."""
    failure: OSError | None = None
    for family, kind, protocol, _, peer in addresses:
        try:
            connecting = socket.socket(family, kind, protocol)
        except OSError as error:  # no IPv6 on this machine
            failure = error
            continue
        try:
            connecting.settimeout(max(0.001, until_s - time.monotonic()))
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connecting.connect(peer)
        except OSError as error:
            connecting.close()
            is_refused = isinstance(error, ConnectionRefusedError) and is_public_address(peer[0])
            failure = _PublicRefusalError(*error.args) if is_refused else error
        else:
            return connecting
    raise failure or OSError("the name has no address")
