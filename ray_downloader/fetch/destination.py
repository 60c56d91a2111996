"""Where a URL's connection really goes, and whether it may: `connect_to`, proxy and the private-address guard. Pure.

Both fetchers use it before they start, so that they agree on which requests never leave this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.addresses import is_public_name, is_single_label
from ray_downloader.partition.server_key import RequestUrl


class RefusedUrlError(Exception):
    """A URL for which no request is made."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the requests for one host and port go.

    Args:
        connects_to: Host and port to connect to instead, if the operator named one.
        is_guarded: Whether the address that is connected to must be public.
        is_resolved_here: Whether this machine looks up `host` (no proxy and no `connects_to`).
    """

    host: str
    port: int
    connects_to: tuple[str, int] | None
    is_guarded: bool
    is_resolved_here: bool

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port to which the connection is really made if there is no proxy."""
        return self.connects_to or (self.host, self.port)

    def curl_connect_to(self) -> str:
        """A line of `CURLOPT_CONNECT_TO`; `:::` changes nothing (pycurl ignores an empty list)."""
        if self.connects_to is None:
            return ":::"
        host, port = self.connects_to
        return f"::[{host}]:{port}" if ":" in host else f"::{host}:{port}"


class ConnectTo:
    """The `network.connect_to` map, in the manner of curl's `--connect-to`: the most specific key is used.

    Args:
        mapping: `host:port` to `host:port`; in a key, host or port may be `*` or absent, and `*` alone means any.
    """

    def __init__(self, mapping: Mapping[str, str] | None) -> None:
        self._targets = {_split(key): _target(target) for key, target in (mapping or {}).items()}

    def target(self, host: str, port: int) -> tuple[str, int] | None:
        """Where connections for `host` and `port` lead, or None if the map has no entry for them."""
        for key in ((host, str(port)), (host, "*"), ("*", str(port)), ("*", "*")):
            if key in self._targets:
                return self._targets[key]
        return None


class Destinations:
    """Looks up the destination of URLs under one set of network settings."""

    def __init__(self, network: NetworkSettings) -> None:
        self._connect_to = ConnectTo(network.connect_to)
        self._allows_private = network.allow_private_addresses
        self._has_proxy = network.proxy is not None
        self.of_host = lru_cache(maxsize=65536)(self._of_host)

    def of(self, url: RequestUrl) -> Destination:
        """The destination of `url`.

        Raises:
            RefusedUrlError: Its host is itself a private address, or a name that a proxy would complete.
        """
        destination = self.of_host(url.host, url.port)
        is_completed = self._has_proxy and is_single_label(url.host)
        if destination.is_guarded and (is_completed or not is_public_name(url.host)):
            raise RefusedUrlError(ErrorKind.FORBIDDEN_ADDRESS, f"{url.host} is not on the public internet")
        return destination

    def _of_host(self, host: str, port: int) -> Destination:
        connects_to = self._connect_to.target(host, port)
        is_guarded = connects_to is None and not self._allows_private
        return Destination(host, port, connects_to, is_guarded, connects_to is None and not self._has_proxy)


def _split(key: str) -> tuple[str, str]:
    host, separator, port = key.rpartition(":")
    if not separator or port.endswith("]"):
        host, port = key, "*"
    return host.strip("[]").lower() or "*", port or "*"


def _target(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    return host.strip("[]"), int(port)
