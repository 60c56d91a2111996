"""One transfer of libcurl: an easy handle, the buffers of the request that it carries, and its result.

It makes the last checks before a byte is sent: that the address is allowed, and that nothing is sent twice.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Mapping

import pycurl

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.fetch.addresses import is_public_address
from ray_downloader.fetch.answer import (
    ERROR_PAGE_BYTES,
    IDENTITY,
    declared_size_bytes,
    kind_of_status,
    names_gzip,
    read_head,
    redirect_target,
    said_of,
    sent_secrets,
)
from ray_downloader.fetch.base import DnsFailure, FetchRequest, FetchResult, NewConnection, lack_behind
from ray_downloader.fetch.curl_errors import (
    CERTIFICATE_REFUSED,
    COULD_NOT_CONNECT,
    KIND_OF_CODE,
    OUT_OF_MEMORY,
    SENT_TWICE,
    TIMED_OUT,
    WRITE_REFUSED,
    Progress,
    kind_of_timeout,
)
from ray_downloader.fetch.destination import Destination
from ray_downloader.fetch.receiver import BodyRoom, Problem, Receiver
from ray_downloader.fetch.tls import certificate_verdict
from ray_downloader.spill import Body, BodyFile

_HTTP_VERSIONS = {1: "1.0", 2: "1.1", 3: "2", 4: "2", 5: "2", 30: "3", 31: "3"}
_PLAIN_HEADERS = [b"Accept-Encoding: " + IDENTITY.encode()]

Options = Mapping[int, "int | str | pycurl.CurlShare"]


class _LentSocket(socket.socket):
    """A socket for libcurl: pycurl duplicates the descriptor, so ours closes once nothing refers to it."""

    def __del__(self) -> None:
        self.close()


class Transfer:
    """An easy handle with the buffers of the request it carries; it is reused."""

    def __init__(
        self, options: Options, network: NetworkSettings, sent: list[tuple[int, float]], room: BodyRoom
    ) -> None:
        self._network = network
        self._room = room
        self._sent = sent
        self._connect_to = ""
        self._headers: list[bytes] = []
        self.forgets_name = False
        self.easy = pycurl.Curl()
        for option, value in options.items():
            self.easy.setopt(option, value)
        self.easy.setopt(pycurl.WRITEFUNCTION, self._write)
        self.easy.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.easy.setopt(pycurl.PREREQFUNCTION, self._before_sending)

    def begin(self, request: FetchRequest, destination: Destination, verify_tls: bool) -> None:
        """Make the handle ready for `request`."""
        self.request, self.destination = request, destination
        self.receiver: Receiver | None = None
        self.is_paused = False
        self.header_lines: list[bytes] = []
        self.head: tuple[int, dict[str, str]] | None = None
        self.room_bytes = 0
        self.refused_address: str | None = None
        self.is_public = False
        self.socket_error = ""
        self.lack: MachineError | None = None
        self.has_address = self.has_enough = self.is_sent = False
        easy = self.easy
        easy.setopt(pycurl.URL, request.url)
        easy.setopt(pycurl.HEADERFUNCTION, self.header_lines.append)
        easy.setopt(pycurl.SSL_VERIFYPEER, int(verify_tls))
        easy.setopt(pycurl.SSL_VERIFYHOST, 2 if verify_tls else 0)
        self._set_lists(destination.curl_connect_to(), _header_lines(request.headers))

    def forget_name(self, host: str, port: int) -> None:
        """Have the name looked up again, whatever libcurl remembers about it; the handle is then for one use only."""
        self.forgets_name = True
        self.easy.setopt(pycurl.RESOLVE, [f"-{host}:{port}"])

    def _set_lists(self, connect_to: str, headers: list[bytes]) -> None:
        """Set the options that pycurl copies line by line, but only if they changed (which is rare)."""
        if connect_to != self._connect_to:
            self.easy.setopt(pycurl.CONNECT_TO, [connect_to])
            self._connect_to = connect_to
        if headers != self._headers:
            self._headers = []
            self.easy.setopt(pycurl.HTTPHEADER, headers)
            self._headers = headers

    def answer_head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer, parsed once."""
        if self.head is None:
            self.head = read_head(self.header_lines)
        return self.head

    def _write(self, chunk: bytes) -> int | None:
        receiver = self.receiver or self._begin_body()
        if not receiver.may_continue:
            self.is_paused = True
            return int(pycurl.WRITEFUNC_PAUSE)  # it is delivered again by `go_on`
        self.room_bytes -= len(chunk)
        if self.room_bytes < 0:
            return 0
        return None if receiver.write(chunk) else 0

    def _begin_body(self) -> Receiver:
        status, headers = self.answer_head()
        is_file = 200 <= status < 300
        self.room_bytes = self._network.max_bytes if is_file else ERROR_PAGE_BYTES
        self.receiver = Receiver(
            self._room,
            declared_size_bytes(headers) if is_file else None,
            may_be_gzip=is_file and names_gzip(headers),
            max_unpacked_bytes=self._network.max_unpacked_bytes,
            enough_bytes=self.request.enough_bytes if is_file else None,
        )
        return self.receiver

    def go_on(self) -> None:
        """Receive again after a pause, if there is room now."""
        if self.receiver is not None and self.receiver.may_continue:
            self.is_paused = False
            self.easy.pause(pycurl.PAUSE_CONT)

    def take_body(self) -> tuple[Body, Problem | None]:
        """What arrived, and why that is not the file."""
        receiver, self.receiver = self.receiver, None
        if receiver is None:
            return b"", None
        received = receiver.finish()
        self.has_enough = receiver.has_enough
        return received, receiver.problem

    def drop_body(self) -> None:
        """Forget what arrived."""
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.discard()

    def _open_socket(self, _purpose: int, address: tuple[int, int, int, tuple[str, int]]) -> socket.socket | int:
        """Called with each resolved address before it is connected to, so a changing DNS answer cannot slip past."""
        self.has_address = True
        family, kind, protocol, peer = address
        self.is_public = is_public_address(peer[0])
        if self.destination.is_guarded and self.destination.is_resolved_here and not self.is_public:
            self.refused_address = peer[0]
            return int(pycurl.SOCKET_BAD)
        try:
            return _LentSocket(family, kind, protocol)
        except OSError as error:  # no IPv6 on this machine, or no file descriptor is left
            self.socket_error = f"{peer[0]}: {error.strerror}"
            self.lack = lack_behind(error)
            return int(pycurl.SOCKET_BAD)

    def _before_sending(self, *_connection: object) -> int:
        """Forbid sending twice: libcurl repeats a request, up to 5 times, if a kept connection ends without an answer.

        The server may have counted the first one, and a permit is for one request.
        """
        if self.is_sent:
            return int(pycurl.PREREQFUNC_ABORT)
        self.is_sent = True
        self._sent.append((self.request.token, time.monotonic()))
        return int(pycurl.PREREQFUNC_OK)


def result_of(transfer: Transfer, code: int, message: str, network: NetworkSettings) -> FetchResult:
    """How a request ended, given libcurl's `code` (0: success) and `message`."""
    easy, request = transfer.easy, transfer.request
    status, headers = transfer.answer_head()
    received, problem = transfer.take_body()
    if code == WRITE_REFUSED and transfer.has_enough and 200 <= status < 300:
        code = 0
    redirect_url = redirect_target(request.target, status, headers)
    # A refusal remains a refusal, whatever became of its error page.
    refusal = kind_of_status(status, headers) if status and (code == 0 or status >= 400) else None
    kind = said = None
    lack = problem.lack if problem is not None else _lack(transfer, code)
    body: Body = b""
    if redirect_url is None:
        kind = refusal or (_kind(transfer, code, status, network) if code else None)
        if 200 <= status < 300 and refusal is None:
            body = received
        if refusal is None and problem is not None and code in (0, WRITE_REFUSED):
            kind, message = problem.kind, problem.message
        elif kind is None:
            kind = None if len(body) else ErrorKind.EMPTY
        if refusal is not None:
            secrets = sent_secrets(request.headers.values(), request.url, network.proxy or "")
            said = said_of(status, headers, received if isinstance(received, bytes) else b"", secrets)
    file = body if isinstance(body, BodyFile) and kind is None else None
    if isinstance(received, BodyFile) and file is None:
        received.close()
    return FetchResult(
        token=request.token,
        kind=kind,
        status=status or None,
        headers=headers,
        body=body if isinstance(body, bytes) else b"",
        file=file,
        redirect_url=redirect_url,
        message="" if kind is None else said or _message(transfer, kind, code, status, message),
        said=said or "",
        ttfb_s=easy.getinfo(pycurl.STARTTRANSFER_TIME) if status else None,
        total_s=easy.getinfo(pycurl.TOTAL_TIME),
        http_version=_HTTP_VERSIONS.get(easy.getinfo(pycurl.INFO_HTTP_VERSION)),
        remote_ip=easy.getinfo(pycurl.PRIMARY_IP) or None,
        dns_failure=DnsFailure.NO_ANSWER if kind is ErrorKind.DNS else None,
        is_refused=code == COULD_NOT_CONNECT and _is_refused(transfer) and not network.proxy,
        tls=certificate_verdict(easy.getinfo(pycurl.SSL_VERIFYRESULT)) if code == CERTIFICATE_REFUSED else "",
        connection=_new_connection(easy) if transfer.has_address else None,
        lack=lack,
    )


def _header_lines(headers: Mapping[str, str]) -> list[bytes]:
    if not headers:
        return _PLAIN_HEADERS
    return [*_PLAIN_HEADERS, *(f"{name}: {value}".encode("latin-1") for name, value in headers.items())]


def _kind(transfer: Transfer, code: int, status: int, network: NetworkSettings) -> ErrorKind:
    """The failure of a request that got no complete answer."""
    if code == COULD_NOT_CONNECT and transfer.refused_address is not None:
        return ErrorKind.FORBIDDEN_ADDRESS
    if code == TIMED_OUT:
        return kind_of_timeout(_progress(transfer, status), network.request_timeout_s)
    return KIND_OF_CODE.get(code, ErrorKind.INTERNAL)


def _lack(transfer: Transfer, code: int) -> MachineError | None:
    """What this machine lacks, if libcurl failed for that reason."""
    if code == COULD_NOT_CONNECT:
        return transfer.lack
    return lack_behind(MemoryError()) if code == OUT_OF_MEMORY else None


def _is_refused(transfer: Transfer) -> bool:
    """Whether a host refused the connection; this machine itself, or one beside it, is no evidence of a network."""
    return transfer.is_public and bool(transfer.easy.getinfo(pycurl.OS_ERRNO) == errno.ECONNREFUSED)


def _progress(transfer: Transfer, status: int) -> Progress:
    """What libcurl's times leave open: on a kept connection they are all 0, on a failed one all are filled in."""
    getinfo = transfer.easy.getinfo
    return Progress(
        is_resolved=transfer.is_sent or transfer.has_address or not transfer.destination.is_resolved_here,
        is_connected=transfer.is_sent or bool(getinfo(pycurl.PRIMARY_IP)),
        has_answer=status > 0,
        total_s=getinfo(pycurl.TOTAL_TIME),
    )


def _new_connection(easy: pycurl.Curl) -> NewConnection | None:
    """The times of a connection that was established."""
    connected_s = easy.getinfo(pycurl.CONNECT_TIME)
    if connected_s <= 0:
        return None
    resolved_s = easy.getinfo(pycurl.NAMELOOKUP_TIME)
    return NewConnection(resolved_s, max(0.0, connected_s - resolved_s), easy.getinfo(pycurl.PRETRANSFER_TIME))


def _message(transfer: Transfer, kind: ErrorKind, code: int, status: int, message: str) -> str:
    if kind is ErrorKind.FORBIDDEN_ADDRESS:
        return f"{transfer.destination.host} resolves to {transfer.refused_address}, which is not public"
    if code == SENT_TWICE:
        return "the connection, kept from an earlier request, ended before the answer"
    return transfer.socket_error or message or f"HTTP status {status}"
