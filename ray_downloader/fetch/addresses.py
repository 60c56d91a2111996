"""Which IP addresses belong to the public internet. Pure.

A list of URLs is written by strangers: a row that names (or whose DNS name resolves to) a router, a cloud metadata
service or a colleague's notebook must not make the cluster connect to it.
"""

from __future__ import annotations

import ipaddress
import socket

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: RFC 6052 section 2.1: an IPv4 address in the last 32 bits, reached through the site's NAT64.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAMES = (".localhost", ".local", ".internal")


def is_public_address(text: str) -> bool:
    """Whether `text`, an IP address as `getpeername` spells it, is a unicast address of the public internet.

    IPv4 addresses inside an IPv6 address (mapped, 6to4, NAT64) are judged by where they lead.
    """
    address: _Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_site_local:  # fec0::/10, deprecated and missing from `is_private`
            return False
        address = _carried_ipv4(address) or address
    return address.is_global and not (address.is_multicast or address.is_reserved)


def literal_address(host: str) -> str | None:
    """The IP address that `host` spells, also in odd IPv4 spellings (`0x7f.1`), or None for a DNS name."""
    try:
        return str(ipaddress.ip_address(host.strip("[]").partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def is_public_name(host: str) -> bool:
    """Whether the host of a URL, judged without a DNS look-up, can be on the public internet."""
    address = literal_address(host)
    if address is not None:
        return is_public_address(address)
    return host != "localhost" and not host.endswith(_LOCAL_NAMES)


def _carried_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
