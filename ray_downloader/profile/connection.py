"""How a probe connects: `connect_to` and the private-address guard of `fetch/`, and what the set-up took and showed.

One `Dialler` belongs to one visit. It resolves, guards, connects and times every connection of that visit, remembers
why the last one failed, and can shut all sockets from another thread, which ends whatever waits on them.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.ssl_match_hostname import CertificateError

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.addresses import is_public_address
from ray_downloader.fetch.destination import Destination, Destinations
from ray_downloader.profile.estimate import Connection

#: What `getaddrinfo` answers with.
Address = tuple[int, int, int, str, tuple[Any, ...]]
Resolve = Callable[[str, int], Sequence[Address]]

#: OpenSSL's X509_V_ERR_* codes, as an operator would say them.
_TLS_VERDICTS = {
    10: "expired certificate",
    18: "self-signed certificate",
    19: "self-signed certificate in chain",
    20: "broken chain",
    21: "broken chain",
    62: "wrong host",
    64: "wrong host",
}


def resolve_tcp(host: str, port: int) -> Sequence[Address]:
    """Addresses of a host, as the system's resolver knows them."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Dialler:
    """Makes the connections of one visit.

    Args:
        network: Where connections lead and how long they may take.
        resolve: Looks names up; may block.
    """

    def __init__(self, network: NetworkSettings, resolve: Resolve = resolve_tcp) -> None:
        self.destinations = Destinations(network)
        self.connection = Connection()
        self.connections = 0
        self._resolve = resolve
        self._setup_s = 0.0
        self._failure: tuple[ErrorKind, str] | None = None
        self._handles: list[socket.socket] = []
        self._lock = threading.Lock()
        self.is_shut = False

    def take_setup_s(self) -> float:
        """Time spent on setting up connections since the last call."""
        setup_s, self._setup_s = self._setup_s, 0.0
        return setup_s

    def take_failure(self) -> tuple[ErrorKind, str] | None:
        """Why the last set-up failed, since the last call."""
        failure, self._failure = self._failure, None
        return failure

    def shut(self) -> None:
        """End every transfer of this visit, also one that another thread waits for, and allow no further one."""
        with self._lock:
            self.is_shut = True
            for handle in self._handles:
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
                handle.close()
            self._handles.clear()

    @contextmanager
    def setting_up(self, tls: str) -> Iterator[None]:
        """Time a set-up, TLS handshake included, and note how it ended; `tls` is the verdict if it goes well."""
        started_s = time.monotonic()
        try:
            yield
            self.connection = replace(self.connection, tls=tls)
        except (ssl.SSLError, CertificateError) as error:
            verdict = _tls_verdict(error)
            self.connection = replace(self.connection, tls=verdict)
            self._failure = (ErrorKind.TLS, f"{verdict}: {error}")
            raise
        finally:
            self._setup_s += time.monotonic() - started_s

    def dial(self, connection: HTTPConnection, host: str, port: int, timeout_s: float) -> socket.socket:
        """Connect to where `host` and `port` lead.

        Raises:
            NewConnectionError: It failed; `take_failure` says how.
        """
        destination = self.destinations.of_host(host.strip("[]"), port)
        deadline_s = time.monotonic() + timeout_s
        try:
            addresses = self._addresses(destination, timeout_s)
            return self._register(_connect_first(addresses, deadline_s))
        except _DialError as error:
            self._failure = (error.kind, str(error))
            raise NewConnectionError(connection, str(error)) from None

    def _addresses(self, destination: Destination, timeout_s: float) -> Sequence[Address]:
        host, port = destination.dial or (destination.host, destination.port)
        started_s = time.monotonic()
        addresses = _within(timeout_s, self._resolve, host, port)
        self.connection = replace(self.connection, dns_s=time.monotonic() - started_s)
        allowed = [one for one in addresses if not destination.is_guarded or is_public_address(str(one[4][0]))]
        if not allowed:
            raise _DialError(ErrorKind.FORBIDDEN_ADDRESS, f"{host} leads to an address off the public internet")
        return allowed

    def _register(self, connected: tuple[socket.socket, float]) -> socket.socket:
        link, connect_s = connected
        self.connections += 1
        self.connection = replace(self.connection, connect_s=connect_s, remote_ip=str(link.getpeername()[0]))
        with self._lock:
            if self.is_shut:
                link.close()
                raise _DialError(ErrorKind.TIMEOUT, "the visit's time is up")
            # TLS takes the socket object over; a duplicate of its descriptor still shuts the same connection.
            self._handles.append(link.dup())
        return link


def pool_classes(dialler: Dialler, tls_verdict: str) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's connection pools by scheme, with connections that the dialler makes."""

    class DialledHTTP(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return dialler.dial(self, self.host, self.port, _seconds(self.timeout))

        def connect(self) -> None:
            with dialler.setting_up("none"):
                super().connect()

    class DialledHTTPS(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return dialler.dial(self, self.host, self.port, _seconds(self.timeout))

        def connect(self) -> None:
            with dialler.setting_up(tls_verdict):
                super().connect()

    class HTTPPool(HTTPConnectionPool):
        ConnectionCls = DialledHTTP

    class HTTPSPool(HTTPSConnectionPool):
        ConnectionCls = DialledHTTPS

    return {"http": HTTPPool, "https": HTTPSPool}


class _DialError(Exception):
    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _connect_first(addresses: Sequence[Address], deadline_s: float) -> tuple[socket.socket, float]:
    """A connection to the first address that takes one, and the time that it took."""
    reason = "no address"
    for family, kind, protocol, _, address in addresses:
        link = socket.socket(family, kind, protocol)
        started_s = time.monotonic()
        try:
            link.settimeout(max(0.001, deadline_s - started_s))
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.connect(address)
            return link, time.monotonic() - started_s
        except OSError as error:
            link.close()
            reason = f"{address[0]}: {error.strerror or error}"
    raise _DialError(ErrorKind.CONNECT, reason)


def _within(timeout_s: float, resolve: Resolve, host: str, port: int) -> Sequence[Address]:
    """Look a name up, but wait no longer than the time-out: the system's resolver cannot be interrupted."""
    answers: queue.SimpleQueue[Sequence[Address] | OSError | UnicodeError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(resolve(host, port))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise _DialError(ErrorKind.DNS, f"{host}: no answer from the resolver within {timeout_s:g} s") from None
    if isinstance(answer, Exception):
        raise _DialError(ErrorKind.DNS, f"{host}: {answer}")
    return answer


def _seconds(timeout: object) -> float:
    """urllib3 also allows "no time-out" and "the default"; the session of a visit always sets one."""
    assert isinstance(timeout, int | float)
    return float(timeout)


def _tls_verdict(error: Exception) -> str:
    if isinstance(error, CertificateError):
        return "wrong host"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _TLS_VERDICTS.get(error.verify_code, error.verify_message)
    return "no handshake"
