"""The IP address under which other nodes reach this one, found without sending a packet. IPv4 is preferred."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import psutil

from ray_downloader.errors import UserError

#: Ray, gRPC and the printed commands all know IPv4; some sites resolve names to IPv6 addresses that do not work.
_PREFERENCE = (socket.AF_INET, socket.AF_INET6)


def own_address_towards(host: str) -> str:
    """The address of this machine from which packets to `host` would be sent.

    Raises:
        OSError: `host` has no address or cannot be reached.
    """
    found = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)
    known = [entry for entry in found if entry[0] in _PREFERENCE]
    problem = OSError(f"{host} has no IP address")
    for family, _, _, _, target in sorted(known, key=lambda entry: _PREFERENCE.index(entry[0])):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect(target)
                return str(probe.getsockname()[0])
        except OSError as error:
            problem = error
    raise problem


def own_address(others: Iterable[str]) -> str:
    """The address of this machine in the network of the first reachable host, or else the address of its own name.

    Raises:
        OSError: Not even its own name has an address.
    """
    for host in [*others, socket.gethostname()]:
        try:
            return own_address_towards(host)
        except OSError:
            continue
    return "127.0.0.1"  # a single node without a network


def address_of_interface(name: str) -> str:
    """The address of a network interface of this machine.

    Raises:
        UserError: There is no such interface, or it has no address.
    """
    interfaces = psutil.net_if_addrs()
    entries = [entry for entry in interfaces.get(name, []) if entry.family in _PREFERENCE]
    if not entries:
        problem = "has no IP address" if name in interfaces else "does not exist"
        raise UserError(
            f"cluster.interface={name} {problem} on {socket.gethostname()}; it has: {', '.join(sorted(interfaces))}"
        )
    best = min(entries, key=lambda entry: _PREFERENCE.index(socket.AddressFamily(entry.family)))
    return best.address.partition("%")[0]


def with_port(host: str, port: int) -> str:
    """`host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_of(address: str) -> str:
    """The host in `host:port`, without brackets."""
    return address.rpartition(":")[0].strip("[]")


def is_listening(address: str, timeout_s: float = 1.0) -> bool:
    """Whether a process accepts connections at `host:port`."""
    try:
        socket.create_connection((host_of(address), int(address.rpartition(":")[2])), timeout=timeout_s).close()
        return True
    except OSError:
        return False
