"""What a few answers say about a server: samples in, a profile with its first rate out. Pure.

With d the default rate and t the median response time, one visitor who waits for each answer before the next request
(AutoThrottle's `target_concurrency = 1`) makes v = 1/t requests per second. The first rate is

    sqrt(v * d)      if v > d: halfway, in orders of magnitude, between what this server showed and the default,
    min(d, 2 / t)    otherwise: a slow answer alone is no reason to request less, but two connections are enough for it,

times the share of requests that did not fail on the server's side, within every limit that the operator or the server
states. A server that requested a slower pace starts at half the pace of the probe instead. Five answers cannot show
what a server can sustain, and starting too fast costs more than starting too slowly (`benchmarks/profile`); the
download's adaptive law takes over from here.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ray_downloader.errors import ErrorKind

#: Without `max_rate_limit`, no first rate is more than this many times the default rate: a probe of five requests is
#: too little evidence for more. Chosen, not measured: a fast object store gets 10 x 3/s.
MAX_TRUST = 10.0
#: A server whose answers take longer than the default spacing gets requests on about this many connections at once.
CONNECTIONS_TO_SLOW_SERVER = 2
#: Fewer requests than one in this time is not a rate but a standstill (AutoThrottle's AUTOTHROTTLE_MAX_DELAY: 60 s).
LONGEST_SPACING_S = 60.0
#: Times below this are those of a clock, not of a server.
SHORTEST_S = 1e-4
#: Share of the probed pace at which a server starts that answered the probe with 429 or 503.
THROTTLED_FACTOR = 0.5

_THROTTLED_STATUSES = frozenset({429, 503})
_THROTTLED_KINDS = frozenset({ErrorKind.HTTP_429, ErrorKind.HTTP_403_BAN})
_BROKEN_ANSWERS = frozenset({ErrorKind.TIMEOUT, ErrorKind.TOO_SLOW, ErrorKind.RESET, ErrorKind.TRUNCATED})
_UNREACHABLE_KINDS = frozenset({ErrorKind.DNS, ErrorKind.CONNECT, ErrorKind.TLS, ErrorKind.FORBIDDEN_ADDRESS})


@dataclass(frozen=True, slots=True)
class Sample:
    """One probe request and how it ended.

    Args:
        kind: The failure, or None for a 2xx or 3xx answer that arrived completely (or as much of it as was wanted).
        ttfb_s: From sending the request to the first byte of the answer, without setting up the connection.
        total_s: From sending the request to the end of the answer.
        reused: The connection had served an earlier request.
        redirect_host: Server that a 3xx answer leads to.
        retry_at_unix_s: When `retry_after_s` ends.
    """

    kind: ErrorKind | None
    http_status: int | None = None
    ttfb_s: float | None = None
    total_s: float | None = None
    size_bytes: int = 0
    content_type: str = ""
    http_version: str = ""
    reused: bool = False
    redirect_host: str | None = None
    retry_after_s: float | None = None
    retry_at_unix_s: int | None = None
    ratelimit_rps: float | None = None
    message: str = ""

    @property
    def is_answered(self) -> bool:
        """Whether the server answered at all."""
        return self.http_status is not None

    @property
    def is_handled(self) -> bool:
        """Whether the server gave a complete answer and was not in trouble."""
        return self.http_status is not None and self.http_status < 500 and self.kind not in _BROKEN_ANSWERS

    @property
    def is_throttled(self) -> bool:
        """Whether the server demanded fewer requests: by its status, or by headers that allow none for now."""
        return self.kind in _THROTTLED_KINDS or self.http_status in _THROTTLED_STATUSES or self.ratelimit_rps == 0


@dataclass(frozen=True, slots=True)
class Connection:
    """What setting up a connection showed; `tls` is "ok", "none" (plain HTTP) or why the certificate was refused."""

    dns_s: float | None = None
    connect_s: float | None = None
    tls: str = ""
    remote_ip: str = ""


@dataclass(frozen=True, slots=True)
class RobotsFinding:
    """What robots.txt says about us.

    Args:
        disallowed_share: Of the sampled rows.
        names_us: It has a group for us, which is obeyed whatever the settings say.
        is_unreachable: The server failed to deliver it.
    """

    crawl_delay_s: float | None = None
    disallowed_share: float = 0.0
    names_us: bool = False
    is_unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """Everything that one probe of a server found out; `asked_rps` is the pace it kept."""

    server_name: str
    total_batches: int
    asked_rps: float
    samples: tuple[Sample, ...]
    connection: Connection = Connection()
    robots: RobotsFinding | None = None
    cut_short: str = ""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What the operator allows: a server's rate while nothing is known, and the highest that a profile may give it."""

    default_rps: float
    ceiling_rps: float


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """One line of `profiles.csv`; `rate_limit` is None if the server could not be reached."""

    server_name: str
    total_batches: int
    success_count: int = 0
    error_count: int = 0
    rate_limit: float | None = None
    reachable: bool | None = None
    dns_s: float | None = None
    connect_s: float | None = None
    tls: str = ""
    http_version: str = ""
    keep_alive: bool | None = None
    ttfb_median_s: float | None = None
    ttfb_p90_s: float | None = None
    bytes_per_s: float | None = None
    size_median_bytes: int | None = None
    statuses: str = ""
    redirect_host: str = ""
    crawl_delay_s: float | None = None
    disallowed_share: float | None = None
    retry_after_s: float | None = None
    ratelimit_rps: float | None = None
    robots_names_us: bool | None = None
    retry_at_unix_s: int | None = None
    needs_rule: str = ""
    note: str = ""


def first_rate_rps(
    samples: Sequence[Sample], asked_rps: float, limits: RateLimits, crawl_delay_s: float | None = None
) -> float | None:
    """The rate at which a server starts; None if it never answered.

    Args:
        samples: The requests, in order.
        asked_rps: The pace of the probe.
        limits: What the operator allows.
        crawl_delay_s: From robots.txt, if it is to be obeyed.
    """
    answered = [sample for sample in samples if sample.is_answered]
    if not answered:
        return None
    stated_rps = [sample.ratelimit_rps for sample in answered if sample.ratelimit_rps]
    ceilings = [limits.ceiling_rps, *stated_rps, *([1 / crawl_delay_s] if crawl_delay_s else [])]
    if any(sample.is_throttled for sample in answered):
        wanted = asked_rps * THROTTLED_FACTOR
    else:
        wanted = _shown_rps(answered, limits.default_rps) * _well_share(samples)
    # A stated ceiling also applies if it is slower than what counts as a standstill here.
    return min(max(wanted, 1 / LONGEST_SPACING_S), *ceilings)


def _shown_rps(answered: Sequence[Sample], default_rps: float) -> float:
    """The rate that the times of complete answers suggest."""
    times_s = [max(sample.total_s, SHORTEST_S) for sample in answered if sample.total_s]
    if not times_s:
        return default_rps
    median_s = statistics.median(times_s)
    one_visitor_rps = 1 / median_s
    if one_visitor_rps > default_rps:
        return math.sqrt(one_visitor_rps * default_rps)
    return min(default_rps, CONNECTIONS_TO_SLOW_SERVER / median_s)


def _well_share(samples: Sequence[Sample]) -> float:
    """Share of requests that the server handled; a 404 counts as handled, a 500 or half an answer does not."""
    return sum(sample.is_handled for sample in samples) / len(samples)


def estimate_profile(probe: Probe, limits: RateLimits) -> ServerProfile:
    """The line of `profiles.csv` for one probed server."""
    samples = probe.samples
    answered = [sample for sample in samples if sample.is_answered]
    crawl_delay_s = probe.robots.crawl_delay_s if probe.robots else None
    times_s = [sample.ttfb_s for sample in answered if sample.ttfb_s is not None]
    sizes = [sample.size_bytes for sample in samples if sample.kind is None and sample.size_bytes]
    return ServerProfile(
        server_name=probe.server_name,
        total_batches=probe.total_batches,
        success_count=sum(sample.kind is None for sample in samples),
        error_count=sum(sample.kind is not None for sample in samples),
        rate_limit=first_rate_rps(samples, probe.asked_rps, limits, crawl_delay_s),
        reachable=bool(answered),
        dns_s=probe.connection.dns_s,
        connect_s=probe.connection.connect_s,
        tls=probe.connection.tls,
        http_version=next((sample.http_version for sample in answered), ""),
        keep_alive=any(sample.reused for sample in samples) if len(answered) > 1 else None,
        ttfb_median_s=statistics.median(times_s) if times_s else None,
        ttfb_p90_s=_percentile_90(times_s) if times_s else None,
        bytes_per_s=_bytes_per_s(samples),
        size_median_bytes=int(statistics.median(sizes)) if sizes else None,
        statuses=_status_mix(samples),
        redirect_host=next((sample.redirect_host for sample in samples if sample.redirect_host), ""),
        crawl_delay_s=crawl_delay_s,
        disallowed_share=probe.robots.disallowed_share if probe.robots and not probe.robots.is_unreachable else None,
        retry_after_s=max(
            (sample.retry_after_s for sample in samples if sample.retry_after_s is not None), default=None
        ),
        ratelimit_rps=min(
            (sample.ratelimit_rps for sample in samples if sample.ratelimit_rps is not None), default=None
        ),
        robots_names_us=probe.robots.names_us if probe.robots and not probe.robots.is_unreachable else None,
        retry_at_unix_s=max(
            (sample.retry_at_unix_s for sample in samples if sample.retry_at_unix_s is not None), default=None
        ),
        needs_rule=_needed_rule(probe),
        note=_note(probe),
    )


def _percentile_90(values: Sequence[float]) -> float:
    """The smallest value that nine in ten do not exceed (nearest rank, which five values still support)."""
    ordered = sorted(values)
    return ordered[-(-9 * len(ordered) // 10) - 1]


def _bytes_per_s(samples: Sequence[Sample]) -> float | None:
    whole = [sample for sample in samples if sample.kind is None and sample.size_bytes and sample.total_s]
    seconds = sum(max(sample.total_s or 0.0, SHORTEST_S) for sample in whole)
    return sum(sample.size_bytes for sample in whole) / seconds if seconds else None


def _status_mix(samples: Sequence[Sample]) -> str:
    """Such as "200:4 404:1", failures without a status by their kind."""
    counts = Counter(str(sample.http_status or sample.kind) for sample in samples)
    return " ".join(f"{status}:{count}" for status, count in sorted(counts.items()))


def _needed_rule(probe: Probe) -> str:
    """What only the operator can decide, as a rule for `politeness.rules`."""
    if probe.connection.tls in {"", "ok", "none"}:
        return ""
    return f"verify_tls ({probe.connection.tls})"


def _note(probe: Probe) -> str:
    """What a reader of the table should know beyond the numbers."""
    remarks = [probe.cut_short] if probe.cut_short else []
    if probe.samples and not any(sample.is_answered for sample in probe.samples):
        first = probe.samples[0]
        word = "not reached" if first.kind in _UNREACHABLE_KINDS else "no answer"
        remarks.append(f"{word}: {first.message}")
    pages = sum(sample.content_type.startswith("text/html") and sample.http_status == 200 for sample in probe.samples)
    if pages:
        remarks.append(f"{pages} of {len(probe.samples)} answers are web pages")
    if probe.robots and probe.robots.is_unreachable:
        remarks.append("robots.txt could not be read")
    if any(sample.is_throttled for sample in probe.samples):
        remarks.append("asked for fewer requests")
    return "; ".join(remarks)
