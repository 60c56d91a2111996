"""Runs laws of others against the origin: one asyncio process, one task per client ("node") and server."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

import aiohttp

from benchmarks.politeness.laws import RETRIED, Law

#: urllib3 waits so long before it retries a 5xx without Retry-After (backoff_factor 0.1).
BACKOFF_S = 0.1


class Client:
    """One node's requests to one server, for ever: new images, and retries behind them."""

    def __init__(self, session: aiohttp.ClientSession, url: str, law: Law) -> None:
        self._session = session
        self._url = url
        self._law = law
        self._room = asyncio.Semaphore(law.concurrency)
        self._retries: deque[tuple[int, int]] = deque()

    async def run(self) -> None:
        """Send requests as the law says, until cancelled."""
        number = 0
        under_way: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references
        while True:
            await asyncio.sleep(self._law.delay_s)
            await self._room.acquire()
            if not self._retries:
                self._retries.append((number, 1))
                number += 1
            task = asyncio.create_task(self._fetch(*self._retries.popleft()))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    async def _fetch(self, number: int, attempt: int) -> None:
        try:
            started_s = time.monotonic()
            status = await self._status(number)
            self._law.on_answer(status, time.monotonic() - started_s)
        finally:
            self._room.release()
        if status in RETRIED and attempt < self._law.max_attempts:
            self._retries.append((number, attempt + 1))

    async def _status(self, number: int) -> int:
        """The answer, after what the HTTP library retries by itself."""
        for again in range(self._law.waits_in_place + 1):
            async with self._session.get(f"{self._url}/{number}.jpg") as answer:
                await answer.read()
                wait = answer.headers.get("Retry-After")
            if answer.status not in RETRIED or (answer.status == 429 and wait is None):
                break
            await asyncio.sleep(float(wait) if wait else BACKOFF_S * 2**again)
        return answer.status


async def run_laws(port: int, laws: Mapping[str, Callable[[], Law]], nodes: int, seconds: float) -> None:
    """Run each law against the server `host` it stands under, on so many nodes that know nothing of each other."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        clients = [Client(session, f"/n{node}.{host}", law()) for host, law in laws.items() for node in range(nodes)]
        with suppress(asyncio.TimeoutError):  # the built-in one only from Python 3.11 on
            await asyncio.wait_for(asyncio.gather(*(client.run() for client in clients)), seconds)
