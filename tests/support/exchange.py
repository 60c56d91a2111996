"""One request that the origin received, and the ways it can be answered, rightly and wrongly."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.support.options import OriginOptions

_REASONS = {200: "OK", 204: "No Content", 301: "Moved Permanently", 302: "Found", 403: "Forbidden", 404: "Not Found"}


@dataclass(slots=True)
class Exchange:
    """A parsed request with the connection to answer on.

    Args:
        headers: Names in lower case.
        visits: How often this (host, target) was asked for, this time included.
        is_open: A further request may follow on this connection.
        status: What was answered, None where nothing was.
    """

    target: str
    headers: Mapping[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    options: OriginOptions
    visits: int = 1
    is_open: bool = True
    status: int | None = None
    path: str = field(init=False)
    query: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.target)
        self.path = parts.path
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}

    @property
    def host(self) -> str:
        """The Host header without its port, in lower case."""
        return self.headers.get("host", "").rsplit(":", 1)[0].lower()

    def number(self, name: str, default: float) -> float:
        """A number from the query."""
        return float(self.query.get(name, default))

    def start(self, status: int, headers: Mapping[str, str], *lines_after: str) -> None:
        """Write the status line, the headers, and further header lines."""
        self.status = status
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
        lines += [*(f"{name}: {value}" for name, value in headers.items()), *lines_after]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def answer(
        self,
        status: int = 200,
        body: bytes = b"",
        content_type: str = "image/jpeg",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Write a whole, well-formed answer."""
        framing = {"Content-Type": content_type, "Content-Length": str(len(body))}
        self.start(status, {**framing, **(headers or {})})
        self.writer.write(body)

    async def until_client_leaves(self) -> None:
        """Say nothing more until the client closes the connection."""
        while await self.reader.read(65536):
            pass
        self.is_open = False

    def leave(self) -> None:
        """Close the connection once everything written is out."""
        self.is_open = False

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        self.is_open = False
        raw: socket.socket | None = self.writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
