"""Fetchers without a network: they are handed one end of a socket pair, and a test holds the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pycurl
import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.fetch import curl, curl_transfer
from ray_downloader.fetch.curl import CurlFetcher
from tests.unit.fetch.connecting import Connecting, install
from tests.unit.fetch.wire import AGENT, NAMES, MakeFetcher, Wire


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The far ends of libcurl's connections."""
    wire = Wire()
    options_of = curl._options

    def options(network: NetworkSettings, user_agent: str) -> dict[int, Any]:
        wire.options.append(options_of(network, user_agent))
        known = [f"{name}:{port}:{address}" for name, address in NAMES.items() for port in (80, 8080)]
        connected = {pycurl.SOCKOPTFUNCTION: lambda _descriptor, _purpose: pycurl.SOCKOPT_ALREADY_CONNECTED}
        return {**wire.options[-1], **connected, pycurl.RESOLVE: known}

    monkeypatch.setattr(curl, "_options", options)
    monkeypatch.setattr(curl_transfer, "_LentSocket", wire.lend)
    yield wire
    for peer in wire.peers:
        peer.close()


@pytest.fixture
def make_fetcher(wire: Wire) -> Iterator[MakeFetcher]:
    """Makes fetchers whose connections are those of `wire`."""
    with ExitStack() as stack:

        def make(max_host_connections: int = 4, **network: object) -> CurlFetcher:
            settings = NetworkSettings.model_validate(network)
            return stack.enter_context(closing(CurlFetcher(settings, AGENT, max_host_connections)))

        yield make


@pytest.fixture
def far_ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connecting]:
    """A network of socket pairs for Python's own sockets."""
    far_ends = install(monkeypatch)
    yield far_ends
    for peer in far_ends.wire.peers:
        peer.close()
