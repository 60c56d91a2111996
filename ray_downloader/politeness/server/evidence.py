"""What one answer is evidence about: that URL, its server, or nothing. Pure.

An answer indicates a problem of its whole server only if distinct URLs fail in this way with nothing served in between;
a wait that a single answer demands (`Retry-After`) is obeyed all the same.
"""

from __future__ import annotations

from enum import Enum

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import Outcome

#: Statuses with which servers say "not now": too many requests, unavailable, Twitter's 420, bandwidth, overloaded.
_REFUSALS = frozenset({420, 429, 503, 509, 529})
#: The status of a file that nobody may have, and of a server that wants to be left alone.
FORBIDDEN_STATUS = 403
#: Answers besides 5xx whose `Retry-After` is taken seriously; with a 404 it would be about that file.
_MAY_ASK_TO_WAIT = frozenset({202, 403, 408, 413, 420, 425, 429})
_UNREACHED = frozenset({ErrorKind.DNS, ErrorKind.CONNECT})
_CONNECTION_LOST = frozenset({ErrorKind.RESET, ErrorKind.CONNECT})
_TROUBLE = frozenset({ErrorKind.HTTP_5XX, ErrorKind.TIMEOUT, ErrorKind.TOO_SLOW, ErrorKind.RESET})
#: Failures in which no server was involved.
_OURS = frozenset({ErrorKind.BAD_URL, ErrorKind.FORBIDDEN_ADDRESS, ErrorKind.INTERNAL})


class Evidence(str, Enum):
    """What an answer is evidence of."""

    SERVED = "served"
    ANSWERED = "answered"
    HOP = "hop"
    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    FAILED = "failed"
    UNREACHED = "unreached"
    CROWDED = "crowded"
    NOTHING = "nothing"


def wait_asked_for_s(kind: ErrorKind | None, http_status: int | None, retry_after_s: float | None) -> float | None:
    """How long the answer demands that no more requests are sent, if it does."""
    status = http_status or 0
    if kind is None or not retry_after_s:
        return None
    return retry_after_s if status in _MAY_ASK_TO_WAIT or status >= 500 else None


def is_throttled(kind: ErrorKind | None, http_status: int | None, retry_after_s: float | None) -> bool:
    """Whether one such answer means that the server wants fewer requests, or none for some time."""
    is_refusal = kind is ErrorKind.HTTP_429 or (kind is not None and http_status in _REFUSALS)
    return is_refusal or wait_asked_for_s(kind, http_status, retry_after_s) is not None


def _is_refusal(outcome: Outcome) -> bool:
    return is_throttled(outcome.kind, outcome.http_status, outcome.retry_after_s)


def stops_its_holder(outcome: Outcome) -> bool:
    """Whether its holder returns its lease and reports at once: fewer requests or connections are wanted."""
    is_crowded = outcome.kind in _CONNECTION_LOST and outcome.connections > 1
    return not outcome.is_odd and (_is_refusal(outcome) or is_crowded)


def is_unreached(outcome: Outcome) -> bool:
    """Whether its host has no address, or accepts no connection."""
    return outcome.kind in _UNREACHED


def evidence_of(outcome: Outcome, *, are_others_open: bool) -> Evidence:  # noqa: PLR0911 - a table, one line per case
    """Classify one answer.

    Args:
        outcome: The answer.
        are_others_open: Whether other connections to the server worked while this request failed.
    """
    kind = outcome.kind
    if kind is None:
        return Evidence.SERVED if outcome.is_row else Evidence.HOP
    is_forbidden = kind is ErrorKind.HTTP_403_BAN or outcome.http_status == FORBIDDEN_STATUS
    if kind in _OURS or (outcome.is_odd and not is_forbidden):
        return Evidence.NOTHING
    if are_others_open and kind in _CONNECTION_LOST:
        return Evidence.CROWDED
    if _is_refusal(outcome):
        return Evidence.REFUSED
    if is_forbidden:
        return Evidence.FORBIDDEN
    if is_unreached(outcome):
        return Evidence.UNREACHED
    return Evidence.FAILED if kind in _TROUBLE else Evidence.ANSWERED
