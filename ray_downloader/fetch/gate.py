"""Which requests are made at all: the checks that come before any fetcher touches the network. Pure."""

from __future__ import annotations

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import DnsFailure, FetchRequest, FetchResult
from ray_downloader.fetch.destination import Destination, Destinations, RefusedUrlError
from ray_downloader.fetch.names import FailedNames


class RequestGate:
    """Decides for each request where it goes, or how it ended before it began.

    Args:
        network: Guard, proxy and `connect_to`.
    """

    def __init__(self, network: NetworkSettings) -> None:
        self.destinations = Destinations(network)
        self._failed_names = FailedNames()

    def admit(self, request: FetchRequest, now_s: float) -> Destination | FetchResult:
        """Where `request` goes; or its result, if the URL is refused or its host is known not to exist."""
        try:
            destination = self.destinations.of(request.target)
        except RefusedUrlError as refusal:
            return FetchResult(request.token, refusal.kind, message=str(refusal))
        if destination.is_resolved_here and self._failed_names.has(destination.host, now_s):
            message = f"{destination.host} did not exist a moment ago"
            return FetchResult(request.token, ErrorKind.DNS, message=message, dns_failure=DnsFailure.NO_SUCH_NAME)
        return destination

    def note(self, destination: Destination, result: FetchResult, now_s: float) -> None:
        """Record how a request to `destination` ended. Only a resolver's answer is kept: a lost look-up is repeated."""
        if result.dns_failure is DnsFailure.NO_SUCH_NAME and destination.is_resolved_here:
            self._failed_names.add(destination.host, now_s)
