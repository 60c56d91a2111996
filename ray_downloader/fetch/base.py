"""The seam to the network: what a fetcher receives and what it returns.

A fetcher moves bytes for one single-threaded event loop. It knows nothing about budgets, retries or images: it does not
follow redirects (each hop spends the budget of the server it leads to) and does not retry. Library failures become an
`ErrorKind` in one table per fetcher, so no library exception crosses this seam.
"""

from __future__ import annotations

import errno
import logging
import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.registry import Registry
from ray_downloader.spill import Body, BodyFile

_log = logging.getLogger(__name__)
#: Causes of failures that were logged: exception, file and line.
_LOGGED: set[tuple[object, ...]] = set()


class DnsFailure(str, Enum):
    """Why a name has no address."""

    NO_SUCH_NAME = "no_such_name"
    """A resolver reported that the name does not exist, or has no address."""
    NO_ANSWER = "no_answer"
    """No resolver could tell: that is our own trouble, or the DNS's, and not the server's."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One GET.

    Args:
        token: Chosen by the caller; returned with the result.
        target: The URL to request.
        headers: Extra request headers, possibly secret: they go only to this URL's server and never into a message.
        verify_tls: Overrides the network default for this server, if not None.
        enough_bytes: The file is not needed beyond this size: it is cut there, and still counts as complete.
    """

    token: int
    target: RequestUrl
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify_tls: bool | None = None
    enough_bytes: int | None = None

    @property
    def url(self) -> str:
        """The URL as it is sent."""
        return self.target.text


@dataclass(frozen=True, slots=True)
class NewConnection:
    """What it took to set up a connection.

    Args:
        dns_s: Time spent on the name look-up.
        connect_s: Time spent on TCP.
        setup_s: Time from the start of the request until it could be sent, including TLS and waiting for a turn.
    """

    dns_s: float
    connect_s: float
    setup_s: float


@dataclass(frozen=True, slots=True)
class FetchResult:
    """How one GET ended.

    Args:
        kind: The failure, or None for a 2xx answer that arrived completely.
        status: HTTP status, if there was an answer.
        headers: Response headers, names in lower case. A header that was sent more than once has one line per value, as
            joining them with ", " would change the meaning of some.
        body: What arrived (empty for a failure that stopped before the body, and for a body in a file).
        file: The body instead, if it is too large for memory. Whoever takes the result closes it.
        redirect_url: Absolute target of a 3xx answer with `Location`; `kind` is None then and `body` empty.
        message: Free text for `error_msg`.
        said: What a refusal said: its status and the first words of its page. Empty if there was no refusal.
        ttfb_s: Time from start to the first byte of the answer.
        http_version: "1.1", "2", ...
        remote_ip: Address that was connected to.
        dns_failure: For `ErrorKind.DNS`: what is known about the name.
        is_refused: For `ErrorKind.CONNECT`: whether a public host that is no proxy refused it.
        tls: For `ErrorKind.TLS`: what is wrong with the certificate, in a few words.
        connection: The cost of its new connection; None if one was reused, or none was established.
        lack: What this machine lacks, if that is why there is no file: the row is not settled by this.
    """

    token: int
    kind: ErrorKind | None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: BodyFile | None = None
    redirect_url: str | None = None
    message: str = ""
    said: str = ""
    ttfb_s: float | None = None
    total_s: float = 0.0
    http_version: str | None = None
    remote_ip: str | None = None
    dns_failure: DnsFailure | None = None
    is_refused: bool = False
    tls: str = ""
    connection: NewConnection | None = None
    lack: MachineError | None = None

    @property
    def content(self) -> Body:
        """The body, wherever it is."""
        return self.body if self.file is None else self.file

    @property
    def size_bytes(self) -> int:
        """Length of the body."""
        return len(self.content)


#: What the system says when it is out of something, whatever was to be reached; and what helps.
_OUT_OF = {
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "too many programs have files open",
    errno.ENOMEM: "free memory",
    errno.ENOBUFS: "free memory",
}


def lack_behind(error: BaseException | None) -> MachineError | None:
    """What this machine lacks, if that is why something could not be fetched."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno if isinstance(error, OSError) else None
    if number not in _OUT_OF:
        return None
    return MachineError(
        f"no connection can be made on this machine: {os.strerror(number)}; what was settled is safe: "
        f"{_OUT_OF[number]}, and the same command continues"
    )


def internal_failure(token: int, error: Exception) -> FetchResult:
    """The result of a request for which the fetcher itself failed: one row's error. Each cause is logged once."""
    tail = traceback.extract_tb(error.__traceback__)[-1:]
    cause = (type(error).__name__, *((frame.filename, frame.lineno) for frame in tail))
    if cause not in _LOGGED:
        _LOGGED.add(cause)
        _log.error("a fetcher failed at one request; others like it are not logged again", exc_info=error)
    return FetchResult(token, ErrorKind.INTERNAL, message=f"{type(error).__name__}: {error}", lack=lack_behind(error))


class Fetcher(Protocol):
    """Moves bytes; single-threaded: all methods are called from one loop."""

    def start(self, request: FetchRequest) -> None:
        """Begin a GET; its result comes from a later `poll`, even if it fails at once."""

    def poll(self, timeout_s: float) -> list[FetchResult]:
        """Move bytes for at most `timeout_s` (less when something ends) and return what has ended."""

    def take_sent(self) -> list[tuple[int, float]]:
        """Token and monotonic time of each request that went out since the last call.

        That is later than `start` if a connection had to be made first; the server's budget uses this time.
        """

    def close(self) -> None:
        """Drop all connections; requests in progress end without a result."""


class FetcherFactory(Protocol):
    """How a fetcher is made; registered by name."""

    def __call__(
        self, network: NetworkSettings, user_agent: str, max_host_connections: int, room: BodyRoom | None = None
    ) -> Fetcher:
        """A fetcher with its own connections; `room` is what its bodies share with those that wait to be processed."""


FETCHERS: Registry[FetcherFactory] = Registry("fetcher", "ray_downloader.fetch")
