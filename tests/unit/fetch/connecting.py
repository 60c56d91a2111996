"""A resolver and a network of socket pairs for code that connects Python's own sockets."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.fetch.wire import NAMES, Wire


@dataclass(slots=True)
class Connecting:
    """What was looked up and connected to, and how that ends.

    Args:
        names: Addresses by name; one that is not here does not resolve.
        failures: What connecting to an address raises.
    """

    names: dict[str, list[str]] = field(default_factory=lambda: {name: [address] for name, address in NAMES.items()})
    failures: dict[str, OSError] = field(default_factory=dict)
    wire: Wire = field(default_factory=Wire)
    asked: list[tuple[str, int]] = field(default_factory=list)
    connected_to: list[tuple[str, int]] = field(default_factory=list)
    families: list[int] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)
    no_delay: list[int] = field(default_factory=list)
    _ends: dict[int, str] = field(default_factory=dict)

    def look_up(self, host: str, port: int, **_hints: object) -> list[Any]:
        host.encode("idna")  # as the real one does: an empty label is a UnicodeError
        self.asked.append((host, port))
        if host.replace(".", "").isdigit():
            self.names[host] = [host]
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in self.names[host]]
        return [(family, 1, 6, "", (at, port)) for family, at in zip(families, self.names[host], strict=True)]

    def connect(self, connecting: socket.socket, peer: tuple[str, int]) -> None:
        """Put one end of a pair in place of the socket, which keeps its descriptor."""
        self.sockets.append(connecting)
        self.families.append(connecting.family)
        self.timeouts.append(connecting.gettimeout() or 0.0)
        self.connected_to.append(peer)
        self.no_delay.append(connecting.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        if peer[0] in self.failures:
            raise self.failures[peer[0]]
        ours, theirs = socket.socketpair()
        with ours:
            os.dup2(ours.fileno(), connecting.fileno())
        connecting.settimeout(connecting.gettimeout())
        theirs.settimeout(5.0)
        self._ends[connecting.fileno()] = peer[0]
        self.wire.peers.append(theirs)

    def peer_name(self, connected: socket.socket) -> tuple[str, int]:
        return self._ends[connected.fileno()], 80

    def wait_for(self, count: int = 1) -> None:
        """Until that many connections were made by other threads."""
        until_s = time.monotonic() + 60
        while len(self.wire.peers) < count:
            assert time.monotonic() < until_s, "nobody connected"
            time.sleep(0.001)


def install(monkeypatch: pytest.MonkeyPatch) -> Connecting:
    """Put it in the place of the network."""
    far_ends = Connecting()
    monkeypatch.setattr(socket, "getaddrinfo", far_ends.look_up)
    monkeypatch.setattr(socket.socket, "connect", lambda *a: far_ends.connect(*a))  # noqa: PLW0108 (binds no instance)
    monkeypatch.setattr(socket.socket, "getpeername", lambda *a: far_ends.peer_name(*a))  # noqa: PLW0108 (as above)
    return far_ends
