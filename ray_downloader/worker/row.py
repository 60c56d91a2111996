"""One row in progress, as a named state machine. Pure.

    queued --> in_flight --> body --> settled          any state --> settled
       |  ^        |  ^
       v  |        v  |
      robots    redirected, deferred

A row knows its attempt, where its next request goes, and what happened to it (`events`), so that nothing that was
learned is forgotten or paid for twice: `progress` travels with the batch to the next slice, run or node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any
from zlib import crc32

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.cookies import RedirectCookies
from ray_downloader.fetch.renditions import Rendition
from ray_downloader.output.journal import Rows
from ray_downloader.output.reused import HeldPicture
from ray_downloader.partition.server_key import without_user_info
from ray_downloader.run_folder.checksums import Listed
from ray_downloader.worker.request_policy import Failure, Route
from ray_downloader.worker.spacing import SCALES

if TYPE_CHECKING:
    from ray_downloader.worker.batch_work import BatchWork

#: A redirect of this age may have expired: if its target refuses the row, the row starts over, once.
STALE_REDIRECT_S = 60.0
#: `Row.failed_at_s` of a row that failed before others of its server were served, whenever that was.
OTHERS_SERVED_SINCE = float("-inf")
#: Refusals of a version of a picture after which a document may say which others there are.
_NO_SUCH_VERSION = frozenset({400, 403, 404, 405, 501})
#: Refusals that are typical of an expired redirect (a signed URL).
_EXPIRED = frozenset({401, 403, 404, 410})


class RowState(str, Enum):
    """The current state of a row."""

    #: Waits for its first request.
    QUEUED = "queued"
    #: Waits for the robots.txt of its server.
    ROBOTS = "robots"
    #: A request is in flight.
    IN_FLIGHT = "in_flight"
    #: Its last request redirected; waits for the next one.
    REDIRECTED = "redirected"
    #: Its bytes have arrived; waits for the decoder.
    BODY = "body"
    #: Its last request failed and another may succeed; waits for its time, or for its server.
    DEFERRED = "deferred"
    #: In the journal, as an image or an error.
    SETTLED = "settled"


_Q, _R, _F, _H, _B, _D, _S = RowState
_TRANSITIONS: Mapping[RowState, frozenset[RowState]] = {
    _Q: frozenset({_R, _F, _S}),
    _R: frozenset({_Q, _H, _D, _S}),
    _F: frozenset({_H, _B, _D, _Q, _S}),
    _H: frozenset({_R, _F, _Q, _S}),
    _B: frozenset({_D, _S, _Q}),
    _D: frozenset({_R, _F, _Q, _S}),
    _S: frozenset(),
}


@dataclass(slots=True, eq=False)
class Row:
    """One URL to fetch, for one or several rows of a batch that have it.

    Args:
        batch: Where it comes from and where its result goes.
        rows: The input rows that it settles.
        identifier: The URL as listed.
        server: The server under which its rows are counted.
        mirrors: URLs of the same bytes, to be tried when this one has failed for good.
        listed: What the list states about the bytes for each of its rows; empty if it states nothing.
        rendition: The smaller version that is requested first; the identifier is the first mirror then.
        has_asked_sizes: Whether it has turned to the document that says which versions there are.
        held: The picture of an earlier run, which counts if the server answers that it has not changed.
        attempt: 1 for the first request.
        url: The start of the attempt: the identifier or a mirror.
        route: Where the next request goes; not to `url` after a redirect.
        hops: Redirects followed in this attempt.
        failure: How the last attempt failed.
        not_before_s: When the next request may start, on the worker's clock.
        is_retry: Whether its last failure was its own, so that the next request is charged to the retries.
        is_odd: Whether it failed and others of its server were served before its next try: its failures are its own.
        odd_sort: As what: "refused", "unreached" or "failed"; anything else that it fails with is judged anew.
        is_probe: Whether its last request found out if its server is still in trouble, so a failure was the server's.
        refusals: How often in a row it was refused, with a 429, a 503 or the like.
        told_until_s: Until when its last refusal wants nothing to be requested, on the worker's clock.
        controls: How often a URL that was served before was served again after this one had failed.
        served_spans_s: How closely those followed others that an earlier task served since it was refused
            (`spacing.Spacing.least_s`).
    """

    batch: BatchWork
    rows: Rows
    identifier: str
    server: str
    mirrors: list[str] = field(default_factory=list)
    listed: Sequence[Listed] = ()
    rendition: Rendition | None = None
    has_asked_sizes: bool = False
    held: HeldPicture | None = None
    attempt: int = 1
    url: str = ""
    route: Route | None = None
    hops: int = 0
    cookies: RedirectCookies | None = None
    redirected_at_s: float = 0.0
    failure: Failure | None = None
    not_before_s: float = 0.0
    is_retry: bool = False
    is_odd: bool = False
    odd_sort: str = ""
    is_probe: bool = False
    has_started_over: bool = False
    refusals: int = 0
    told_until_s: float = 0.0
    controls: int = 0
    served_spans_s: tuple[float, ...] = ()
    held_from: RowState = RowState.QUEUED
    #: When it failed last, on the worker's clock, and whether that failure is yet to be charged to it
    #: (`evidence.FaultJudge`).
    failed_at_s: float | None = None
    owes_attempt: bool = False
    state: RowState = RowState.QUEUED
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.url = self.url or self.identifier

    @property
    def host(self) -> str:
        """The server to which the next request goes, or went: one of a group's hosts."""
        return self.route.server if self.route else self.server

    def __repr__(self) -> str:
        where = without_user_info(self.route.url if self.route else self.url)
        return f"<Row {self.rows.numbers[0]} {self.state.value} attempt {self.attempt} {where} after {self.events}>"

    @property
    def number(self) -> int:
        """The number that identifies it in its batch: that of its first input row."""
        return int(self.rows.numbers[0])

    @property
    def url_hash(self) -> int:
        """Distinguishes URLs of a server."""
        return crc32(self.identifier.encode())

    def move(self, state: RowState) -> None:
        """Enter a state.

        Raises:
            RuntimeError: The transition does not exist; the message has the row's history.
        """
        if state not in _TRANSITIONS[self.state]:
            raise RuntimeError(f"{self!r} cannot become {state.value}")
        self.state = state
        self.events.append(state.value)

    def prefer(self, rendition: Rendition) -> None:
        """Request a smaller version first, before anything was requested."""
        self.rendition, self.url = rendition, rendition.url
        self.has_asked_sizes = rendition.url == rendition.sizes_url
        self.mirrors = [self.identifier, *self.mirrors]

    @property
    def asks_for_sizes(self) -> bool:
        """Whether its requests are for the document that says which versions there are."""
        return self.rendition is not None and self.url == self.rendition.sizes_url

    @property
    def asks_for_version(self) -> bool:
        """Whether its requests are for a smaller version."""
        return self.rendition is not None and self.url == self.rendition.url

    @property
    def has_lost_version(self) -> bool:
        """Whether a version was requested and could not be had, so that it continues with something else."""
        return self.rendition is not None and RowState.IN_FLIGHT.value in self.events and not self.failure

    def take_version(self, rendition: Rendition) -> None:
        """Continue with a version that a document about sizes named."""
        self.rendition = rendition
        self._turn_to(rendition.url)

    @property
    def start_url(self) -> str:
        """The URL with which it begins."""
        return self.rendition.url if self.rendition else self.identifier

    @property
    def validators(self) -> Mapping[str, str]:
        """Headers of its next request that ask whether the held picture is still what that URL answers."""
        is_its_url = self.held and self.route and without_user_info(self.route.url) == self.held.final_url
        return self.held.validators if self.held and is_its_url else {}

    def take_out(self, indices: Sequence[int]) -> Row:
        """A separate row for some of the input rows, which are removed from this one."""
        taken = copy(self)
        taken.events, taken.mirrors = list(self.events), list(self.mirrors)
        taken._keep(indices)
        self._keep([index for index in range(len(self.rows.numbers)) if index not in set(indices)])
        return taken

    def _keep(self, indices: Sequence[int]) -> None:
        places, numbers = self.rows.places, self.rows.numbers
        self.rows = Rows(self.rows.inputs, [places[index] for index in indices], [numbers[index] for index in indices])
        self.listed = [self.listed[index] for index in indices]

    def hold(self) -> None:
        """Wait for the robots.txt of its server."""
        self.held_from = self.state
        self.move(RowState.ROBOTS)

    def release(self) -> None:
        """Continue, as the robots.txt of its server is known."""
        self.move(self.held_from)

    def redirect(self, route: Route, now_s: float) -> None:
        """Continue at the target of a redirect: what it failed with before has passed, and a hop is no retry.

        The URL that redirects was refused before: that was not the URL's own, so it costs no attempt. Of its target
        nothing is known yet.
        """
        if self.is_odd and self.odd_sort == "refused":
            self.attempt = max(1, self.attempt - self.refusals)
        self.is_odd, self.odd_sort, self.refusals = False, "", 0
        self.owes_attempt, self.failed_at_s, self.served_spans_s = False, None, ()
        self.route, self.redirected_at_s = route, now_s
        self.failure, self.is_retry = None, False
        self.move(RowState.REDIRECTED)

    def defer(self, failure: Failure, not_before_s: float) -> None:
        """Wait after a failed request; it will continue where it stopped, not before that time."""
        self.failure, self.not_before_s = failure, not_before_s
        self.move(RowState.DEFERRED)

    def has_expired_redirect(self, failure: Failure, now_s: float) -> bool:
        """Whether a refusal may only mean that a redirect was followed too late."""
        is_late = self.hops > 0 and now_s - self.redirected_at_s > STALE_REDIRECT_S
        return is_late and failure.http_status in _EXPIRED and not self.has_started_over

    def start_over(self) -> None:
        """Begin again at `url`, as the redirect has expired."""
        self.has_started_over = True
        self._restart()

    def turn_to_mirror(self, failure: Failure) -> bool:
        """Switch to the next mirror, which becomes `url` and whose attempts count anew; False if there is none.

        An opt-out at one server also holds for its mirrors.
        """
        if not self.mirrors or failure.kind is ErrorKind.OPTED_OUT:
            return False
        is_refused = self.asks_for_version and failure.http_status in _NO_SUCH_VERSION
        if not is_refused or not self.turn_to_sizes():
            self._turn_to(self.mirrors.pop(0))
        return True

    def turn_to_sizes(self) -> bool:
        """Switch to the document that says which versions there are; False if there is none, or it was asked for."""
        if self.rendition is None or not self.rendition.sizes_url or self.has_asked_sizes:
            return False
        self.has_asked_sizes = True
        self._turn_to(self.rendition.sizes_url)
        return True

    def turn_to_listed(self) -> None:
        """Switch from a version that it has not requested yet to the listed picture."""
        self._turn_to(self.mirrors.pop(0))

    def _turn_to(self, url: str) -> None:
        """Continue at another URL, whose attempts count anew."""
        self.url, self.attempt, self.failure = url, 1, None
        self.is_retry = self.is_odd = self.owes_attempt = False
        self.refusals, self.served_spans_s = 0, ()
        self.failed_at_s = None
        self._restart()

    def _restart(self) -> None:
        self.route, self.hops, self.cookies, self.not_before_s = None, 0, None, 0.0
        if self.state is not RowState.QUEUED:
            self.move(RowState.QUEUED)

    # -- what travels ----------------------------------------------------------------------------------------------

    def progress(self, now_s: float, now_unix_s: float) -> dict[str, Any] | None:
        """What was learned about it so far, as JSON-able values; None for a row that is as it was in the list."""
        at = self.route.url if self.route and self.hops else None
        if not (at or self.failure or self.attempt > 1 or self.url != self.start_url or self.has_asked_sizes):
            return None
        return {
            "rows": [int(number) for number in self.rows.numbers],
            "attempt": self.attempt,
            "url": self.url,
            "rendition": asdict(self.rendition) if self.rendition else None,
            "has_asked_sizes": self.has_asked_sizes,
            "mirrors": list(self.mirrors),
            "at": at,
            "hops": self.hops,
            "cookies": self.cookies.dump() if self.cookies else None,
            "redirected_at_unix_s": now_unix_s - (now_s - self.redirected_at_s),
            "not_before_unix_s": now_unix_s + max(0.0, self.not_before_s - now_s),
            "wait_s": max(0.0, self.not_before_s - now_s),
            "is_retry": self.is_retry,
            "is_odd": self.is_odd,
            "odd_sort": self.odd_sort,
            "is_probe": self.is_probe,
            "refusals": self.refusals,
            "told_until_unix_s": now_unix_s + max(0.0, self.told_until_s - now_s),
            "told_s": max(0.0, self.told_until_s - now_s),
            "controls": self.controls,
            "served_spans_s": [span_s if math.isfinite(span_s) else None for span_s in self.served_spans_s],
            "is_suspect": self.failed_at_s is not None,
            "others_served_since": self.failed_at_s == OTHERS_SERVED_SINCE,
            "owes_attempt": self.owes_attempt,
            "has_started_over": self.has_started_over,
            "failure": self.failure.dump() if self.failure else None,
        }

    def resume(self, known: Mapping[str, Any], now_s: float, now_unix_s: float) -> str:
        """Continue from what `progress` returned elsewhere; returns the URL to request next.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: It is damaged. The row is as it was.
        """
        at = known["at"]
        failure = Failure.load(known["failure"]) if known["failure"] else None
        wait_s = max(0.0, known["not_before_unix_s"] - now_unix_s)
        told_s = max(0.0, float(known.get("told_until_unix_s", 0.0)) - now_unix_s)
        failed_at_s = OTHERS_SERVED_SINCE if known.get("others_served_since", False) else now_s
        resumed = {
            "attempt": int(known["attempt"]),
            "url": str(known["url"]),
            "rendition": Rendition(**known["rendition"]) if known.get("rendition") else self.rendition,
            "has_asked_sizes": bool(known.get("has_asked_sizes", False)),
            "mirrors": list(map(str, known["mirrors"])),
            "hops": int(known["hops"]),
            "cookies": RedirectCookies.load(known["cookies"]) if known["cookies"] else None,
            "redirected_at_s": now_s - max(0.0, now_unix_s - known["redirected_at_unix_s"]),
            # The clock may have been set back meanwhile, or be wrong on this node.
            "not_before_s": now_s + min(wait_s, float(known.get("wait_s", wait_s))),
            "is_retry": bool(known["is_retry"]),
            "is_odd": bool(known["is_odd"]),
            "odd_sort": str(known.get("odd_sort", "")),
            "is_probe": bool(known.get("is_probe", False)),
            "refusals": int(known.get("refusals", 0)),
            "told_until_s": now_s + min(told_s, float(known.get("told_s", told_s))),
            "controls": int(known.get("controls", 0)),
            "served_spans_s": _spans_s(known.get("served_spans_s", [])),
            "failed_at_s": failed_at_s if known["is_suspect"] else None,
            "owes_attempt": bool(known["owes_attempt"]),
            "has_started_over": bool(known["has_started_over"]),
            "failure": failure,
            "state": RowState.DEFERRED if failure else RowState.REDIRECTED if at else RowState.QUEUED,
        }
        for name, value in resumed.items():
            setattr(self, name, value)
        return str(at or self.url)


def _spans_s(known: Sequence[float | None]) -> tuple[float, ...]:
    """Nothing if they are of another form."""
    spans_s = tuple(math.inf if span_s is None else float(span_s) for span_s in known)
    return spans_s if len(spans_s) == len(SCALES) else ()
