"""urllib3 connection pools that dial where `Destinations` says, and only public addresses.

The address is judged after its name is resolved and before it is connected to, so a changing DNS answer cannot slip
past the guard. TLS still speaks to the host of the URL, wherever the connection goes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.response import HTTPResponse

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.addresses import is_public_address
from ray_downloader.fetch.destination import Destination, Destinations, RefusedUrlError

OnWait = Callable[[socket.socket], None]
_Peer = tuple[socket.AddressFamily, Any]


def guarded_pools(destinations: Destinations, on_wait: OnWait) -> dict[str, type[HTTPConnectionPool]]:
    """Pool classes by scheme, for `PoolManager.pool_classes_by_scheme`.

    Args:
        destinations: Where each host's connections go.
        on_wait: Called in the waiting thread with the socket on which it is about to wait for an answer.
    """

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _dialled(self, destinations)

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
            on_wait(self.sock)
            return super().getresponse()

    class Secure(Plain, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _dialled(connection: HTTPConnection, destinations: Destinations) -> socket.socket:
    """A connected socket; failures are raised as urllib3 itself would."""
    destination = destinations.of_host(connection.host.strip("[]").lower(), connection.port)
    host, port = destination.dial or (destination.host, destination.port)
    try:
        peers = [(found[0], found[4]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (socket.gaierror, UnicodeError) as error:
        raise NameResolutionError(host, connection, socket.gaierror(str(error))) from error
    try:
        return _connected(connection, _allowed(destination, peers))
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, f"connection to {host}:{port} timed out") from error
    except OSError as error:
        raise NewConnectionError(connection, f"connection to {host}:{port} failed: {error}") from error


def _allowed(destination: Destination, peers: Sequence[_Peer]) -> Sequence[_Peer]:
    """Those of the resolved addresses that may be connected to; at least one."""
    if not destination.is_guarded:
        return peers
    allowed = [(family, peer) for family, peer in peers if is_public_address(peer[0])]
    if not allowed:
        message = f"{destination.host} resolves to {peers[0][1][0]}, which is not public"
        raise RefusedUrlError(ErrorKind.FORBIDDEN_ADDRESS, message)
    return allowed


def _connected(connection: HTTPConnection, peers: Sequence[_Peer]) -> socket.socket:
    """A socket connected to the first of `peers` that answers."""
    failure: OSError | None = None
    for family, peer in peers:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(connection.timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(peer)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError("the name has no address")
