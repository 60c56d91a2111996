"""Asks one server for a few of its images and notes how it answers. `requests` with a small, deliberate surface.

One visit is one session: requests start no closer than the budget's pace, nothing is retried, no redirect is followed
(the next hop is another server's budget), and the visit ends at its deadline whatever the server does: at the latest a
timer shuts its sockets. Nothing that is fetched is kept: the pictures of a probe are 5 of a server's thousands, and a
second way into the output would have to be as safe as the first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, IncompleteRead

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.answer import IDENTITY, kind_of_status
from ray_downloader.fetch.destination import RefusedUrlError
from ray_downloader.fetch.tls import ca_file
from ray_downloader.partition.server_key import BadUrlError, RequestUrl
from ray_downloader.politeness.headers.ratelimit import parse_ratelimit
from ray_downloader.politeness.headers.retry_after import parse_retry_after
from ray_downloader.politeness.headers.robots import MAX_ROBOTS_BYTES, RobotsRules
from ray_downloader.profile.connection import Dialler, pool_classes
from ray_downloader.profile.estimate import Connection, RobotsFinding, Sample
from ray_downloader.profile.pacer import ProbePacer

#: More of an image is not needed to know how fast a server sends.
_MOST_SAMPLE_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
#: A server that fails so often without an answer is not asked again: each time may cost a whole time-out.
_MOST_SILENT_FAILURES = 2
_FINAL_KINDS = frozenset({ErrorKind.DNS, ErrorKind.TLS, ErrorKind.FORBIDDEN_ADDRESS})
_FAILURES = (requests.RequestException, HTTPError, OSError, ValueError)
#: Versions as `http.client` numbers them.
_HTTP_VERSIONS = {10: "1.0", 11: "1.1"}


@dataclass(frozen=True, slots=True)
class Manners:
    """How every probe of a run behaves.

    Args:
        robots: The mode `politeness.robots`; "ignore" does not ask for robots.txt.
        max_seconds: The longest that one server may take.
    """

    network: NetworkSettings
    user_agent: str
    robots: str
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit brought home; `cut_short` says why it ended early, if it did."""

    samples: tuple[Sample, ...]
    connection: Connection
    robots: RobotsFinding | None
    cut_short: str


def visit(urls: Sequence[str], pace: ProbePacer, manners: Manners, verify_tls: bool | None = None) -> Visit:
    """Ask for robots.txt and for each of the URLs of one server.

    Args:
        urls: Addresses as the list has them.
        pace: Of the server's budget; a Crawl-delay slows it down.
        manners: How to behave.
        verify_tls: The server's own rule, if it has one.
    """
    dialler = Dialler(manners.network)
    deadline_s = time.monotonic() + manners.max_seconds
    watchdog = threading.Timer(manners.max_seconds, dialler.shut)
    watchdog.daemon = True
    watchdog.start()
    try:
        with _session(manners, dialler, verify_tls) as session:
            return _Visitor(session, dialler, pace, manners, deadline_s).go(urls)
    finally:
        watchdog.cancel()
        dialler.shut()


class _Visitor:
    """One visit under way."""

    def __init__(
        self, session: requests.Session, dialler: Dialler, pace: ProbePacer, manners: Manners, deadline_s: float
    ) -> None:
        self._session = session
        self._dialler = dialler
        self._pace = pace
        self._manners = manners
        self._deadline_s = deadline_s
        self._samples: list[Sample] = []

    def go(self, identifiers: Sequence[str]) -> Visit:
        """Ask for everything, in order."""
        urls = [url for url in map(_sendable, identifiers) if url]
        rules = self._read_robots(urls[0]) if urls and self._manners.robots != "ignore" else None
        robots = _finding(rules, urls) if rules else None
        if robots and robots.crawl_delay_s:
            self._pace.slow_down(robots.crawl_delay_s)
        obeyed = rules if self._manners.robots == "obey" else None
        cut_short = self._ask_each([url for url in urls if obeyed is None or obeyed.can_fetch(url.text)])
        return Visit(tuple(self._samples), self._dialler.connection, robots, cut_short)

    def _ask_each(self, urls: Sequence[RequestUrl]) -> str:
        for url in urls:
            if not self._pace.wait_turn(self._deadline_s):
                return f"stopped after {self._manners.max_seconds:g} s"
            sample = self._ask(url)
            self._samples.append(sample)
            if reason := self._reason_to_stop(sample):
                return reason
        return "" if urls else "no sampled row may be asked for"

    def _reason_to_stop(self, last: Sample) -> str:
        silent = sum(not sample.is_answered for sample in self._samples)
        if last.is_throttled:
            return f"stopped at status {last.http_status}"
        if last.kind in _FINAL_KINDS or silent >= _MOST_SILENT_FAILURES:
            return f"stopped at {last.kind}"
        return ""

    def _read_robots(self, url: RequestUrl) -> RobotsRules | None:
        """The rules; None where robots.txt could not be asked for, which the samples will then tell of."""
        if not self._pace.wait_turn(self._deadline_s):
            return None
        try:
            with self._get(RequestUrl.parse(urljoin(url.text, "/robots.txt"))) as answer:
                body = _read(answer, MAX_ROBOTS_BYTES)
                return RobotsRules.from_answer(answer.status_code, body, self._manners.user_agent)
        except (*_FAILURES, RefusedUrlError):
            return None

    def _ask(self, url: RequestUrl) -> Sample:
        self._dialler.take_setup_s()
        connections, started_s = self._dialler.connections, time.monotonic()
        status: int | None = None
        try:
            with self._get(url) as answer:
                status = answer.status_code
                waited_s = self._dialler.take_setup_s()
                ttfb_s = time.monotonic() - started_s - waited_s
                size_bytes = len(_read(answer, min(_MOST_SAMPLE_BYTES, self._manners.network.max_bytes)))
        except RefusedUrlError as error:
            return Sample(error.kind, message=str(error))
        except _FAILURES as error:
            return replace(self._failed(error), http_status=status)
        if self._dialler.is_shut:  # to a body or header block without a stated length, that looks like its end
            return replace(self._timed_out(), http_status=status)
        total_s = time.monotonic() - started_s - waited_s
        return _sample(answer, ttfb_s, total_s, size_bytes, connections == self._dialler.connections)

    def _get(self, url: RequestUrl) -> requests.Response:
        self._dialler.destinations.of(url)
        network = self._manners.network
        left_s = max(0.1, self._deadline_s - time.monotonic())
        timeouts = (min(network.connect_timeout_s, left_s), min(float(network.low_speed_s), left_s))
        return self._session.get(url.text, stream=True, allow_redirects=False, timeout=timeouts)

    def _failed(self, error: Exception) -> Sample:
        """A request without a whole answer; a socket that the watchdog shut looks as if the server had reset it."""
        dialled = self._dialler.take_failure()
        if self._dialler.is_shut or time.monotonic() >= self._deadline_s:
            return self._timed_out()
        if dialled is not None:
            return Sample(dialled[0], message=dialled[1])
        if isinstance(error, requests.Timeout | TimeoutError) or "timed out" in str(error):
            return Sample(ErrorKind.TIMEOUT, message=str(error))
        is_short = any(isinstance(cause, IncompleteRead) for cause in error.args)
        return Sample(ErrorKind.TRUNCATED if is_short else ErrorKind.RESET, message=str(error))

    def _timed_out(self) -> Sample:
        return Sample(ErrorKind.TIMEOUT, message=f"no end within {self._manners.max_seconds:g} s")


class _DialledAdapter(HTTPAdapter):
    """Lets the dialler make the connections; without retries."""

    def __init__(self, dialler: Dialler, tls_verdict: str) -> None:
        self._classes = pool_classes(dialler, tls_verdict)
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pool manager, with our pools in it."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._classes


def _session(manners: Manners, dialler: Dialler, verify_tls: bool | None) -> requests.Session:
    network = manners.network
    is_verified = network.verify_tls if verify_tls is None else verify_tls
    session = requests.Session()
    session.trust_env = False
    session.verify = ca_file(network) if is_verified else False
    session.headers = {"User-Agent": manners.user_agent, "Accept": "image/*,*/*;q=0.8", "Accept-Encoding": IDENTITY}
    if network.proxy is not None:
        session.proxies = {"http": network.proxy, "https": network.proxy}
    adapter = _DialledAdapter(dialler, "ok" if is_verified else "not verified")
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _read(answer: requests.Response, most_bytes: int) -> bytes:
    """The body, up to a size; a body that ends early is an error of the library."""
    body = bytearray()
    while len(body) < most_bytes and (chunk := answer.raw.read(_CHUNK_BYTES, decode_content=False)):
        body += chunk
    return bytes(body)


def _sample(answer: requests.Response, ttfb_s: float, total_s: float, size_bytes: int, reused: bool) -> Sample:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    target = _sendable(urljoin(answer.url, headers.get("location", "")))
    hint = parse_ratelimit(headers, time.time())
    retry_after = headers.get("retry-after")
    return Sample(
        kind=None if answer.is_redirect else kind_of_status(answer.status_code, headers),
        http_status=answer.status_code,
        ttfb_s=ttfb_s,
        total_s=total_s,
        size_bytes=size_bytes,
        content_type=headers.get("content-type", "").lower(),
        http_version=_HTTP_VERSIONS.get(answer.raw.version, ""),
        reused=reused,
        redirect_host=target.server if answer.is_redirect and target else None,
        retry_after_s=parse_retry_after(retry_after, time.time()) if retry_after else None,
        ratelimit_rps=hint.rate_rps if hint else None,
    )


def _finding(rules: RobotsRules, urls: Sequence[RequestUrl]) -> RobotsFinding:
    disallowed = sum(not rules.can_fetch(url.text) for url in urls)
    return RobotsFinding(rules.crawl_delay_s, disallowed / len(urls))


def _sendable(identifier: str) -> RequestUrl | None:
    try:
        return RequestUrl.parse(identifier)
    except BadUrlError:
        return None
