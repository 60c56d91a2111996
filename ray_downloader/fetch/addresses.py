"""Which IP addresses belong to the public internet. Pure.

A list of URLs is written by strangers: a row that names (or whose DNS name resolves to) a router, a cloud metadata
service or a colleague's notebook must not make the cluster connect to it.
"""

from __future__ import annotations

import ipaddress
import socket

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Blocks of IANA's special-purpose address registries (as of 2026) that are not, or no longer, hosts of the public
#: internet, multicast, and the address of Azure's platform, which only its machines reach. A table of our own, as those
#: of Python's versions differ.
_NOT_PUBLIC_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
#: All of IPv6 that is global unicast, and the parts of it that are not public: protocol assignments with Teredo,
#: benchmarking and ORCHID; documentation twice; the old 6bone is unused, but not special.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
#: RFC 6052 section 2.1: an IPv4 address in the last 32 bits, reached through the site's NAT64.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: Special-use names (RFC 6761, RFC 6762 with appendix G, RFC 8375, ICANN for `internal`), and what systems are called.
_LOCAL_NAMES = (
    ".localhost", ".localdomain", ".local", ".internal", ".intranet", ".private", ".corp", ".home", ".lan",
    ".home.arpa",
)  # fmt: skip


def is_public_address(text: str) -> bool:
    """Whether `text`, an IP address as `getpeername` spells it, is a unicast address of the public internet.

    IPv4 addresses inside an IPv6 address (mapped, 6to4, NAT64) are judged by where they lead.
    """
    address: _Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        address = _carried_ipv4(address) or address
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC_IPV4)
    return address in _GLOBAL_UNICAST and not any(address in block for block in _NOT_PUBLIC_IPV6)


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


def is_single_label(host: str) -> bool:
    """Whether it is a name that whoever looks it up may complete by a domain of their own, as `metadata`."""
    return "." not in host and literal_address(host) is None


def _carried_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
