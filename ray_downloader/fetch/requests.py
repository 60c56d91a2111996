"""A fetcher on `requests` and some threads, for sites where libcurl is unwanted.

Same contract as `curl.py`, at many times its CPU per request. Only the adapter of `requests` is used: no redirects,
retries, cookies or environment. As a thread can be stuck in a socket for long, `poll` watches the time limits and
shuts the sockets of overdue requests.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import requote_uri
from urllib3.exceptions import NameResolutionError, NewConnectionError

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.answer import ERROR_PAGE_BYTES, IDENTITY, declared_size_bytes, decoded, kind_of_status
from ray_downloader.fetch.base import FETCHERS, FetchRequest, FetchResult
from ray_downloader.fetch.body import Body, Watch, pace_of, read_body
from ray_downloader.fetch.destination import Destination, Destinations, RefusedUrlError
from ray_downloader.fetch.gate import RequestGate
from ray_downloader.fetch.pools import OnWait, guarded_pools
from ray_downloader.fetch.trust import ca_file

THREADS = 32
#: Hosts whose connections are kept.
POOLS = 256


class _Adapter(HTTPAdapter):
    """The adapter of `requests`, on guarded pools. A proxy is dialled as the operator named it."""

    def __init__(self, destinations: Destinations, max_host_connections: int, on_wait: OnWait) -> None:
        super().__init__(POOLS, max_host_connections, max_retries=0, pool_block=True)
        self.poolmanager.pool_classes_by_scheme = guarded_pools(destinations, on_wait)
        anywhere = Destinations(NetworkSettings(allow_private_addresses=True))
        self._proxy_pools = guarded_pools(anywhere, on_wait)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._proxy_pools
        return manager


@FETCHERS.register("requests")
class RequestsFetcher:
    """Fetches with `requests`, `THREADS` at a time; more wait their turn, and their time limit with them.

    Args:
        network: Timeouts, limits, proxy, TLS, `connect_to` (which a proxy overrides).
        user_agent: Sent with each request.
        max_host_connections: Connections to one host and port.
    """

    def __init__(self, network: NetworkSettings, user_agent: str, max_host_connections: int) -> None:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the settings said so, once is enough
        self._network = network
        self._ca_file = ca_file(network)
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": IDENTITY}
        self._proxies = {"http": network.proxy, "https": network.proxy} if network.proxy else {}
        self._gate = RequestGate(network)
        self._local = threading.local()
        self._adapter = _Adapter(self._gate.destinations, max_host_connections, self._waits_on)
        self._threads = ThreadPoolExecutor(THREADS, "fetch")
        self._under_way: dict[int, Watch] = {}
        self._ended: queue.SimpleQueue[tuple[Destination | None, FetchResult]] = queue.SimpleQueue()
        self._sent: list[tuple[int, float]] = []

    def start(self, request: FetchRequest) -> None:
        """Begin a GET."""
        admitted = self._gate.admit(request, time.monotonic())
        if isinstance(admitted, FetchResult):
            self._ended.put((None, admitted))
        else:
            self._sent.append((request.token, time.monotonic()))
            self._threads.submit(self._fetch, request, admitted)

    def take_sent(self) -> list[tuple[int, float]]:
        """Requests that were started, with the time: when urllib3 sends is not to be seen from here."""
        sent, self._sent = self._sent, []
        return sent

    def poll(self, timeout_s: float) -> list[FetchResult]:
        """Wait for at most `timeout_s` and return what has ended."""
        until_s = time.monotonic() + timeout_s
        results: list[FetchResult] = []
        while not results:
            results = self._take(self._next_look_s(until_s))
            self._wake_overdue()
            if time.monotonic() >= until_s:
                break
        return results

    def close(self) -> None:
        """Drop all connections; threads that wait end at once, without a result."""
        for watch in list(self._under_way.values()):
            watch.wake()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._adapter.close()

    def _take(self, patience_s: float) -> list[FetchResult]:
        results: list[FetchResult] = []
        with contextlib.suppress(queue.Empty):
            while True:
                destination, result = self._ended.get(timeout=0.0 if results else patience_s)
                if destination is not None:
                    self._gate.note(destination, result.kind, time.monotonic())
                results.append(result)
        return results

    def _next_look_s(self, until_s: float) -> float:
        """How long nothing has to be watched."""
        ends = [watch.ends_at_s for watch in list(self._under_way.values()) if watch.has_time_left()]
        return max(0.0, min([until_s, *ends]) - time.monotonic())

    def _wake_overdue(self) -> None:
        for watch in list(self._under_way.values()):
            if not watch.has_time_left():
                watch.wake()

    def _waits_on(self, waiting: socket.socket) -> None:
        self._local.watch.socket = waiting

    def _fetch(self, request: FetchRequest, destination: Destination) -> None:
        """The life of one request, in its thread; always ends with a result."""
        started_s = time.monotonic()
        watch = Watch(started_s + self._network.request_timeout_s)
        self._under_way[request.token] = self._local.watch = watch
        try:
            response = self._send(request)
            result = self._received(request, response, watch, time.monotonic() - started_s)
        except Exception as error:
            kind = _kind(error) if watch.has_time_left() else ErrorKind.TIMEOUT
            result = FetchResult(request.token, kind, message=str(error))
        del self._under_way[request.token]
        self._ended.put((destination, replace(result, total_s=time.monotonic() - started_s)))

    def _send(self, request: FetchRequest) -> requests.Response:
        prepared = requests.Request("GET", request.url, headers={**self._headers, **request.headers}).prepare()
        verify_tls = self._network.verify_tls if request.verify_tls is None else request.verify_tls
        timeouts = (self._network.connect_timeout_s, self._network.request_timeout_s)
        verify = self._ca_file if verify_tls else False
        return self._adapter.send(prepared, True, timeouts, verify, None, self._proxies)

    def _received(self, request: FetchRequest, response: requests.Response, watch: Watch, ttfb_s: float) -> FetchResult:
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        is_file = 200 <= status < 300
        redirect_url = _redirect_url(request.url, headers) if 300 <= status < 400 else None
        remote_ip = watch.socket.getpeername()[0] if watch.socket else None
        room_bytes = self._network.max_bytes if is_file else ERROR_PAGE_BYTES
        pace = pace_of(self._network, watch.socket)
        body = read_body(response.raw, declared_size_bytes(headers), room_bytes, watch, pace)
        content = decoded(body.content, headers, self._network.max_bytes) if is_file else b""
        kind = None if redirect_url else _kind_of_answer(status, body, content)
        return FetchResult(
            token=request.token,
            kind=kind,
            status=status,
            headers=headers,
            body=content,
            redirect_url=redirect_url,
            message="" if kind is None else body.message or f"HTTP status {status}",
            ttfb_s=ttfb_s,
            http_version={10: "1.0", 11: "1.1"}.get(response.raw.version),
            remote_ip=remote_ip,
        )


def _kind_of_answer(status: int, body: Body, content: bytes) -> ErrorKind | None:
    """The failure of an answer that is no redirect; a refusal stands, whatever became of its error page."""
    if not 200 <= status < 300:
        return kind_of_status(status)
    return body.kind or kind_of_status(status) or (None if content else ErrorKind.EMPTY)


def _redirect_url(url: str, headers: Mapping[str, str]) -> str | None:
    """The absolute target of a redirect; servers send it unescaped, too, and then in UTF-8."""
    location = headers.get("location")
    if not location:
        return None
    return requote_uri(urljoin(url, location.encode("latin-1").decode("utf-8", "replace")))


def _kind(error: Exception) -> ErrorKind:
    """Failures before the body as error kinds; the first that fits counts, what fits none is `internal`."""
    if isinstance(error, RefusedUrlError):
        return error.kind
    reason = getattr(error.args[0], "reason", None) if error.args else None  # inside a MaxRetryError
    if isinstance(reason, NameResolutionError):
        return ErrorKind.DNS
    if isinstance(reason, NewConnectionError):
        return ErrorKind.CONNECT
    return next((kind for types, kind in _KINDS if isinstance(error, types)), ErrorKind.INTERNAL)


#: Subclasses stand before their bases.
_KINDS: tuple[tuple[type[Exception], ErrorKind], ...] = (
    (requests.exceptions.SSLError, ErrorKind.TLS),
    (requests.exceptions.ProxyError, ErrorKind.CONNECT),
    (requests.exceptions.ConnectTimeout, ErrorKind.CONNECT),
    (requests.exceptions.ReadTimeout, ErrorKind.TIMEOUT),
    (requests.exceptions.ConnectionError, ErrorKind.RESET),
    (requests.exceptions.InvalidURL, ErrorKind.BAD_URL),
    (requests.exceptions.InvalidSchema, ErrorKind.BAD_URL),
)
