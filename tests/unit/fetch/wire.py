"""The far ends of connections, which a test reads and answers by hand."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ray_downloader.fetch import curl_transfer
from ray_downloader.fetch.base import FetchResult
from ray_downloader.fetch.curl import CurlFetcher

MakeFetcher = Callable[..., CurlFetcher]
AGENT = "ray_downloader/0 (+mailto:test@example.org)"
LentSocket = curl_transfer._LentSocket
#: What the resolver says; a name with an empty label never reaches one.
NAMES = {"museum.org": "93.184.216.34", "second.org": "93.184.216.35", "inside.org": "10.0.0.1"}


@dataclass(slots=True)
class Wire:
    """The far ends of the connections that were opened, in their order."""

    peers: list[socket.socket] = field(default_factory=list)
    options: list[dict[int, Any]] = field(default_factory=list)

    def lend(self, *_address: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.settimeout(5.0)
        self.peers.append(theirs)
        return LentSocket(ours.family, ours.type, ours.proto, ours.detach())

    def read(self, peer: int = -1) -> str:
        """The next request on a connection."""
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            piece = self.peers[peer].recv(65536)
            assert piece, f"the connection ended after {received!r}"
            received += piece
        return received.decode("latin-1")

    def answer(self, *parts: bytes, peer: int = -1) -> None:
        self.peers[peer].sendall(b"".join(parts))

    def is_silent(self, peer: int) -> bool:
        """Whether nothing more has been sent on a connection."""
        self.peers[peer].setblocking(False)
        try:
            return not self.peers[peer].recv(1)
        except BlockingIOError:
            return True
        finally:
            self.peers[peer].settimeout(5.0)


def answer_of(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A well-formed answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def ended(fetcher: CurlFetcher, patience_s: float = 60.0) -> FetchResult:
    """The one result that comes next."""
    (result,) = fetcher.poll(patience_s)
    return result
