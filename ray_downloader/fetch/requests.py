"""A fetcher on `requests` and some threads, for sites where libcurl is unwanted.

Same contract as `curl.py`, at many times its CPU per request. Only the adapter of `requests` is used: no redirects,
retries, cookies or environment. As a thread can be stuck in a socket for a long time, `poll` watches the time limits
and shuts the sockets of overdue requests.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_match_hostname import CertificateError

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.answer import (
    ERROR_PAGE_BYTES,
    IDENTITY,
    SAID_LENGTH,
    declared_size_bytes,
    kind_of_status,
    merged_headers,
    names_gzip,
    redirect_target,
    said_of,
    sent_secrets,
)
from ray_downloader.fetch.base import (
    FETCHERS,
    FetchRequest,
    FetchResult,
    NewConnection,
    internal_failure,
    lack_behind,
)
from ray_downloader.fetch.body import Body, Room, Watch, read_body, speed_limit_of
from ray_downloader.fetch.connector import ConnectionWatcher, HostRefusedError, UnknownNameError, connector_pools
from ray_downloader.fetch.destination import Destination, Destinations, RefusedUrlError
from ray_downloader.fetch.gate import RequestGate
from ray_downloader.fetch.receiver import BodyRoom, Receiver
from ray_downloader.fetch.tls import ca_file, certificate_verdict
from ray_downloader.spill import BodyFile

THREADS = 32
#: Hosts whose connections are kept open.
POOLS = 256


class _SetUp(threading.local):
    """What the request of this thread has set up so far."""

    watch: Watch
    started_s = resolved_s = connected_s = ready_s = 0.0

    def begin(self, watch: Watch) -> None:
        self.watch = watch
        self.started_s, self.connected_s = time.monotonic(), 0.0

    @contextmanager
    def setting_up(self) -> Iterator[None]:
        self.resolved_s = time.monotonic()
        yield
        self.ready_s = time.monotonic()

    def resolved(self) -> None:
        self.resolved_s = time.monotonic()

    def connected(self) -> None:
        self.connected_s = time.monotonic()

    def waits_on(self, waiting: socket.socket) -> None:
        self.watch.socket = waiting

    def new_connection(self) -> NewConnection | None:
        """The times of the connection that this request set up, if any."""
        if not self.connected_s:
            return None
        return NewConnection(
            dns_s=self.resolved_s - self.started_s,
            connect_s=self.connected_s - self.resolved_s,
            setup_s=max(self.ready_s, self.connected_s) - self.started_s,
        )


class _Adapter(HTTPAdapter):
    """The adapter of `requests`, using our connector. A proxy is connected to as the operator named it."""

    def __init__(self, destinations: Destinations, max_host_connections: int, watcher: ConnectionWatcher) -> None:
        super().__init__(POOLS, max_host_connections, max_retries=0, pool_block=True)
        self.poolmanager.pool_classes_by_scheme = connector_pools(destinations, watcher)
        anywhere = Destinations(NetworkSettings(allow_private_addresses=True))
        self._proxy_pools = connector_pools(anywhere, watcher)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._proxy_pools
        return manager


@FETCHERS.register("requests")
class RequestsFetcher:
    """Fetches with `requests`, `THREADS` at a time; further requests wait their turn while their time limit runs.

    Args:
        network: Timeouts, limits, proxy, TLS, `connect_to` (which a proxy overrides).
        user_agent: Sent with each request.
        max_host_connections: Connections to one host and port.
        room: Memory and scratch for bodies.
    """

    def __init__(
        self, network: NetworkSettings, user_agent: str, max_host_connections: int, room: BodyRoom | None = None
    ) -> None:
        self._room = room or BodyRoom()
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user chose it in the settings
        self._network = network
        self._ca_file = ca_file(network)
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": IDENTITY}
        self._proxies = {"http": network.proxy, "https": network.proxy} if network.proxy else {}
        self._gate = RequestGate(network)
        self._set_up = _SetUp()
        self._adapter = _Adapter(self._gate.destinations, max_host_connections, self._set_up)
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
        """Requests that were started, with the time: urllib3 does not show when it sends."""
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
        """Drop all connections; waiting threads end at once, without a result."""
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
                    self._gate.note(destination, result, time.monotonic())
                results.append(result)
        return results

    def _next_look_s(self, until_s: float) -> float:
        """How long until a request has to be checked."""
        ends = [watch.ends_at_s for watch in list(self._under_way.values()) if watch.has_time_left()]
        return max(0.0, min([until_s, *ends]) - time.monotonic())

    def _wake_overdue(self) -> None:
        for watch in list(self._under_way.values()):
            if not watch.has_time_left():
                watch.wake()

    def _fetch(self, request: FetchRequest, destination: Destination) -> None:
        """The life of one request, in its thread; always ends with a result."""
        started_s = time.monotonic()
        watch = Watch(started_s + self._network.request_timeout_s)
        self._under_way[request.token] = watch
        self._set_up.begin(watch)
        try:
            response = self._send(request)
            result = self._received(request, response, watch, time.monotonic() - started_s)
        except Exception as error:
            result = _failed(request, error, watch)
        del self._under_way[request.token]
        result = replace(result, total_s=time.monotonic() - started_s, connection=self._set_up.new_connection())
        self._ended.put((destination, result))

    def _send(self, request: FetchRequest) -> requests.Response:
        prepared = requests.Request("GET", request.url, headers={**self._headers, **request.headers}).prepare()
        verify_tls = self._network.verify_tls if request.verify_tls is None else request.verify_tls
        timeouts = (self._network.connect_timeout_s, self._network.request_timeout_s)
        verify = self._ca_file if verify_tls else False
        return self._adapter.send(prepared, True, timeouts, verify, None, self._proxies)

    def _received(self, request: FetchRequest, response: requests.Response, watch: Watch, ttfb_s: float) -> FetchResult:
        status = response.status_code
        headers = merged_headers(response.raw.headers.iteritems())
        refusal = kind_of_status(status, headers)
        redirect_url = redirect_target(request.target, status, headers)
        remote_ip = watch.socket.getpeername()[0] if watch.socket else None
        speed = speed_limit_of(self._network, watch.socket)
        is_file = 200 <= status < 300
        declared_bytes = declared_size_bytes(headers)
        room = self._room_for_file(request, declared_bytes, headers) if is_file else Room(ERROR_PAGE_BYTES)
        body = read_body(response.raw, declared_bytes, room, watch, speed)
        result = FetchResult(
            token=request.token,
            kind=None,
            status=status,
            headers=headers,
            redirect_url=redirect_url,
            ttfb_s=ttfb_s,
            http_version={10: "1.0", 11: "1.1"}.get(response.raw.version),
            remote_ip=remote_ip,
        )
        if redirect_url is not None:
            return result
        if refusal is not None:  # it remains a refusal, whatever became of its error page
            page = body.content if isinstance(body.content, bytes) else b""
            secrets = sent_secrets(request.headers.values(), request.url, self._network.proxy or "")
            said = said_of(status, headers, page, secrets)
            return replace(result, kind=refusal, message=said, said=said)
        return _file(result, body)

    def _room_for_file(self, request: FetchRequest, declared_bytes: int | None, headers: Mapping[str, str]) -> Room:
        max_bytes, enough_bytes = self._network.max_bytes, request.enough_bytes
        if declared_bytes is not None and declared_bytes > max_bytes:  # it is refused before it comes
            return Room(max_bytes, enough_bytes)
        receiver = Receiver(
            self._room,
            declared_bytes,
            may_be_gzip=names_gzip(headers),
            max_unpacked_bytes=self._network.max_unpacked_bytes,
            enough_bytes=enough_bytes,
        )
        return Room(max_bytes, enough_bytes, receiver)


def _file(result: FetchResult, body: Body) -> FetchResult:
    """An answer that contains the file, as far as it came."""
    kind = body.kind or (None if len(body.content) else ErrorKind.EMPTY)
    message = "" if kind is None else body.message or f"HTTP status {result.status}"
    if isinstance(body.content, BodyFile):
        return replace(result, kind=kind, file=body.content, message=message)
    return replace(result, kind=kind, body=body.content, message=message, lack=body.lack)


def _failed(request: FetchRequest, error: Exception, watch: Watch) -> FetchResult:
    """A request that had no answer; an error that fits no kind is our own failure."""
    if not watch.has_time_left():
        return FetchResult(request.token, ErrorKind.TIMEOUT, message="the time limit was reached before the answer")
    causes = list(_causes(error))
    lack = next(filter(None, (lack_behind(one) for cause in causes for one in (cause, cause.__cause__))), None)
    if lack is not None:
        return FetchResult(request.token, ErrorKind.INTERNAL, message=str(lack), lack=lack)
    message = _message(causes[-1])
    for cause in causes:
        if isinstance(cause, UnknownNameError):
            return FetchResult(request.token, ErrorKind.DNS, message=message, dns_failure=cause.failure)
        if isinstance(cause, ssl.SSLCertVerificationError | CertificateError):
            verdict = certificate_verdict(getattr(cause, "verify_code", 0))
            return FetchResult(request.token, ErrorKind.TLS, message=message, tls=verdict)
    kind = _kind(causes)
    if kind is None:
        return internal_failure(request.token, error)
    is_refused = any(isinstance(cause, HostRefusedError) for cause in causes)
    is_refused &= not any(isinstance(cause, requests.exceptions.ProxyError) for cause in causes)
    return FetchResult(request.token, kind, message=message, is_refused=is_refused)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and those wrapped in it, from the outside in: `requests` wraps urllib3's, which wraps the real one."""
    seen: set[int] = set()
    cause: object = error
    while isinstance(cause, BaseException) and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        wrapped = [cause.__dict__.get("reason"), *cause.args]
        cause = next((inner for inner in wrapped if isinstance(inner, BaseException)), None)


def _message(cause: BaseException) -> str:
    text = "".join(char if char.isprintable() else " " for char in str(cause)).strip()
    if isinstance(cause, HTTPException) and not isinstance(cause, ConnectionError):
        return f"the answer cannot be read: {text[:SAID_LENGTH]}"
    return text or type(cause).__name__


def _kind(causes: Sequence[BaseException]) -> ErrorKind | None:
    refusal = next((cause for cause in causes if isinstance(cause, RefusedUrlError)), None)
    if refusal is not None:
        return refusal.kind
    return next((kind for types, kind in _KINDS for cause in causes if isinstance(cause, types)), None)


#: The first that fits the error or one of its causes is used: a ConnectionError of `requests` may contain any of them.
_KINDS: tuple[tuple[type[Exception], ErrorKind], ...] = (
    (requests.exceptions.SSLError, ErrorKind.TLS),
    (requests.exceptions.ProxyError, ErrorKind.CONNECT),
    (requests.exceptions.ConnectTimeout, ErrorKind.CONNECT),
    (requests.exceptions.ReadTimeout, ErrorKind.TIMEOUT),
    (requests.exceptions.InvalidURL, ErrorKind.BAD_URL),
    (requests.exceptions.InvalidSchema, ErrorKind.BAD_URL),
    (urllib3.exceptions.LocationValueError, ErrorKind.BAD_URL),
    (urllib3.exceptions.NewConnectionError, ErrorKind.CONNECT),
    (requests.exceptions.ConnectionError, ErrorKind.RESET),
    (urllib3.exceptions.HTTPError, ErrorKind.RESET),
)
