"""The limited origin as a process of its own: `python -m benchmarks.politeness.origin`.

A server's name is `<anything>.<behaviour>.<client>.example`; hosts that differ in the first label only share one
limit. A client that cannot send another Host header writes it as the first segment of the path. The process prints its
port, serves until its standard input closes, and answers `/__log__` with every request as [time, host, status].
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
import time

from PIL import Image

from benchmarks.politeness.behaviours import BEHAVIOURS, Behaviour, Reply

LOG_PATH = "/__log__"
_REASONS = {200: "OK", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests", 503: "Service Unavailable"}
_DRIPS = 8


def picture() -> bytes:
    """A small JPEG."""
    buffer = io.BytesIO()
    Image.effect_noise((96, 72), 60).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


class Origin:
    """All servers of the process, and the log of what they were asked."""

    def __init__(self) -> None:
        self._servers: dict[str, Behaviour] = {}
        self._log: list[tuple[float, str, int]] = []
        self._picture = picture()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._answer(head, writer)
                await writer.drain()
        writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ", 2)[1]
        if path == LOG_PATH:
            writer.write(_head(200, len(body := json.dumps(self._log).encode())) + body)
            return
        host = _host(head, path)
        if path.endswith("/robots.txt"):
            writer.write(_head(404, 0))
            return
        now_s = time.monotonic()
        reply = self._server(host).reply(now_s)
        self._log.append((now_s, host, reply.status))
        await asyncio.sleep(reply.wait_s)
        if not writer.is_closing():
            await self._write(reply, writer)

    def _server(self, host: str) -> Behaviour:
        name = host.partition(".")[2]
        if name not in self._servers:
            self._servers[name] = BEHAVIOURS[name.partition(".")[0]]()
        return self._servers[name]

    async def _write(self, reply: Reply, writer: asyncio.StreamWriter) -> None:
        body = self._picture if reply.status == 200 else b""
        writer.write(_head(reply.status, len(body), reply.retry_after_s))
        if not reply.drip_s:
            writer.write(body)
            return
        step = -(-len(body) // _DRIPS)
        for offset in range(0, len(body), step):
            await asyncio.sleep(reply.drip_s / _DRIPS)
            if writer.is_closing():
                return
            writer.write(body[offset : offset + step])


def _host(head: str, path: str) -> str:
    segment = path.split("/", 2)[1]
    if segment.endswith(".example"):
        return segment
    line = next(line for line in head.split("\r\n") if line.lower().startswith("host:"))
    return line[5:].strip().partition(":")[0].lower()


def _head(status: int, length: int, retry_after_s: float | None = None) -> bytes:
    wait = "" if retry_after_s is None else f"Retry-After: {retry_after_s:g}\r\n"
    lines = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n{wait}\r\n"
    )
    return lines.encode("latin-1")


async def main() -> None:
    """Serve until standard input closes."""
    server = await asyncio.start_server(Origin().serve, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
