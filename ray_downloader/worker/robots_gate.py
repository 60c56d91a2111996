"""What robots.txt says about the rows of a task: read before a server's first row, kept for a day (`robots_store.py`).

`delay` honours Crawl-delay and counts what Disallow would exclude, `obey` excludes it, `ignore` sets aside what is said
to others. A group that names us is obeyed in every mode. The request for robots.txt waits in the server's queue, so it
spends the budget like any other. With `opt_out=strict` what robots.txt reserves counts in every mode, too, and the
server's `tdmrep.json` is read after it in the same way.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal
from urllib.parse import urlsplit

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchResult
from ray_downloader.politeness.headers.robots import (
    RobotsRules,
    RobotsState,
    has_group_for,
    robots_state,
    robots_text,
)
from ray_downloader.politeness.headers.usage import TdmRepFile, Usage
from ray_downloader.politeness.headers.user_agent import PRODUCT_TOKEN
from ray_downloader.politeness.messages import Outcome
from ray_downloader.politeness.server.evidence import is_throttled, wait_asked_for_s
from ray_downloader.worker.request_policy import Route
from ray_downloader.worker.robots_store import KeptAnswer, RobotsStore
from ray_downloader.worker.row import Row

Mode = Literal["delay", "obey", "ignore"]

#: RFC 9309 section 2.3.1.2: at least five hops are followed.
MAX_HOPS = 5
#: Files that a task holds parsed (20 kB each for one of 2 kB); older ones are parsed again when they are needed.
MOST_PARSED = 2_000
#: RFC 9309 section 2.3.1.4: a robots.txt that cannot be reached forbids everything. That may be temporary, so under
#: `obey` it is requested again after these waits. After them the server is in trouble, and its patience decides how
#: long; in a group, whose other hosts may be well, its rows are excluded.
RETRY_DELAYS_S = (2.0, 10.0, 30.0)
#: A server that cannot be reached at all is in trouble after fewer tries.
UNREACHED_TRIES = 2
_UNREACHED = frozenset({ErrorKind.DNS, ErrorKind.CONNECT, ErrorKind.TLS, ErrorKind.FORBIDDEN_ADDRESS})
#: Statuses from here on say that there is no file, whatever becomes of their bodies.
_NOT_A_FILE = 300
#: A longer file is cut where it may be.
_WHOLE = frozenset({None, ErrorKind.EMPTY, ErrorKind.TOO_LARGE})


class Admission(Enum):
    """The decision about a row."""

    ADMITTED = "admitted"
    HELD = "held"
    EXCLUDED = "excluded"
    RESERVED = "reserved"


@dataclass(slots=True, eq=False)
class RobotsRequest:
    """The request for one server's robots.txt, or for its `tdmrep.json`.

    Args:
        said: Its last answer, if that was about this file; the rows end with it if the server is given up.
    """

    server: str
    route: Route
    hops: int = 0
    tries: int = 1
    is_for_tdmrep: bool = False
    said: FetchResult | None = None

    def note(self, result: FetchResult) -> None:
        """Remember an answer that is about this file and not a refusal of all requests."""
        is_own = result.status is not None and not is_throttled(result.kind, result.status, None)
        self.said = result if is_own else None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known about one server: its rules, or None if there are none to obey; why, if none could be read."""

    rules: RobotsRules | None
    unreadable: str = ""


#: Shared by all servers to which they apply: most have no robots.txt.
_NO_RULES = _Known(None)
_NO_FILE = _Known(RobotsRules("", PRODUCT_TOKEN, RobotsState.UNAVAILABLE))


class RobotsGate:
    """Admits rows of servers whose robots.txt is known, and holds the others until it is.

    Args:
        mode: `politeness.robots`.
        store: What servers have answered, to this task and others.
        is_strict: Whether uses that robots.txt reserves are respected (`politeness.opt_out=strict`).
    """

    def __init__(self, mode: Mode, store: RobotsStore, *, is_strict: bool = False) -> None:
        #: Rows that Disallow would exclude, by server (mode `delay`).
        self.disallowed: Counter[str] = Counter()
        self._mode = mode
        self._store = store
        self._is_strict = is_strict
        self._known: dict[str, _Known] = {}
        self._parsed: deque[str] = deque()
        self._tdmrep: dict[str, TdmRepFile] = {}
        self._held: defaultdict[str, list[Row]] = defaultdict(list)

    def admit(self, row: Row, route: Route) -> Admission:
        """Decide about a row; `learn` returns it if it is held."""
        known = self._known_about(route.server)
        is_incomplete = self._is_strict and route.server not in self._tdmrep
        if known is None or (known.rules and is_incomplete):
            self._held[route.server].append(row)
            return Admission.HELD
        if known.unreadable:
            return Admission.EXCLUDED
        return self._by_rules(row, route, known.rules) if known.rules else Admission.ADMITTED

    def _by_rules(self, row: Row, route: Route, rules: RobotsRules) -> Admission:
        if self._is_strict and self.usage(route).reserved_by:
            return Admission.RESERVED
        if not self._counts(rules) or rules.can_fetch(route.url):
            return Admission.ADMITTED
        self.disallowed[row.server] += len(row.rows.numbers)
        is_obeyed = self._mode == "obey" or rules.names_us
        return Admission.EXCLUDED if is_obeyed else Admission.ADMITTED

    def _counts(self, rules: RobotsRules) -> bool:
        """Whether its Disallow and Crawl-delay are for us."""
        return self._mode != "ignore" or rules.names_us

    def usage(self, route: Route | None) -> Usage:
        """What robots.txt and `tdmrep.json`, if they were read, state about uses of the file."""
        known = self._known_about(route.server) if route else None
        if not route or not known or not known.rules:
            return Usage()
        file = self._tdmrep.get(route.server, TdmRepFile())
        return known.rules.usage(route.url) + file.of(urlsplit(route.url).path or "/")

    def reserved_by(self, route: Route) -> str:
        """Why a row is reserved, as a sentence."""
        return f"{self.usage(route).reserved_by} ({route.server}), which opt_out=strict respects"

    def reason(self, server: str) -> str:
        """Why a row of that server is excluded, as a sentence."""
        known = self._known.get(server)
        if known is not None and known.unreadable:
            return f"robots.txt of {server} could not be read ({known.unreadable}), which robots=obey takes as a no"
        return f"robots.txt of {server} excludes it"

    def _known_about(self, server: str) -> _Known | None:
        """What this task knows, or another has kept; None: the file has to be requested, or is on its way."""
        if server not in self._known and server not in self._held:
            self._recall(server)
        return self._known.get(server)

    def needs_request(self, server: str) -> bool:
        """Whether the row just held is the server's first, so that the file for which it waits has to be fetched."""
        return len(self._held[server]) == 1

    def file_request(self, route: Route, file_route: Callable[[str], Route | None]) -> RobotsRequest | None:
        """The request for the file for which a row is held.

        Args:
            route: The row's.
            file_route: Makes the route to a URL; None if it may not be requested.
        """
        is_for_tdmrep = route.server in self._known
        to_file = file_route(tdmrep_url(route.url) if is_for_tdmrep else robots_url(route.url))
        return RobotsRequest(route.server, to_file, is_for_tdmrep=is_for_tdmrep) if to_file else None

    def retry_delay_s(self, request: RobotsRequest, result: FetchResult, budget: str) -> float | None:
        """How long to wait before robots.txt is requested again; None if the result is final.

        Args:
            budget: The budget that the request spent. A server's own gives it up in the end, and so ends the waiting.
        """
        if not self._must_be_read(request, result):
            return None
        if request.tries <= len(RETRY_DELAYS_S):
            return RETRY_DELAYS_S[request.tries - 1]
        return RETRY_DELAYS_S[-1] if _is_judged(request, budget) else None

    def shows_trouble(self, request: RobotsRequest, result: FetchResult, budget: str) -> bool:
        """Whether the failed request shows that its server is in trouble: all of its rows wait for this file."""
        tries = UNREACHED_TRIES if result.kind in _UNREACHED else len(RETRY_DELAYS_S) + 1
        return self._must_be_read(request, result) and _is_judged(request, budget) and request.tries >= tries

    def is_own_failure(self, outcome: Outcome) -> bool:
        """Whether a failure to deliver this file is no evidence about the server: under `ignore` nothing waits for it.

        A refusal because of our rate, and a wait that it demands, are not about the file.
        """
        is_about_us = outcome.kind is ErrorKind.HTTP_429 or bool(
            wait_asked_for_s(outcome.kind, outcome.http_status, outcome.retry_after_s)
        )
        return self._mode == "ignore" and outcome.kind is not None and not is_about_us

    def _must_be_read(self, request: RobotsRequest, result: FetchResult) -> bool:
        return self._mode == "obey" and not request.is_for_tdmrep and _is_unreachable(result)

    def learn(self, request: RobotsRequest, result: FetchResult | None) -> list[Row]:
        """Process the result of the request (None: it was never sent); returns the rows held for it."""
        if request.is_for_tdmrep:
            is_file = result is not None and result.kind is None and result.redirect_url is None
            text = result.body.decode("utf-8-sig", "replace") if result is not None and is_file else ""
            self._tdmrep[request.server] = TdmRepFile(text)
            self._store.keep("tdmrep.json", request.server, KeptAnswer(200 if is_file else 404, text))
        elif result is None or result.kind in _UNREACHED or _is_unreachable(result):
            self._learn_failure(request.server, result)
        else:
            answer = self._answer(result)
            self._store.keep("robots.txt", request.server, answer)
            self._note(request.server, answer)
        return self._held.pop(request.server, [])

    def _learn_failure(self, server: str, result: FetchResult | None) -> None:
        self._known[server] = _NO_RULES
        if self._mode != "obey":
            self._store.keep("robots.txt", server, KeptAnswer(None, ""))
        elif result is not None and result.kind not in _UNREACHED:
            self._known[server] = _Known(None, str(result.status or result.kind))

    def take_back(self, request: RobotsRequest) -> list[Row]:
        """Its server may not be asked any more, or not now: the rows held for it; nothing is known of the file."""
        return self._held.pop(request.server, [])

    def recall(self, request: RobotsRequest) -> list[Row]:
        """The rows held for a file that another task has fetched meanwhile; none: it must be requested."""
        self._recall(request.server)
        known = self._tdmrep if request.is_for_tdmrep else self._known
        return self._held.pop(request.server, []) if request.server in known else []

    def crawl_delay_s(self, server: str) -> float | None:
        """Time between requests that the server demands."""
        known = self._known_about(server)
        return known.rules.crawl_delay_s if known and known.rules and self._counts(known.rules) else None

    @property
    def _reads_all(self) -> bool:
        """Whether a file matters that does not name us."""
        return self._mode != "ignore" or self._is_strict

    def _answer(self, result: FetchResult) -> KeptAnswer:
        """What is kept of an answer: the text only if it matters in this mode."""
        text = robots_text(result.status, result.body)
        return KeptAnswer(result.status, None if text and not self._matters(text) else text)

    def _matters(self, text: str) -> bool:
        return self._reads_all or has_group_for(PRODUCT_TOKEN, text)

    def _recall(self, server: str) -> None:
        kept = self._store.find("robots.txt", server)
        if kept is not None and kept.status is None:
            if self._mode != "obey":
                self._known[server] = _NO_RULES
        elif kept is not None and (kept.text is not None or not self._reads_all):
            self._note(server, kept)
        if self._is_strict and (kept := self._store.find("tdmrep.json", server)) is not None:
            self._tdmrep[server] = TdmRepFile(kept.text or "")

    def _note(self, server: str, answer: KeptAnswer) -> None:
        if not answer.text or not self._matters(answer.text):
            self._known[server] = _NO_FILE if self._reads_all else _NO_RULES
            return
        self._known[server] = _Known(RobotsRules(answer.text, PRODUCT_TOKEN))
        self._parsed.append(server)
        if len(self._parsed) > MOST_PARSED:
            self._known.pop(self._parsed.popleft(), None)


def _is_judged(request: RobotsRequest, budget: str) -> bool:
    return not request.hops and budget == request.server


def robots_url(url: str) -> str:
    """The URL of the robots.txt that governs `url`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/robots.txt"


def tdmrep_url(url: str) -> str:
    """The URL of the `tdmrep.json` of the server of `url`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/.well-known/tdmrep.json"


def _is_unreachable(result: FetchResult) -> bool:
    """Whether the server did not say what its file is: half of one may lack the group that names us."""
    is_whole = result.kind in _WHOLE or (result.status or 0) >= _NOT_A_FILE
    return not is_whole or robots_state(result.status) is RobotsState.UNREACHABLE
