"""Requests a few of a server's images and records how it answers, with the same fetcher as the download.

A session has a fetcher of its own: requests start no closer together than the budget's pace, nothing is retried, no
redirect to another server is followed (it would be a request of that server's budget), and the session ends at its
deadline whatever the server does. Nothing that is fetched is kept: the pictures of a probe are 5 of a server's
thousands, and a second way into the output would have to be as safe as the first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import Fetcher, FetcherFactory, FetchRequest, FetchResult
from ray_downloader.partition.server_key import BadUrlError, RequestUrl
from ray_downloader.politeness.headers.ratelimit import parse_ratelimit
from ray_downloader.politeness.headers.retry_after import parse_retry_after
from ray_downloader.politeness.headers.robots import MAX_ROBOTS_BYTES, RobotsRules, RobotsState, robots_text
from ray_downloader.profile.estimate import Connection, RobotsFinding, Sample
from ray_downloader.profile.pacer import ProbePacer
from ray_downloader.worker.robots_store import KeptAnswer

#: This much of an image is enough to know how fast a server sends.
_MOST_SAMPLE_BYTES = 4 * 1024 * 1024
#: After this many failures without an answer a server gets no more requests: each may cost a whole time-out.
_MOST_SILENT_FAILURES = 2
#: Hops of robots.txt that are followed within the server (RFC 9309 section 2.3.1.2).
_MOST_HOPS = 5
_FINAL_KINDS = frozenset({ErrorKind.DNS, ErrorKind.TLS, ErrorKind.FORBIDDEN_ADDRESS})


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How every probe of a run behaves.

    Args:
        make_fetcher: The run's fetcher.
        robots: The mode `politeness.robots`; also under "ignore" a group that names us counts.
        max_seconds: The longest time that one server may take.
    """

    make_fetcher: FetcherFactory
    network: NetworkSettings
    user_agent: str
    robots: Literal["delay", "obey", "ignore"]
    max_seconds: float


@dataclass(frozen=True, slots=True)
class ProbedServer:
    """What is known about the server that is probed: the rules of the configuration, and its robots.txt of today."""

    verify_tls: bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    robots: KeptAnswer | None = None


@dataclass(frozen=True, slots=True)
class ProbeFindings:
    """What a session found out.

    Args:
        robots: What robots.txt says to us.
        cut_short: Why it ended early, if it did.
        answer: The robots.txt that was read, for the download.
    """

    samples: tuple[Sample, ...]
    connection: Connection
    robots: RobotsFinding | None
    cut_short: str
    answer: KeptAnswer | None = None


def probe_server(
    identifiers: Sequence[str], pacer: ProbePacer, options: ProbeOptions, server: ProbedServer = ProbedServer()
) -> ProbeFindings:
    """Request robots.txt and each of the URLs of one server.

    Args:
        identifiers: URLs as the list has them.
        pacer: The pacer of the server's budget; a Crawl-delay slows it down.
        options: How to behave.
        server: What is special about this server.
    """
    deadline_s = time.monotonic() + options.max_seconds
    network = options.network.model_copy(
        update={
            "connect_timeout_s": min(options.network.connect_timeout_s, options.max_seconds),
            "request_timeout_s": min(options.network.request_timeout_s, options.max_seconds),
        }
    )
    with closing(options.make_fetcher(network, options.user_agent, 1)) as fetcher:
        return _ProbeSession(fetcher, pacer, options, server, deadline_s).run(identifiers)


class _ProbeSession:
    """One session of probing."""

    def __init__(
        self, fetcher: Fetcher, pacer: ProbePacer, options: ProbeOptions, server: ProbedServer, deadline_s: float
    ) -> None:
        self._fetcher = fetcher
        self._pacer = pacer
        self._options = options
        self._server = server
        self._deadline_s = deadline_s
        self._tokens = count()
        self._samples: list[Sample] = []
        self._connection = Connection()
        self._answer: KeptAnswer | None = None

    def run(self, identifiers: Sequence[str]) -> ProbeFindings:
        """Send all requests, in order."""
        urls = [url for url in map(_parsed, identifiers) if url]
        mode, rules = self._options.robots, None
        if urls:
            rules, obstacle = self._read_robots(urls[0])
            if obstacle:
                return self._findings(None, obstacle)
        if rules is None or (mode == "ignore" and not rules.names_us):
            return self._findings(None, self._ask_each(urls))
        robots = _finding(rules, urls)
        if robots.crawl_delay_s:
            self._pacer.slow_down(robots.crawl_delay_s)
        if robots.is_unreachable and mode == "obey":
            return self._findings(robots, "robots.txt could not be read")
        if mode == "obey" or rules.names_us:
            urls = [url for url in urls if rules.can_fetch(url.text)]
        return self._findings(robots, self._ask_each(urls))

    def _findings(self, robots: RobotsFinding | None, cut_short: str) -> ProbeFindings:
        return ProbeFindings(tuple(self._samples), self._connection, robots, cut_short, self._answer)

    def _ask_each(self, urls: Sequence[RequestUrl]) -> str:
        for url in urls:
            if not self._pacer.wait_turn(self._deadline_s):
                return f"stopped after {self._options.max_seconds:g} s"
            sample = self._sample(self._get(url, _MOST_SAMPLE_BYTES))
            self._samples.append(sample)
            if reason := self._reason_to_stop(sample):
                return reason
        return "" if urls else "no sampled row may be requested"

    def _reason_to_stop(self, last: Sample) -> str:
        silent = sum(not sample.is_answered for sample in self._samples)
        if last.is_throttled:
            return f"stopped at status {last.http_status}"
        if last.kind in _FINAL_KINDS or silent >= _MOST_SILENT_FAILURES:
            return f"stopped at {last.kind}"
        return ""

    def _read_robots(self, url: RequestUrl) -> tuple[RobotsRules | None, str]:
        """The rules, or None without an answer (the samples will show why); and why no more is requested, if so."""
        if (kept := self._server.robots) is not None:
            return RobotsRules.from_answer(kept.status, (kept.text or "").encode(), self._options.user_agent), ""
        result = self._fetch_robots(RequestUrl.parse(f"{url.scheme}://{url.text.split('/', 3)[2]}/robots.txt"))
        if result is None or result.status is None:
            return None, ""
        if result.redirect_url and _is_elsewhere(result.redirect_url, url):
            return None, "robots.txt is on another server, which the download reads"
        sample = self._sample(result)
        if sample.is_throttled and (self._options.robots != "ignore" or sample.retry_after_s):
            self._samples.append(sample)  # it refused a page that anybody may read
            return None, f"stopped at status {result.status} of robots.txt"
        is_whole = result.kind in {None, ErrorKind.EMPTY} or result.status >= 300
        status = result.status if is_whole and not sample.is_throttled else None
        rules = RobotsRules.from_answer(status, result.body, self._options.user_agent)
        if rules.state is not RobotsState.UNREACHABLE:
            self._answer = KeptAnswer(status, robots_text(status, result.body))
        return rules, ""

    def _fetch_robots(self, at: RequestUrl) -> FetchResult | None:
        """The last answer on the way to robots.txt, following redirects only within its server."""
        result = None
        for _ in range(1 + _MOST_HOPS):
            if not self._pacer.wait_turn(self._deadline_s):
                break
            result = self._get(at, MAX_ROBOTS_BYTES)
            target = _parsed(result.redirect_url or "") if result else None
            if target is None or target.server != at.server:
                break
            at = target
        return result

    def _get(self, url: RequestUrl, enough_bytes: int) -> FetchResult | None:
        """The answer; None if the deadline came first."""
        request = FetchRequest(next(self._tokens), url, self._server.headers, self._server.verify_tls, enough_bytes)
        self._fetcher.start(request)
        while (left_s := self._deadline_s - time.monotonic()) > 0:
            for result in self._fetcher.poll(left_s):
                if result.token == request.token:
                    self._note_connection(url, result)
                    return result
        return None

    def _note_connection(self, url: RequestUrl, result: FetchResult) -> None:
        """Record what the latest connection showed."""
        if result.tls or result.kind is ErrorKind.TLS:
            self._connection = replace(self._connection, tls=result.tls or "no handshake")
        if result.connection is None:
            return
        is_verified = self._server.verify_tls
        if is_verified is None:
            is_verified = self._options.network.verify_tls
        tls = self._connection.tls if result.kind is ErrorKind.TLS else "ok" if is_verified else "not verified"
        self._connection = Connection(
            dns_s=result.connection.dns_s,
            connect_s=result.connection.connect_s,
            tls=tls if url.scheme == "https" else "none",
            remote_ip=result.remote_ip or "",
        )

    def _sample(self, result: FetchResult | None) -> Sample:
        if result is None or (result.kind is ErrorKind.TIMEOUT and time.monotonic() >= self._deadline_s):
            status = result.status if result else None
            message = f"no end within {self._options.max_seconds:g} s"
            return Sample(ErrorKind.TIMEOUT, http_status=status, message=message)
        now_unix_s = time.time()
        setup_s = result.connection.setup_s if result.connection else 0.0
        hint = parse_ratelimit(result.headers, now_unix_s)
        target = _parsed(result.redirect_url or "")
        retry_after_s = parse_retry_after(result.headers.get("retry-after", ""), now_unix_s)
        return Sample(
            kind=result.kind,
            http_status=result.status,
            ttfb_s=None if result.ttfb_s is None else max(0.0, result.ttfb_s - setup_s),
            total_s=None if result.status is None else max(0.0, result.total_s - setup_s),
            size_bytes=result.size_bytes,
            content_type=result.headers.get("content-type", "").lower(),
            http_version=result.http_version or "",
            reused=result.status is not None and result.connection is None,
            redirect_host=target.server if target else None,
            retry_after_s=retry_after_s,
            retry_at_unix_s=None if retry_after_s is None else int(now_unix_s + retry_after_s) + 1,
            ratelimit_rps=hint.rate_rps if hint else None,
            message=result.message,
        )


def _finding(rules: RobotsRules, urls: Sequence[RequestUrl]) -> RobotsFinding:
    if rules.state is RobotsState.UNREACHABLE:
        return RobotsFinding(is_unreachable=True)
    disallowed = sum(not rules.can_fetch(url.text) for url in urls)
    return RobotsFinding(rules.crawl_delay_s, disallowed / len(urls), rules.names_us)


def _is_elsewhere(redirect_url: str, url: RequestUrl) -> bool:
    target = _parsed(redirect_url)
    return target is not None and target.server != url.server


def _parsed(text: str) -> RequestUrl | None:
    try:
        return RequestUrl.parse(text)
    except BadUrlError:
        return None
