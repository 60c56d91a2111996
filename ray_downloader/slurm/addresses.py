"""The IP address under which other nodes reach this one, found without sending a packet."""

from __future__ import annotations

import socket
from collections.abc import Iterable


def own_address_towards(host: str) -> str:
    """The address of this machine from which packets to `host` would be sent.

    Raises:
        OSError: `host` has no address or cannot be reached.
    """
    family, _, _, _, target = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])


def own_address(others: Iterable[str]) -> str:
    """The address of this machine in the network of the first reachable host, or else the address of its own name.

    Raises:
        OSError: Not even its own name has an address.
    """
    for host in others:
        try:
            return own_address_towards(host)
        except OSError:
            continue
    return socket.gethostbyname(socket.gethostname())


def is_listening(address: str, timeout_s: float = 1.0) -> bool:
    """Whether a process accepts connections at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=timeout_s).close()
        return True
    except OSError:
        return False
