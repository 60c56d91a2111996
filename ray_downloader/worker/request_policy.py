"""The worker loop's decisions about one request, as plain functions: no network, clock or Ray.

Where a URL leads and whose budget it spends; what an answer means; whether a failure is worth another request.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ray_downloader.config.secrets import SecretHeaders
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ErrorKind, error_code
from ray_downloader.fetch.base import DnsFailure, FetchResult
from ray_downloader.partition.server_key import BadUrlError, RequestUrl, without_user_info
from ray_downloader.politeness.headers.moments import seconds_until
from ray_downloader.politeness.headers.ratelimit import parse_ratelimit
from ray_downloader.politeness.headers.retry_after import parse_retry_after
from ray_downloader.politeness.headers.usage import robots_tag, usage_of_headers
from ray_downloader.politeness.headers.user_agent import PRODUCT_TOKEN
from ray_downloader.politeness.headers.x_robots_tag import find_opt_out
from ray_downloader.politeness.messages import HostWait, Lease, Outcome, Verdict
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.politeness.retry import TRANSIENT, GiveUp, decide
from ray_downloader.run_folder.schemas import ErrorRecord

#: Ways to resize for which the shorter side counts.
_BY_SHORTER_SIDE = frozenset({"keep_ratio_shortest", "center_crop"})
#: A row that fails while others are served is retried after this long, and then after twice as long.
ODD_DELAY_S = 10.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes, and what it spends and carries.

    Args:
        target: The URL, parsed.
        budget: Name of the budget that the request spends.
        verify_tls: The server's own rule, if it has one.
        headers: Headers that the server's rule adds to the request, secrets included.
    """

    target: RequestUrl
    budget: str
    verify_tls: bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """The URL as it is sent."""
        return self.target.text

    @property
    def server(self) -> str:
        """Canonical key of the server."""
        return self.target.server


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a row has no image (yet)."""

    kind: ErrorKind
    message: str
    http_status: int | None = None
    retry_after_s: float | None = None

    @classmethod
    def of_verdict(cls, given: Lease | HostWait) -> Failure:
        """The failure of rows whose server, or whose host of a group, gets no more requests."""
        if given.is_no_such_name:
            return cls(ErrorKind.DNS, "the resolver reported repeatedly that the name does not exist")
        kind, message = _VERDICT_FAILURES[given.verdict]
        return cls(kind, f"{message}: {given.said}" if given.said else message)

    @classmethod
    def of_ban(cls) -> Failure:
        """The failure of rows of a banned host."""
        return cls(*_VERDICT_FAILURES[Verdict.BANNED])

    def dump(self) -> dict[str, Any]:
        """The failure as JSON-able values."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Failure:
        """Restore what `dump` returned."""
        return cls(**{**dumped, "kind": ErrorKind(dumped["kind"])})

    def record(self, retry_count: int, at: datetime) -> ErrorRecord:
        """The failure as a row of `errors.parquet`."""
        return ErrorRecord(
            retry_count=retry_count,
            error_code=error_code(self.kind, self.http_status),
            error_msg=without_user_info(self.message),
            error_kind=str(self.kind),
            http_status=self.http_status,
            retry_after_s=self.retry_after_s,
            fetched_at=at,
        )


_VERDICT_FAILURES = {
    Verdict.DEAD: (
        ErrorKind.SERVER_DEAD,
        "the server answered neither the requests nor a single probe within its patience",
    ),
    Verdict.REFUSED: (ErrorKind.SERVER_REFUSED, "the server refused every request until its patience was over"),
    Verdict.OPTED_OUT: (ErrorKind.OPTED_OUT, "the server opts out of such use for every image that was requested"),
    Verdict.BANNED: (ErrorKind.IGNORED_SERVER, "the operator banned this server during the run"),
}


def failure_of_checksum(result: FetchResult) -> Failure:
    """The failure of a row for which other bytes arrived than its list describes."""
    message = f"{result.size_bytes} bytes arrived, whose checksum or size is not the one in the list"
    return Failure(ErrorKind.CHECKSUM_MISMATCH, message, result.status)


class RequestPolicy:
    """Decisions about requests of one run.

    Args:
        settings: The run's settings.
        policies: Limits by server.
        ignored: Servers and groups that must not get requests (`ignored.csv`).
        secrets: Headers of requests for rows of the list.
    """

    def __init__(
        self,
        settings: Settings,
        policies: PolicyBook,
        ignored: Collection[str],
        secrets: SecretHeaders = SecretHeaders(),  # noqa: B008 (frozen)
    ) -> None:
        self.max_redirects = settings.network.max_redirects
        self.request_timeout_s = settings.network.request_timeout_s
        self.patience_s = settings.politeness.patience_s
        self.max_attempts = settings.network.max_attempts
        self.requires_checksum = settings.dataset.checksum == "require"
        self._directives = settings.politeness.opt_out_directives
        self._is_strict = settings.politeness.opt_out == "strict"
        self.least_px = least_px_of(settings)
        self.least_shorter_px = least_shorter_px_of(settings)
        self._policies = policies
        self._ignored = frozenset(ignored)
        self._secrets = secrets
        self._known: dict[str, tuple[str, bool | None]] = {}

    def route(self, url: str, start: str | None = None) -> Route | Failure:
        """Where a request for `url` goes, or why there is none.

        Args:
            url: The URL to request.
            start: The list's URL for which this request is made. Only that URL's server gets the headers that the
                configuration adds: a redirect to another server, or to plain HTTP, does not carry them.
        """
        try:
            target = RequestUrl.parse(url)
        except BadUrlError as error:
            return Failure(ErrorKind.BAD_URL, f"{url}: {error}")
        budget, verify_tls = self._facts(target.server)
        for name in (target.server, budget):
            if name in self._ignored:
                return Failure(ErrorKind.IGNORED_SERVER, f"{name} is in the table of ignored servers")
        is_listed = bool(self._secrets) and start is not None and (start == url or _is_same_server(target, start))
        headers = self._secrets.of(target.server) if is_listed else {}
        return Route(target, budget, verify_tls, headers)

    def _facts(self, server: str) -> tuple[str, bool | None]:
        """Budget and TLS rule of a server, looked up once."""
        facts = self._known.get(server)
        if facts is None:
            facts = self._known[server] = (self._policies.budget_key(server), self._policies.policy(server).verify_tls)
        return facts

    def failure_of(self, result: FetchResult, now_unix_s: float, *, is_403_ban: bool = False) -> Failure | None:
        """Why the answer is not an image to be processed; None if it may be one.

        Args:
            is_403_ban: Whether the server's budget now treats a 403 as throttling.
        """
        if result.kind is not None:
            kind = ErrorKind.HTTP_403_BAN if is_403_ban and result.status == 403 else result.kind
            return Failure(kind, result.message, result.status, _retry_after_s(result, now_unix_s))
        directive = find_opt_out(robots_tag(result.headers), self._directives, PRODUCT_TOKEN)
        if directive:
            return Failure(ErrorKind.OPTED_OUT, f"X-Robots-Tag: {directive}", result.status)
        reserved_by = usage_of_headers(result.headers, PRODUCT_TOKEN).reserved_by if self._is_strict else ""
        return Failure(ErrorKind.OPTED_OUT, reserved_by, result.status) if reserved_by else None

    def outcome(self, result: FetchResult, failure: Failure | None, now_unix_s: float) -> Outcome:
        """The answer as the server's budget sees it; `loop._of_row` adds what is known about its row."""
        hint = parse_ratelimit(result.headers, now_unix_s)
        return Outcome(
            kind=failure.kind if failure else None,
            http_status=result.status,
            size_bytes=result.size_bytes,
            ttfb_s=result.ttfb_s,
            total_s=result.total_s,
            retry_after_s=_retry_after_s(result, now_unix_s),
            ratelimit_rps=hint.rate_rps if hint else None,
            ratelimit_reset_s=hint.reset_s if hint else None,
            said=without_user_info(result.said),
            is_no_such_name=result.dns_failure is DnsFailure.NO_SUCH_NAME,
        )

    def may_pass(self, failure: Failure) -> bool:
        """Whether another request for the same row may succeed."""
        return failure.kind in TRANSIENT

    def own_wait_s(self, failure: Failure) -> float:
        """How long a row waits because its answer said so: at most as long as a server is waited for."""
        return min(failure.retry_after_s or 0.0, self.patience_s)

    def retry_delay_s(
        self, failure: Failure, attempt: int, rng: random.Random, *, is_odd: bool = False
    ) -> float | None:
        """How long to wait before another request for the same row; None: it stays failed.

        Args:
            is_odd: Whether it fails while others of its server are served: its trouble will not pass in a moment. If it
                says that it lasts for longer than our patience, that is its error.
        """
        wait_s = self.own_wait_s(failure)
        decision = decide(failure.kind, attempt, self.max_attempts, wait_s, rng)
        if isinstance(decision, GiveUp) or (is_odd and wait_s < (failure.retry_after_s or 0.0)):
            return None
        return max(decision.delay_s, ODD_DELAY_S * (attempt - 1)) if is_odd else decision.delay_s


def least_px_of(settings: Settings) -> int:
    """The longer side that a rendition needs; 0 if listed pictures are requested as they are.

    Of pictures that are stored at their shorter side it is that of one whose sides are 2:1.
    """
    image = settings.image
    if image.renditions == "off" or image.encode == "original" or image.resize == "none":
        return 0
    ratio = 2 if image.resize in _BY_SHORTER_SIDE else 1
    least_px = math.ceil(settings.downloader_parameters.image_size * image.fast_gap) * ratio
    return max(least_px, image.min_size or 0)


def least_shorter_px_of(settings: Settings) -> int:
    """The shorter side that a rendition needs so that no more is stored of the listed picture; 0 if any will do."""
    return settings.downloader_parameters.image_size if settings.image.resize in _BY_SHORTER_SIDE else 0


def _is_same_server(target: RequestUrl, start: str) -> bool:
    """Whether a request that began at `start` is still at its server, and no easier to eavesdrop on."""
    try:
        listed = RequestUrl.parse(start)
    except BadUrlError:
        return False
    return listed.server == target.server and target.scheme in {listed.scheme, "https"}


def _retry_after_s(result: FetchResult, now_unix_s: float) -> float | None:
    """The wait that the answer asks for; a date is read on the server's own clock, as ours may be wrong by hours."""
    value = result.headers.get("retry-after")
    if not value:
        return None
    ahead_s = seconds_until(result.headers.get("date", ""), now_unix_s) or 0.0
    return parse_retry_after(value, now_unix_s + ahead_s)
