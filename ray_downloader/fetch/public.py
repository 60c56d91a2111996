"""Whether a run contacts servers of other people, who must be able to write to its operator. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.fetch.addresses import is_public_name
from ray_downloader.fetch.destination import Destinations, RefusedUrlError
from ray_downloader.partition.server_key import RequestUrl

#: Names that never lead to anybody (RFC 2606 section 2, RFC 6761).
_RESERVED = (".example", ".invalid", ".test", ".localhost")


def first_public(servers: Iterable[str], network: NetworkSettings) -> str | None:
    """The first of the servers that is on the public internet and not mapped elsewhere by `network.connect_to`.

    A server that is mapped for one of the two schemes counts as mapped.
    """
    destinations = Destinations(network)
    return next((server for server in servers if _is_public(server, destinations)), None)


def _is_public(server: str, destinations: Destinations) -> bool:
    if f".{server.partition(':')[0]}".endswith(_RESERVED):
        return False
    return all(_leads_out(f"{scheme}://{server}/", destinations) for scheme in ("https", "http"))


def _leads_out(url: str, destinations: Destinations) -> bool:
    try:
        destination = destinations.of(RequestUrl.parse(url))
    except RefusedUrlError:
        return False
    return destination.connects_to is None and is_public_name(destination.host)
