"""What a simulated world is made of: servers and their ways, the list, and what goes wrong when. Plain frozen data.

A world is printed as the Python that makes it again, so a failing one can be kept as it is (`regressions.py`).
Whatever is given as times is in seconds from the start of the world.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from ray_downloader.errors import ErrorKind

FOREVER = math.inf


# -- one row -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """The URL answers with its file."""

    size_bytes: int = 100


@dataclass(frozen=True)
class Says:
    """The URL answers with a status, the first `times` times; then with its file."""

    status: int
    times: float = FOREVER
    retry_after: str | None = None


@dataclass(frozen=True)
class Fails:
    """The request ends without an answer that can be used, the first `times` times."""

    kind: ErrorKind
    times: float = FOREVER
    after_s: float = 0.1


@dataclass(frozen=True)
class Slow:
    """The file takes so long."""

    seconds: float


@dataclass(frozen=True)
class Moved:
    """The URL redirects `hops` times before there is the file.

    Args:
        to: Number of the server that it leads to; None: within the server.
        needs_cookie: The target redirects back for ever unless the cookie of the first hop is sent.
    """

    hops: int = 1
    to: int | None = None
    needs_cookie: bool = False
    status: int = 302


@dataclass(frozen=True)
class Loops:
    """The URL redirects for ever."""


@dataclass(frozen=True)
class NotImage:
    """The URL answers 200 with a page."""


@dataclass(frozen=True)
class OptsOut:
    """The URL answers with its file and says that we may not have it."""


Fate = Picture | Says | Fails | Slow | Moved | Loops | NotImage | OptsOut


@dataclass(frozen=True)
class Row:
    """One URL of the list.

    Args:
        server: Number of its server.
        copies: Rows that have this URL.
        mirror: What a second URL of the same bytes does, and at which server; None: there is no mirror.
    """

    server: int
    fate: Fate = Picture()
    copies: int = 1
    mirror: tuple[int, Fate] | None = None


# -- one server --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bucket:
    """A token bucket of that depth; beyond it the status, with or without Retry-After."""

    rate_rps: float
    depth: float = 1.0
    status: int = 429
    retry_after: str | None = None


@dataclass(frozen=True)
class Window:
    """So many requests in any `seconds`, or in each calendar unit of them.

    Args:
        counts_refused: A refused request counts as well.
        retry_after: "rest": until the next one will be answered.
    """

    requests: int
    seconds: float
    is_calendar: bool = False
    counts_refused: bool = False
    status: int = 429
    retry_after: str | None = None


@dataclass(frozen=True)
class Connections:
    """So many requests at once; the next one is answered with the status, or ends as `ErrorKind` says."""

    most: int
    refusal: int | ErrorKind = 429


@dataclass(frozen=True)
class Bans:
    """After so many requests within `seconds`, all are answered 403 for `ban_s`."""

    requests: int
    seconds: float
    ban_s: float = 45.0


Limit = Bucket | Window | Connections | Bans


@dataclass(frozen=True)
class Trouble:
    """From `start_s` to `end_s` every request ends so.

    Args:
        how: A status, or an error of the transport.
        share: Only this share of the requests, chosen by URL and visit.
    """

    start_s: float
    end_s: float
    how: int | ErrorKind
    retry_after: str | None = None
    after_s: float = 0.05
    share: float = 1.0


@dataclass(frozen=True)
class Robots:
    """The server's robots.txt: its text, or another status; the first `fails` requests for it are answered 503."""

    status: int = 200
    text: str = ""
    fails: int = 0


@dataclass(frozen=True)
class Server:
    """One host.

    Args:
        name: Canonical key.
        latency_s: Until an answer is whole.
        headers: Sent with every answer.
    """

    name: str
    latency_s: float = 0.05
    limits: tuple[Limit, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    robots: Robots = Robots(404)
    headers: tuple[tuple[str, str], ...] = ()


# -- what goes wrong with us -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WorkerKilled:
    """The oldest slice that runs then is killed."""

    at_s: float


@dataclass(frozen=True)
class ActorRestarted:
    """A budget actor dies, and is there again `down_s` later with the last saved snapshot."""

    at_s: float
    actor: int = 0
    down_s: float = 1.0


@dataclass(frozen=True)
class NodeLost:
    """All slices and actors of a node are gone at once."""

    at_s: float
    node: int = 0


@dataclass(frozen=True)
class Drained:
    """SIGTERM; the same command is given again `pause_s` after the end."""

    at_s: float
    pause_s: float = 30.0


@dataclass(frozen=True)
class Requeued:
    """All processes are killed; the same command is given again `pause_s` later."""

    at_s: float
    pause_s: float = 30.0


@dataclass(frozen=True)
class ClockStepped:
    """The wall clocks of all nodes jump."""

    at_s: float
    by_s: float


@dataclass(frozen=True)
class NetworkLost:
    """No request of ours gets through until `end_s`."""

    at_s: float
    end_s: float
    kind: Literal[ErrorKind.DNS, ErrorKind.CONNECT] = ErrorKind.DNS
    after_s: float = 0.05


@dataclass(frozen=True)
class Ordered:
    """The operator's word on a server."""

    at_s: float
    action: Literal["pause", "resume", "rate", "ban"]
    server: int = 0
    value: float | None = None


Fault = WorkerKilled | ActorRestarted | NodeLost | Drained | Requeued | ClockStepped | NetworkLost | Ordered


@dataclass(frozen=True)
class World:
    """Everything that a run meets.

    Args:
        rows: The list.
        nodes: Machines, each with `slots` slices.
        politeness: The group of settings, where they differ from the default.
        network: Likewise.
        runs: How often the command is given again at most.
        chance: Seed of all that is left to chance in the run itself (latencies, jitter).
    """

    servers: tuple[Server, ...]
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...] = ()
    nodes: int = 1
    slots: int = 2
    actors: int = 1
    task_seconds: float = 60.0
    batch_rows: int = 1000
    pool_below: int = 5
    rate_rps: float = 10.0
    politeness: dict[str, object] = field(default_factory=dict)
    network: dict[str, object] = field(default_factory=dict)
    runs: int = 12
    chance: int = 0

    def budgets(self) -> dict[str, list[int]]:
        """The numbers of the servers that share each budget, as the rules say."""
        rules: Any = self.politeness.get("rules", ())
        found: dict[str, list[int]] = {}
        for number, server in enumerate(self.servers):
            groups = [rule["group"] for rule in rules if "group" in rule and fnmatchcase(server.name, rule["server"])]
            found.setdefault((groups or [server.name])[0], []).append(number)
        return found

    def fellows(self, server: int) -> list[int]:
        """The numbers of the servers with which one shares its budget, itself among them."""
        return next(members for members in self.budgets().values() if server in members)

    def url(self, number: int) -> str:
        """The URL of a row."""
        return f"http://{self.servers[self.rows[number].server].name}/{number}.jpg"

    def mirror_url(self, number: int) -> str | None:
        """The mirror of a row, if it has one."""
        mirror = self.rows[number].mirror
        return f"http://{self.servers[mirror[0]].name}/{number}.jpg?mirror" if mirror else None
