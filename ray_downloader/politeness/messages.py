"""The messages between a worker and a server's budget. Only relative times: the clocks of two nodes differ.

A worker sends a `LeaseRequest` (which also reports the outcomes of earlier requests) and receives a `Lease`. It counts
`first_in_s` from when the answer *arrived* (so it is never early) and `valid_s` from when it *sent the request* (so it
is never late): the workers together never exceed a budget, whatever the delay of a call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from ray_downloader.errors import ErrorKind


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended, as far as the server's budget is concerned.

    Args:
        kind: The failure, or None if the server answered with the file (whatever the pixels turn out to be).
        http_status: Status of the answer, if there was one.
        size_bytes: Bytes received.
        ttfb_s: Time to first byte, if there was one.
        retry_after_s: Wait that the server demanded (`Retry-After`), already relative.
        ratelimit_rps: Rate that `RateLimit` headers allow, if they were sent; 0: nothing until `ratelimit_reset_s`.
        ratelimit_reset_s: When that window is renewed.
        age_s: How long before this message the answer arrived.
        is_retry: Whether it was not the first request for this image.
        total_s: How long the request held its connection, if known.
        url_hash: Identifies the URL: a consequence for the whole server requires failures of distinct ones.
        is_row: Whether it was a request for a row's image; not one for robots.txt, and not a hop that redirected.
        is_odd: Whether the URL failed before while others of the server were served, so its failure is its own.
        connections: Requests that its worker had in flight at the server when it ended, this one included.
        said: What a refusal said: its status and the first words of its body.
        is_no_such_name: Whether the resolver reported that the host's name does not exist.
        is_control: Whether the URL was served before, and was requested again only to learn about its server.
        host: The host that was asked, if its budget is that of a group.
    """

    kind: ErrorKind | None
    http_status: int | None = None
    size_bytes: int = 0
    ttfb_s: float | None = None
    retry_after_s: float | None = None
    ratelimit_rps: float | None = None
    age_s: float = 0.0
    is_retry: bool = False
    ratelimit_reset_s: float | None = None
    total_s: float | None = None
    url_hash: int = 0
    is_row: bool = True
    is_odd: bool = False
    connections: int = 1
    said: str = ""
    is_no_such_name: bool = False
    is_control: bool = False
    host: str = ""

    def aged(self, age_s: float) -> Outcome:
        """The same outcome, reported `age_s` after it happened."""
        return replace(self, age_s=age_s)


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """A worker's request for permits for one server.

    Args:
        server: Canonical server key.
        holder: Name of the holder, which has at most one lease of a server, so repeating a request is harmless.
        wanted: Requests it could start soon; 0 returns everything (call `LeasePacer.give_back` first).
        in_flight: Requests in flight at this moment (each holds a connection).
        unused: Permits of its leases that were not used and will not be: the result of `LeasePacer.give_back`. If it is
            not 0, the holder has no permit left.
        outcomes: Requests that ended since the last message.
        crawl_delay_s: Crawl-delay of the server's robots.txt, if this holder has read one.
        controls: URLs that were served to it, one for each host, if there are new ones.
        hosts: Hosts of a group that could not be reached, and that it might probe now.
    """

    server: str
    holder: str
    wanted: int
    in_flight: int = 0
    unused: int = 0
    outcomes: tuple[Outcome, ...] = ()
    crawl_delay_s: float | None = None
    controls: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class Verdict(str, Enum):
    """What a server's state allows a worker to do with its rows."""

    OPEN = "open"
    PAUSED = "paused"
    DEAD = "dead"
    REFUSED = "refused"
    OPTED_OUT = "opted_out"
    BANNED = "banned"


class WaitReason(str, Enum):
    """Why a server gets no request now: a closed list, and part of the output of `status --json`."""

    RETRY_AFTER = "retry_after"
    BACKOFF = "backoff"
    DEFERRED = "deferred"
    ROBOTS = "robots"
    CRAWL_DELAY = "crawl_delay"
    QUOTA = "quota"
    PAUSED_BY_OPERATOR = "paused_by_operator"
    OUTAGE = "outage"


class ProbeUrl(str, Enum):
    """Which URL tells most about a server in trouble, if its holder has the choice."""

    NEW = "new"
    """One that has not failed, as far as possible from those that have."""
    FAILED = "failed"
    """One that has failed: some servers refuse nothing but first visits."""
    SERVED = "served"
    """One that was served before: a failure of any other may be about that URL."""


@dataclass(frozen=True, slots=True)
class HostWait:
    """A host of a group that cannot be reached, while the group's others get requests.

    Args:
        verdict: `PAUSED`, or `DEAD`: its rows have to be settled without a request.
        wait_s: When to ask about it again; 0: the holder may send one request to it now.
        said: How it failed.
        is_no_such_name: For `DEAD`: its name does not exist any more.
    """

    host: str
    verdict: Verdict
    wait_s: float = 0.0
    said: str = ""
    is_no_such_name: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """Permission for `permits` requests.

    Permit j (from 0) may be used from `first_in_s + max(0, j - burst + 1) * interval_s` on, none after `valid_s`, and
    two uses more than `burst` apart keep `interval_s` between them. At most `connections` requests may be in flight.

    Args:
        permits: 0 means: request again in `request_again_in_s`.
        verdict: `DEAD`, `REFUSED`, `OPTED_OUT` and `BANNED` mean that the rows have to be settled without a request.
        said: For `DEAD` and `REFUSED`: the server's last words, or how it failed.
        reason: Why there are no permits, if the server or the operator is the reason.
        is_probe: The server is in trouble and this one permit finds out whether it lasts.
        probe_url: ... with which URL.
        is_no_such_name: For `DEAD`: its name does not exist any more, and its rows end as `dns`.
        controls: URLs that were served before, for holders that know none.
        retries: How many of the holder's permits, those of its last lease included, may be spent on retries (the retry
            budget).
        may_retry_later: The retry budget is not spent after these: other leases have what is left of it.
        serial: Number of the lease; a lease that is granted again keeps it.
        is_403_ban: Whether a 403 now means that the server refuses everything, not that the file is forbidden.
        connections_elsewhere: How many connections other holders may have open: a reset may mean one too many.
        hosts: For a group: its hosts that cannot be reached.
    """

    server: str
    permits: int
    first_in_s: float = 0.0
    interval_s: float = 0.0
    burst: int = 1
    valid_s: float = 0.0
    connections: int = 0
    request_again_in_s: float = 0.0
    verdict: Verdict = Verdict.OPEN
    retries: int = 0
    may_retry_later: bool = False
    serial: int = 0
    is_403_ban: bool = False
    said: str = ""
    reason: WaitReason | None = None
    is_probe: bool = False
    probe_url: ProbeUrl = ProbeUrl.NEW
    controls: tuple[str, ...] = ()
    is_no_such_name: bool = False
    connections_elsewhere: int = 0
    hosts: tuple[HostWait, ...] = ()
