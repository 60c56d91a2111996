"""The demo's origin servers: one process, one event loop, one loopback port per server.

`python -m ray_downloader.demo.origin` prints one line of JSON, which maps the canonical "host:port" of every server to
its actual "127.0.0.1:port", and serves until its standard input closes. So it never outlives the process that started
it, however that ends. HTTP is written by hand because half of what it sends is meant to be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from http import HTTPStatus

from ray_downloader.demo.answers import Answer, Answers
from ray_downloader.demo.pictures import PictureShelf
from ray_downloader.demo.scenario import SERVERS, DemoServer

_DRIP_BYTES = 20
_DRIP_INTERVAL_S = 0.5
_LONGEST_HEAD_BYTES = 16 * 1024


def main() -> None:
    """Serve until standard input closes."""
    shelf = PictureShelf.drawn({name for server in SERVERS for name in server.formats})
    asyncio.run(_serve_until_orphaned(Answers(shelf)))


async def _serve_until_orphaned(answers: Answers) -> None:
    listening = [(server, await _listen(answers, server)) for server in SERVERS]
    addresses = {
        f"{server.ascii_host}:{server.port}": f"127.0.0.1:{port.getsockname()[1]}" for server, port in listening
    }
    sys.stdout.write(json.dumps(addresses) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


async def _listen(answers: Answers, server: DemoServer) -> socket.socket:
    """A port that answers for the server; that of a dead one is only reserved, so that connections are refused."""
    port = socket.socket()
    port.bind(("127.0.0.1", 0))
    if not server.is_dead:
        await asyncio.start_server(
            lambda reader, writer: _converse(answers, reader, writer), sock=port, limit=_LONGEST_HEAD_BYTES
        )
    return port


async def _converse(answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests on one connection until either side closes it."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        keep_alive = True
        while keep_alive:
            head = await reader.readuntil(b"\r\n\r\n")
            host, target = _host_and_target(head.decode("latin-1"))
            answer = answers.decide(host, target, time.monotonic())
            await asyncio.sleep(answer.delay_s)
            keep_alive = await _send(writer, answer)
    writer.close()


def _host_and_target(head: str) -> tuple[str, str]:
    request_line, *fields = head.split("\r\n")
    hosts = [value.strip() for name, _, value in (line.partition(":") for line in fields) if name.lower() == "host"]
    return (hosts or [""])[0], request_line.split(" ")[1]


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> bool:
    """Send one answer.

    Returns:
        Whether the connection can be used again.
    """
    if answer.hang_up:
        return False
    fields = {"Server": "ray-downloader-demo", "Content-Length": str(len(answer.body)), **answer.headers}
    head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
    writer.write((head + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n").encode())
    if answer.drip:
        await _drip(writer, answer.body)
        return False
    writer.write(answer.body)
    await writer.drain()
    return True


async def _drip(writer: asyncio.StreamWriter, body: bytes) -> None:
    for start in range(0, len(body), _DRIP_BYTES):
        writer.write(body[start : start + _DRIP_BYTES])
        await writer.drain()
        await asyncio.sleep(_DRIP_INTERVAL_S)


if __name__ == "__main__":
    main()
