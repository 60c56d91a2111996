"""How the origin behaves, as the JSON argument of its process says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, slots=True)
class HostLimit:
    """A token bucket for one host: what exceeds it is answered with `status`."""

    rate_rps: float
    burst: int = 1
    status: int = 429
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class OriginOptions:
    """Options of a whole origin process.

    Args:
        tls: Serve TLS on a second port, with a certificate for whatever name the client asks for.
        latency_s: Wait before each answer.
        limits: Limits by host; globs are allowed, the first that matches counts.
        robots: Text of /robots.txt by host; other hosts answer 404.
        robots_statuses: Status of /robots.txt by host, with a Retry-After of 90 s where it is 503.
        listen_on: Address of this machine; another than loopback where the clients are nodes of a cluster.
    """

    tls: bool = False
    latency_s: float = 0.0
    limits: Mapping[str, HostLimit] = field(default_factory=dict)
    robots: Mapping[str, str] = field(default_factory=dict)
    robots_statuses: Mapping[str, int] = field(default_factory=dict)
    listen_on: str = "127.0.0.1"

    @classmethod
    def from_json(cls, text: str) -> OriginOptions:
        """Parse what `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        limits = {host: HostLimit(**limit) for host, limit in values.pop("limits", {}).items()}
        return cls(limits=limits, **values)

    def to_json(self) -> str:
        """The options as the process takes them."""
        return json.dumps(asdict(self))

    def limit_of(self, host: str) -> HostLimit | None:
        """The limit that counts for `host`, if there is one."""
        return next((limit for glob, limit in self.limits.items() if fnmatchcase(host, glob)), None)
