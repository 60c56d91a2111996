"""The default fetcher: libcurl's multi interface, driven by its socket events in the caller's thread.

Connections stay open and are shared, and HTTP/2 is used with TLS servers that offer it. The library does not follow
redirects and decodes nothing. `socket_action` rather than `select`: measured equal for 16 transfers (30 us of CPU
each), but it does not iterate over quiet transfers and is not limited to 1,024 file descriptors.
"""

from __future__ import annotations

import math
import selectors
import time
from collections import defaultdict
from dataclasses import replace

import pycurl

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FETCHERS, FetchRequest, FetchResult, internal_failure
from ray_downloader.fetch.curl_errors import COULD_NOT_RESOLVE
from ray_downloader.fetch.curl_transfer import Transfer, result_of
from ray_downloader.fetch.destination import Destination
from ray_downloader.fetch.gate import RequestGate
from ray_downloader.fetch.names import NameInquiry, resolve_tcp
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.fetch.tls import ca_file

#: Connections kept, busy ones included (beyond it each is closed after use: 108 instead of 36 us of CPU per request).
#: Many systems allow a process 1,024 file descriptors.
KEPT_CONNECTIONS = 640
#: Lists name the same hosts for hours; a moved host shows as a failed connection, which looks it up again.
#: Failed look-ups would be kept for half of it, so libcurl is made to forget them.
DNS_CACHE_S = 3600
#: Largest piece that a callback receives; 62 kB images then need about two callbacks each.
BUFFER_BYTES = 128 * 1024

#: Names that one time slice looked up stay known to the next in the same process.
_NAMES = pycurl.CurlShare()
_NAMES.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_DNS)
#: Hosts and ports whose last look-up failed, so that `_NAMES` may hold the failure.
_DOUBTFUL: set[tuple[str, int]] = set()
_MOST_DOUBTFUL = 100_000
#: How often a poll checks for the results of inquiries about names.
_INQUIRY_POLL_S = 0.01


@FETCHERS.register("curl")
class CurlFetcher:
    """Fetches with libcurl.

    Args:
        network: Timeouts, limits, proxy, TLS, `connect_to`. Environment variables (`http_proxy`, ...) are not read.
        user_agent: Sent with each request.
        max_host_connections: Connections to one host and port; further requests wait inside libcurl. It is a safety net
            below the leases, which enforce the same bound; with `connect_to` or a proxy it is absent.
        room: Memory and scratch for bodies.
    """

    def __init__(
        self, network: NetworkSettings, user_agent: str, max_host_connections: int, room: BodyRoom | None = None
    ) -> None:
        self._network = network
        self._room = room or BodyRoom()
        self._options = _options(network, user_agent)
        self._gate = RequestGate(network)
        self._inquiry = NameInquiry(network.connect_timeout_s, time.monotonic, resolve_tcp)
        self._unclear: defaultdict[str, list[tuple[Destination, FetchResult]]] = defaultdict(list)
        self._idle: list[Transfer] = []
        self._under_way: dict[pycurl.Curl, Transfer] = {}
        self._ended: list[FetchResult] = []
        self._sent: list[tuple[int, float]] = []
        self._selector = selectors.DefaultSelector()
        self._timer_at_s: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        if network.connect_to is None and network.proxy is None:  # else libcurl counts per address it connects to
            self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, max_host_connections)
        self._multi.setopt(pycurl.M_MAXCONNECTS, KEPT_CONNECTIONS)
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)

    def start(self, request: FetchRequest) -> None:
        """Begin a GET."""
        admitted = self._gate.admit(request, time.monotonic())
        if isinstance(admitted, FetchResult):
            self._ended.append(admitted)
            return
        try:
            transfer = self._transfer_to(admitted)
            verify_tls = self._network.verify_tls if request.verify_tls is None else request.verify_tls
            transfer.begin(request, admitted, verify_tls)
            self._multi.add_handle(transfer.easy)
        except Exception as error:
            self._ended.append(internal_failure(request.token, error))
            return
        self._under_way[transfer.easy] = transfer
        # On a kept connection it goes out now, not at the next poll.
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _transfer_to(self, destination: Destination) -> Transfer:
        if destination.endpoint in _DOUBTFUL:
            transfer = self._new_transfer()
            transfer.forget_name(*destination.endpoint)
            return transfer
        return self._idle.pop() if self._idle else self._new_transfer()

    def _new_transfer(self) -> Transfer:
        return Transfer(self._options, self._network, self._sent, self._room)

    def take_sent(self) -> list[tuple[int, float]]:
        """Requests that went out, with the time."""
        sent = self._sent[:]
        self._sent.clear()
        return sent

    def poll(self, timeout_s: float) -> list[FetchResult]:
        """Move bytes for at most `timeout_s` and return what has ended."""
        until_s = time.monotonic() + timeout_s
        for transfer in self._under_way.values():
            if transfer.is_paused:
                transfer.go_on()
        self._collect()  # a quick server may have answered already when a request has just been started
        while True:
            self._move(0.0 if self._ended else until_s - time.monotonic())
            self._collect()
            if self._inquiry:
                self._take_inquiries()
            if self._ended or time.monotonic() >= until_s:
                ended, self._ended = self._ended, []
                return ended

    def close(self) -> None:
        """Drop all connections; libcurl first waits for running DNS look-ups, which take seconds at worst."""
        for transfer in self._under_way.values():
            transfer.drop_body()
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
        if self._inquiry:
            patience_s = min(patience_s, _INQUIRY_POLL_S)
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
        """Called by libcurl with the events of a socket that it waits for."""
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
        try:
            result = result_of(transfer, code, message, self._network)
        except Exception as error:
            transfer.drop_body()
            result = internal_failure(transfer.request.token, error)
        self._multi.remove_handle(easy)
        destination = transfer.destination
        if not transfer.forgets_name:
            self._idle.append(transfer)
        elif transfer.has_address:
            _DOUBTFUL.discard(destination.endpoint)
        if result.kind is ErrorKind.DNS:
            self._doubt(destination)
        if code == COULD_NOT_RESOLVE:
            self._unclear[destination.endpoint[0]].append((destination, result))
            self._inquiry.start(destination.endpoint[0])
        else:
            self._ended.append(result)

    def _doubt(self, destination: Destination) -> None:
        if len(_DOUBTFUL) >= _MOST_DOUBTFUL:
            _DOUBTFUL.clear()
        _DOUBTFUL.add(destination.endpoint)

    def _take_inquiries(self) -> None:
        """Finish the results whose names have been found out about."""
        now_s = time.monotonic()
        for host, failure in self._inquiry.take():
            for destination, unclear in self._unclear.pop(host, ()):
                result = replace(unclear, dns_failure=failure)
                self._gate.note(destination, result, now_s)
                self._ended.append(result)


def _options(network: NetworkSettings, user_agent: str) -> dict[int, int | str | pycurl.CurlShare]:
    """The options that are the same for every request.

    Not `PIPEWAIT`: with it, requests to an HTTP/1.1 server waited until the first *answer* was complete (libcurl 8.23).
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
        pycurl.SHARE: _NAMES,
        pycurl.DNS_CACHE_TIMEOUT: DNS_CACHE_S,
        pycurl.BUFFERSIZE: BUFFER_BYTES,
        pycurl.PROXY: network.proxy or "",  # "" also disables the environment's proxy
        pycurl.CAINFO: ca_file(network),
    }
