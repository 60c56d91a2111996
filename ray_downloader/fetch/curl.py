"""The default fetcher: libcurl's multi interface, driven by its socket events in the caller's thread.

Connections stay open and are shared, and TLS servers are spoken to in HTTP/2 where they offer it. The library follows
no redirect and decodes nothing. `socket_action` rather than `select`: measured equal for 16 transfers (30 us of CPU
each), but it does not walk through quiet transfers and knows no limit of 1,024 file descriptors.
"""

from __future__ import annotations

import math
import selectors
import socket
import time
from collections.abc import Mapping

import pycurl

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.addresses import is_public_address
from ray_downloader.fetch.admission import Admission
from ray_downloader.fetch.answer import ERROR_PAGE_BYTES, IDENTITY, decoded, headers_of, kind_of_status
from ray_downloader.fetch.base import FETCHERS, FetchRequest, FetchResult
from ray_downloader.fetch.curl_errors import COULD_NOT_CONNECT, KIND_OF_CODE, TIMED_OUT, Progress, kind_of_timeout
from ray_downloader.fetch.destination import Destination
from ray_downloader.fetch.trust import ca_file
from ray_downloader.settings import NetworkSettings

#: Connections kept, busy ones included (beyond it each is closed after use: 108 instead of 36 us of CPU a request).
#: Many systems give a process 1,024 file descriptors.
KEPT_CONNECTIONS = 640
#: Lists name the same hosts for hours; a moved host shows as a failed connection, which looks it up again.
DNS_CACHE_S = 3600
#: Largest piece that a callback gets; 62 kB images then need about two callbacks each.
BUFFER_BYTES = 128 * 1024

_HTTP_VERSIONS = {1: "1.0", 2: "1.1", 3: "2", 4: "2", 5: "2", 30: "3", 31: "3"}


class _LentSocket(socket.socket):
    """A socket for libcurl: pycurl duplicates the descriptor, so ours closes as soon as nobody refers to it."""

    def __del__(self) -> None:
        self.close()


class _Transfer:
    """An easy handle with the buffers of the request it carries; used again and again."""

    def __init__(self, options: Mapping[int, int | str], max_bytes: int, sent: list[tuple[int, float]]) -> None:
        self._max_bytes = max_bytes
        self._sent = sent
        self._connect_to = ""
        self._headers: list[str] = []
        self.easy = pycurl.Curl()
        for option, value in options.items():
            self.easy.setopt(option, value)
        self.easy.setopt(pycurl.WRITEFUNCTION, self._write)
        self.easy.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.easy.setopt(pycurl.PREREQFUNCTION, self._before_sending)

    def begin(self, request: FetchRequest, destination: Destination, verify_tls: bool) -> None:
        """Make the handle ready for `request`."""
        self.request, self.destination = request, destination
        self.chunks: list[bytes] = []
        self.header_lines: list[bytes] = []
        self.room_bytes: int | None = None
        self.refused_address: str | None = None
        self.is_sent = False
        easy = self.easy
        easy.setopt(pycurl.URL, request.url)
        easy.setopt(pycurl.HEADERFUNCTION, self.header_lines.append)
        easy.setopt(pycurl.SSL_VERIFYPEER, int(verify_tls))
        easy.setopt(pycurl.SSL_VERIFYHOST, 2 if verify_tls else 0)
        self._set_lists(
            destination.curl_connect_to(),
            [f"Accept-Encoding: {IDENTITY}", *(f"{name}: {value}" for name, value in request.headers.items())],
        )

    def _set_lists(self, connect_to: str, headers: list[str]) -> None:
        """Set what pycurl copies line by line, where it changed (which is seldom)."""
        if connect_to != self._connect_to:
            self._connect_to = connect_to
            self.easy.setopt(pycurl.CONNECT_TO, [connect_to])
        if headers != self._headers:
            self._headers = headers
            self.easy.setopt(pycurl.HTTPHEADER, headers)

    def answer_status(self) -> tuple[int, list[bytes]]:
        """Status and header lines of the last answer (a proxy and `100 Continue` put others before it)."""
        for index in range(len(self.header_lines) - 1, -1, -1):
            if self.header_lines[index].startswith(b"HTTP/"):
                return int(self.header_lines[index].split(None, 2)[1]), self.header_lines[index + 1 :]
        return 0, []

    def _write(self, chunk: bytes) -> int | None:
        if self.room_bytes is None:
            is_file = 200 <= self.answer_status()[0] < 300
            self.room_bytes = self._max_bytes if is_file else ERROR_PAGE_BYTES
        self.room_bytes -= len(chunk)
        if self.room_bytes < 0:
            return 0
        self.chunks.append(chunk)
        return None

    def _open_socket(self, _purpose: int, address: tuple[int, int, int, tuple[str, int]]) -> socket.socket | int:
        """Called with each resolved address before it is connected to, so a changing DNS answer cannot slip past."""
        family, kind, protocol, peer = address
        if self.destination.is_guarded and self.destination.is_resolved_here and not is_public_address(peer[0]):
            self.refused_address = peer[0]
            return int(pycurl.SOCKET_BAD)
        return _LentSocket(family, kind, protocol)

    def _before_sending(self, *_connection: object) -> int:
        """Forbid a second sending: libcurl does that where a kept connection ends without an answer, up to 5 times.

        The server may have counted the first one, and a permit is for one request.
        """
        if self.is_sent:
            return int(pycurl.PREREQFUNC_ABORT)
        self.is_sent = True
        self._sent.append((self.request.token, time.monotonic()))
        return int(pycurl.PREREQFUNC_OK)


@FETCHERS.register("curl")
class CurlFetcher:
    """Fetches with libcurl.

    Args:
        network: Timeouts, limits, proxy, TLS, `connect_to`. Environment variables (`http_proxy`, ...) are not read.
        user_agent: Sent with each request.
        max_host_connections: Connections to one host and port; more requests than that wait inside libcurl. A net
            below the leases, which bound the same: it is not there with `connect_to` or a proxy.
    """

    def __init__(self, network: NetworkSettings, user_agent: str, max_host_connections: int) -> None:
        self._network = network
        self._options = _options(network, user_agent)
        self._admission = Admission(network)
        self._idle: list[_Transfer] = []
        self._under_way: dict[pycurl.Curl, _Transfer] = {}
        self._ended: list[FetchResult] = []
        self._sent: list[tuple[int, float]] = []
        self._selector = selectors.DefaultSelector()
        self._timer_at_s: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        if network.connect_to is None and network.proxy is None:  # else libcurl counts by the address dialled
            self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, max_host_connections)
        self._multi.setopt(pycurl.M_MAXCONNECTS, KEPT_CONNECTIONS)
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)

    def start(self, request: FetchRequest) -> None:
        """Begin a GET."""
        admitted = self._admission.admit(request, time.monotonic())
        if isinstance(admitted, FetchResult):
            self._ended.append(admitted)
            return
        transfer = self._idle.pop() if self._idle else _Transfer(self._options, self._network.max_bytes, self._sent)
        verify_tls = self._network.verify_tls if request.verify_tls is None else request.verify_tls
        transfer.begin(request, admitted, verify_tls)
        self._under_way[transfer.easy] = transfer
        self._multi.add_handle(transfer.easy)
        self._multi.socket_action(
            pycurl.SOCKET_TIMEOUT, 0
        )  # on a kept connection it goes out now, not at the next poll

    def take_sent(self) -> list[tuple[int, float]]:
        """Requests that went out, with the time."""
        sent = self._sent[:]
        self._sent.clear()
        return sent

    def poll(self, timeout_s: float) -> list[FetchResult]:
        """Move bytes for at most `timeout_s` and return what has ended."""
        until_s = time.monotonic() + timeout_s
        while True:
            self._move(0.0 if self._ended else until_s - time.monotonic())
            self._collect()
            if self._ended or time.monotonic() >= until_s:
                ended, self._ended = self._ended, []
                return ended

    def close(self) -> None:
        """Drop all connections; libcurl first waits for DNS lookups under way, which take seconds at worst."""
        for transfer in self._under_way.values():
            self._multi.remove_handle(transfer.easy)
            transfer.easy.close()
        for transfer in self._idle:
            transfer.easy.close()
        self._under_way.clear()
        self._idle.clear()
        self._multi.close()
        self._selector.close()

    def _move(self, patience_s: float) -> None:
        """Wait for sockets or libcurl's timer, at most `patience_s`, and let libcurl act."""
        now_s = time.monotonic()
        if self._timer_at_s is not None:
            patience_s = min(patience_s, self._timer_at_s - now_s)
        for key, events in self._wait(max(0.0, patience_s)):
            self._multi.socket_action(key.fd, events)  # EVENT_READ and CSELECT_IN are both 1, the others 2
        if self._timer_at_s is not None and self._timer_at_s <= time.monotonic():
            self._timer_at_s = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _wait(self, patience_s: float) -> list[tuple[selectors.SelectorKey, int]]:
        """Sockets that are ready, after at most that long.

        `epoll` rounds up to whole milliseconds, so the rest is slept: requests were 0.5 to 0.7 ms late, now 0.1 ms.
        """
        until_s = time.monotonic() + patience_s
        ready = self._selector.select(math.floor(patience_s * 1000) / 1000)
        left_s = until_s - time.monotonic()
        if ready or left_s <= 0:
            return ready
        time.sleep(left_s)
        return self._selector.select(0)

    def _watch(self, what: int, descriptor: int, _multi: pycurl.CurlMulti, _data: object) -> None:
        """What libcurl tells: which events of a socket it waits for."""
        if what == pycurl.POLL_REMOVE:
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
        elif descriptor in self._selector.get_map():
            self._selector.modify(descriptor, what)  # POLL_IN is 1, POLL_OUT 2, both 3: as selectors count
        else:
            self._selector.register(descriptor, what)

    def _set_timer(self, delay_ms: int) -> None:
        self._timer_at_s = None if delay_ms < 0 else time.monotonic() + delay_ms / 1000

    def _collect(self) -> None:
        _, whole, failed = self._multi.info_read()
        for easy in whole:
            self._end(easy, 0, "")
        for easy, code, message in failed:
            self._end(easy, code, message)

    def _end(self, easy: pycurl.Curl, code: int, message: str) -> None:
        transfer = self._under_way.pop(easy)
        result = _result(transfer, code, message, self._network)
        self._admission.note(transfer.destination, result.kind, time.monotonic())
        self._ended.append(result)
        self._multi.remove_handle(easy)
        self._idle.append(transfer)


def _options(network: NetworkSettings, user_agent: str) -> dict[int, int | str]:
    """What is the same for every request.

    Not `PIPEWAIT`: with it, requests to a HTTP/1.1 server waited until the first *answer* was complete (libcurl 8.23).
    """
    return {
        pycurl.NOSIGNAL: 1,
        pycurl.FOLLOWLOCATION: 0,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
        pycurl.USERAGENT: user_agent,
        pycurl.CONNECTTIMEOUT_MS: int(network.connect_timeout_s * 1000),
        pycurl.TIMEOUT_MS: int(network.request_timeout_s * 1000),
        pycurl.LOW_SPEED_LIMIT: network.low_speed_bytes_per_s,
        pycurl.LOW_SPEED_TIME: network.low_speed_s,
        pycurl.MAXFILESIZE_LARGE: network.max_bytes,
        pycurl.DNS_CACHE_TIMEOUT: DNS_CACHE_S,
        pycurl.BUFFERSIZE: BUFFER_BYTES,
        pycurl.PROXY: network.proxy or "",  # "" also keeps the environment's proxy out
        pycurl.CAINFO: ca_file(network),
    }


def _result(transfer: _Transfer, code: int, message: str, network: NetworkSettings) -> FetchResult:
    easy = transfer.easy
    status, lines = transfer.answer_status()
    headers = headers_of(lines)
    redirect_url = easy.getinfo(pycurl.REDIRECT_URL) if 300 <= status < 400 else None
    kind = None if redirect_url else _kind(transfer, code, status, network)
    body = b"".join(transfer.chunks) if 200 <= status < 300 else b""
    if kind is None and redirect_url is None:
        body = decoded(body, headers, network.max_bytes)
        kind = None if body else ErrorKind.EMPTY
    return FetchResult(
        token=transfer.request.token,
        kind=kind,
        status=status or None,
        headers=headers,
        body=body,
        redirect_url=redirect_url,
        message=_message(transfer, kind, status, message),
        ttfb_s=easy.getinfo(pycurl.STARTTRANSFER_TIME) if status else None,
        total_s=easy.getinfo(pycurl.TOTAL_TIME),
        http_version=_HTTP_VERSIONS.get(easy.getinfo(pycurl.INFO_HTTP_VERSION)),
        remote_ip=easy.getinfo(pycurl.PRIMARY_IP) or None,
    )


def _kind(transfer: _Transfer, code: int, status: int, network: NetworkSettings) -> ErrorKind | None:
    """The failure of a request that is no redirect."""
    if code == 0 or status >= 300:  # a refusal stands, whatever became of its error page
        return kind_of_status(status)
    if code == COULD_NOT_CONNECT and transfer.refused_address is not None:
        return ErrorKind.FORBIDDEN_ADDRESS
    if code == TIMED_OUT:
        return kind_of_timeout(_progress(transfer, status), network.request_timeout_s)
    return KIND_OF_CODE.get(code, ErrorKind.INTERNAL)


def _progress(transfer: _Transfer, status: int) -> Progress:
    getinfo = transfer.easy.getinfo
    return Progress(
        is_resolved=not transfer.destination.is_resolved_here or getinfo(pycurl.NAMELOOKUP_TIME) > 0,
        is_connected=bool(getinfo(pycurl.PRIMARY_IP)),  # the other times are filled in even where it failed
        has_answer=status > 0,
        total_s=getinfo(pycurl.TOTAL_TIME),
    )


def _message(transfer: _Transfer, kind: ErrorKind | None, status: int, message: str) -> str:
    if kind is None:
        return ""
    if kind is ErrorKind.FORBIDDEN_ADDRESS:
        return f"{transfer.destination.host} resolves to {transfer.refused_address}, which is not public"
    return message or f"HTTP status {status}"
