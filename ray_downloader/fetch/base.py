"""The seam to the network: what a fetcher is asked for and what it answers.

A fetcher moves bytes for one single-threaded event loop. It knows nothing of budgets, retries or images: it follows
no redirect by itself (each hop spends the budget of the server it leads to) and retries nothing. Library failures
become an `ErrorKind` in one table a fetcher, so no library exception crosses this seam.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.registry import Registry


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One GET.

    Args:
        token: Chosen by the caller; comes back with the result.
        target: What is asked for.
        headers: Extra request headers, which may be secrets: they go to this URL's server only and into no message.
        verify_tls: Overrides the network default for this server, if not None.
    """

    token: int
    target: RequestUrl
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify_tls: bool | None = None

    @property
    def url(self) -> str:
        """The URL as it is sent."""
        return self.target.text


@dataclass(frozen=True, slots=True)
class FetchResult:
    """How one GET ended.

    Args:
        kind: The failure, or None for a 2xx answer that arrived whole.
        status: HTTP status, if there was an answer.
        headers: Response headers, names in lower case; repeated ones joined with ", ".
        body: What arrived (empty for a failure that stopped before the body).
        redirect_url: Absolute target of a 3xx answer with `Location`; `kind` is None then and `body` empty.
        message: Free text for `error_msg`.
        ttfb_s: Time from start to the first byte of the answer.
        http_version: "1.1", "2", ...
        remote_ip: Address that was connected to.
        said: What a refusal said: its status and the first words of its body.
    """

    token: int
    kind: ErrorKind | None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    redirect_url: str | None = None
    message: str = ""
    ttfb_s: float | None = None
    total_s: float = 0.0
    http_version: str | None = None
    remote_ip: str | None = None
    said: str = ""


class Fetcher(Protocol):
    """Moves bytes; single-threaded: all methods are called from one loop."""

    def start(self, request: FetchRequest) -> None:
        """Begin a GET; its result comes from a later `poll`, also where it fails at once."""

    def poll(self, timeout_s: float) -> list[FetchResult]:
        """Move bytes for at most `timeout_s` (less when something ends) and return what has ended."""

    def take_sent(self) -> list[tuple[int, float]]:
        """Token and monotonic time of each request that went out since the last call.

        It is later than the `start` where a connection had to be made first; the server's budget sees this time.
        """

    def close(self) -> None:
        """Drop all connections; requests under way end without a result."""


class FetcherFactory(Protocol):
    """How a fetcher is made; registered by name."""

    def __call__(self, network: NetworkSettings, user_agent: str, max_host_connections: int) -> Fetcher:
        """A fetcher with its own connections."""


FETCHERS: Registry[FetcherFactory] = Registry("fetcher", "ray_downloader.fetch")
