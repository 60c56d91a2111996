"""A loopback origin server as its own process: `python -m tests.support.origin '{"tls": true}'`.

Answers any path with any Host header, well or badly (`routes.py`), and remembers every request. It prints one JSON
line with its ports and CA file, and serves until its standard input closes, so it cannot outlive its parent.
`/__origin__/log` gives the log, `/__origin__/forget` clears it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import trustme

from tests.support.exchange import Exchange
from tests.support.log import Seen
from tests.support.options import OriginOptions
from tests.support.routes import route_of

CONTROL = "/__origin__/"


class Bucket:
    """Tokens of one host that has a limit."""

    def __init__(self, rate_rps: float, burst: int, now_s: float) -> None:
        self._rate_rps = rate_rps
        self._burst = burst
        self._tokens = float(burst)
        self._at_s = now_s

    def takes(self, now_s: float) -> bool:
        """Whether a request at `now_s` is within the limit; if so it is counted."""
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate_rps)
        self._at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Origin:
    """The state of the server: its log, visits and limits."""

    def __init__(self, options: OriginOptions) -> None:
        self._options = options
        self._seen: list[Seen] = []
        self._visits: Counter[tuple[str, str]] = Counter()
        self._in_flight: Counter[str] = Counter()
        self._buckets: dict[str, Bucket] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        client_left = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)
        with contextlib.suppress(*client_left, asyncio.CancelledError):  # cancelled when the server ends
            while (exchange := await self._next(reader, writer)) and await self._answered(exchange):
                pass
        writer.close()

    async def _next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        if method != "GET":
            return None
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        return Exchange(target, headers, reader, writer, self._options)

    async def _answered(self, exchange: Exchange) -> bool:
        """Answer one request; whether another may follow on its connection."""
        if exchange.path.startswith(CONTROL):
            self._control(exchange)
        else:
            await self._behave(exchange)
        if exchange.is_open:
            await exchange.writer.drain()
        return exchange.is_open

    async def _behave(self, exchange: Exchange) -> None:
        seen = self._record(exchange)
        try:
            if self._options.latency_s:
                await asyncio.sleep(self._options.latency_s)
            if not self._refused(exchange, seen.at_s):
                await route_of(exchange.path)(exchange)
        finally:
            seen.status = exchange.status
            self._in_flight[exchange.host] -= 1

    def _record(self, exchange: Exchange) -> Seen:
        host, headers = exchange.host, exchange.headers
        self._visits[host, exchange.target] += 1
        self._in_flight[host] += 1
        exchange.visits = self._visits[host, exchange.target]
        client_host, client_port = exchange.writer.get_extra_info("peername")[:2]
        seen = Seen(
            at_s=time.monotonic(),
            host=host,
            target=exchange.target,
            status=None,
            user_agent=headers.get("user-agent", ""),
            accept_encoding=headers.get("accept-encoding", ""),
            client_port=client_port,
            client_host=client_host,
            in_flight=self._in_flight[host],
            headers=headers,
            tls=exchange.writer.get_extra_info("sslcontext") is not None,
        )
        self._seen.append(seen)
        return seen

    def _refused(self, exchange: Exchange, now_s: float) -> bool:
        limit = self._options.limit_of(exchange.host)
        if limit is None:
            return False
        bucket = self._buckets.setdefault(exchange.host, Bucket(limit.rate_rps, limit.burst, now_s))
        if bucket.takes(now_s):
            return False
        wait = None if limit.retry_after_s is None else {"Retry-After": f"{limit.retry_after_s:g}"}
        exchange.answer(limit.status, b"too many requests", "text/plain", wait)
        return True

    def _control(self, exchange: Exchange) -> None:
        if exchange.path == CONTROL + "log":
            body = json.dumps([asdict(seen) for seen in self._seen]).encode()
            exchange.answer(200, body, "application/json")
        else:
            self._seen.clear()
            self._visits.clear()
            exchange.answer(200, b"{}", "application/json")


def tls_context(authority: trustme.CA) -> ssl.SSLContext:
    """A context that has a certificate of `authority` for whatever host name the client asks for."""
    contexts: dict[str, ssl.SSLContext] = {}

    def context_of(*names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        return context

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name and name not in contexts:
            contexts[name] = context_of(name)
        if name:
            connection.context = contexts[name]

    default = context_of("localhost", "127.0.0.1", "::1")
    default.sni_callback = choose
    return default


async def run(options: OriginOptions, folder: Path) -> None:
    """Serve until standard input closes."""
    origin = Origin(options)
    plain = await asyncio.start_server(origin.serve, options.listen_on, 0, backlog=1024)
    address = {"http_port": plain.sockets[0].getsockname()[1]}
    if options.tls:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        secure = await asyncio.start_server(
            origin.serve, options.listen_on, 0, backlog=1024, ssl=tls_context(authority)
        )
        address |= {"https_port": secure.sockets[0].getsockname()[1], "ca_bundle": str(folder / "ca.pem")}
    sys.stdout.write(json.dumps(address) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(run(OriginOptions.from_json(sys.argv[1] if len(sys.argv) > 1 else "{}"), Path(scratch)))
