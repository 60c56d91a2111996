"""One transfer of libcurl: an easy handle, the buffers of the request that it carries, and what came of it.

It makes the last checks before a byte goes out: that the address may be connected to, and that nothing is sent twice.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

import pycurl

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.addresses import is_public_address
from ray_downloader.fetch.answer import ERROR_PAGE_BYTES, IDENTITY, decoded, headers_of, kind_of_status
from ray_downloader.fetch.base import FetchRequest, FetchResult
from ray_downloader.fetch.curl_errors import COULD_NOT_CONNECT, KIND_OF_CODE, TIMED_OUT, Progress, kind_of_timeout
from ray_downloader.fetch.destination import Destination

_HTTP_VERSIONS = {1: "1.0", 2: "1.1", 3: "2", 4: "2", 5: "2", 30: "3", 31: "3"}


class _LentSocket(socket.socket):
    """A socket for libcurl: pycurl duplicates the descriptor, so ours closes as soon as nobody refers to it."""

    def __del__(self) -> None:
        self.close()


class Transfer:
    """An easy handle with the buffers of the request it carries; used again and again."""

    def __init__(
        self, options: Mapping[int, int | str | pycurl.CurlShare], max_bytes: int, sent: list[tuple[int, float]]
    ) -> None:
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


def result_of(transfer: Transfer, code: int, message: str, network: NetworkSettings) -> FetchResult:
    """How the request ended, of which libcurl says `code` (0: well) and `message`."""
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


def _kind(transfer: Transfer, code: int, status: int, network: NetworkSettings) -> ErrorKind | None:
    """The failure of a request that is no redirect."""
    if code == 0 or status >= 300:  # a refusal stands, whatever became of its error page
        return kind_of_status(status)
    if code == COULD_NOT_CONNECT and transfer.refused_address is not None:
        return ErrorKind.FORBIDDEN_ADDRESS
    if code == TIMED_OUT:
        return kind_of_timeout(_progress(transfer, status), network.request_timeout_s)
    return KIND_OF_CODE.get(code, ErrorKind.INTERNAL)


def _progress(transfer: Transfer, status: int) -> Progress:
    getinfo = transfer.easy.getinfo
    return Progress(
        is_resolved=not transfer.destination.is_resolved_here or getinfo(pycurl.NAMELOOKUP_TIME) > 0,
        is_connected=bool(getinfo(pycurl.PRIMARY_IP)),  # the other times are filled in even where it failed
        has_answer=status > 0,
        total_s=getinfo(pycurl.TOTAL_TIME),
    )


def _message(transfer: Transfer, kind: ErrorKind | None, status: int, message: str) -> str:
    if kind is None:
        return ""
    if kind is ErrorKind.FORBIDDEN_ADDRESS:
        return f"{transfer.destination.host} resolves to {transfer.refused_address}, which is not public"
    return message or f"HTTP status {status}"
