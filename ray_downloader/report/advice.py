"""What a kind of error means, what to do about it, and whom to ask; and the advice for one server. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from ray_downloader.errors import TRANSIENT_KINDS, ErrorKind

#: Most pieces of advice for one server: those for the most rows.
MOST_ADVICE = 3
#: From this share of a server's images on, answers from another host mean that it has moved.
MOVED_SHARE = 0.5
#: From this share of a server's rows on, 404 and 410 mean that its addresses have changed, not that files were deleted.
CHANGED_SHARE = 0.5

_GONE = frozenset({404, 410})
_LOCKED = frozenset({401, 403, 407})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a kind of error is.

    Args:
        words: In a few words.
        todo: What its user can do.
        ask: Whom to ask for these rows, and what; empty if nobody can help.
    """

    words: str
    todo: str
    ask: str = ""


_Key = TypeVar("_Key", int, str)

_OPERATOR = "the operator of the server"
_PUBLISHER = "the publisher of the list"

MEANINGS: Mapping[ErrorKind, Meaning] = {
    ErrorKind.BAD_URL: Meaning(
        "not a usable URL", "Correct the URL in the list.", f"{_PUBLISHER}: the URL is malformed"
    ),
    ErrorKind.FORBIDDEN_ADDRESS: Meaning(
        "leads to a private address",
        "If these are your own servers, set network.allow_private_addresses=true.",
        f"{_PUBLISHER}: the URL leads into a private network",
    ),
    ErrorKind.DNS: Meaning(
        "name not found",
        "Check whether the name still exists; it may have moved. Retry later if the resolver was at fault.",
        f"{_PUBLISHER}: the name of the server no longer exists",
    ),
    ErrorKind.CONNECT: Meaning(
        "no connection", "Retry later; if it stays so, the server is gone.", f"{_PUBLISHER}: the server is gone"
    ),
    ErrorKind.TLS: Meaning(
        "certificate not accepted",
        "Often an intermediate certificate is missing. If you trust the server, switch the check off for it alone.",
        f"{_OPERATOR}: its certificate or the chain to it is broken",
    ),
    ErrorKind.TIMEOUT: Meaning(
        "no answer in time", "Retry later, or raise network.request_timeout_s.", f"{_OPERATOR}: it does not answer"
    ),
    ErrorKind.TOO_SLOW: Meaning(
        "transfer too slow",
        "Retry when it is less busy, with a lower rate, or with a lower network.low_speed_bytes_per_s.",
        f"{_OPERATOR}: at which hours and rate it can serve you",
    ),
    ErrorKind.RESET: Meaning(
        "connection closed early", "Retry, with fewer connections: a rule with max_connections: 1.",
        f"{_OPERATOR}: how many connections it allows",
    ),
    ErrorKind.HTTP_4XX: Meaning(
        "not there, or not for us",
        "Another request would get the same answer; look at the status and the words of the server.",
        f"{_PUBLISHER}: the URL no longer works",
    ),
    ErrorKind.HTTP_403_BAN: Meaning(
        "blocked after serving files",
        "The server has had enough of us. Ask for permission before you retry, and then with a lower rate.",
        f"{_OPERATOR}: permission, and a rate that suits it",
    ),
    ErrorKind.HTTP_429: Meaning(
        "too many requests", "Retry later, with a lower rate for this server.", f"{_OPERATOR}: a rate that suits it"
    ),
    ErrorKind.HTTP_5XX: Meaning(
        "fault of the server", "Retry later.", f"{_OPERATOR}: it fails on these files"
    ),
    ErrorKind.REDIRECT_LOOP: Meaning(
        "redirected without end",
        "Open one URL in a browser: many such links lead to a page for cookies or a login.",
        f"{_PUBLISHER}: the URL redirects without end",
    ),
    ErrorKind.TOO_LARGE: Meaning("file too large", "Raise network.max_bytes if you want such files."),
    ErrorKind.EMPTY: Meaning("empty file", "Retry once; then the file is empty.", f"{_PUBLISHER}: the file is empty"),
    ErrorKind.NOT_IMAGE: Meaning(
        "serves pages, not images",
        "The URL leads to a page about the image, to a login or to a notice. Look for the address of the file itself.",
        f"{_PUBLISHER}: the URL of the image file, not of the page about it",
    ),
    ErrorKind.UNSUPPORTED_FORMAT: Meaning(
        "format that is not read", "Keep the files as they are with image=original, or ask for another format.",
        f"{_PUBLISHER}: the file as JPEG or PNG",
    ),
    ErrorKind.TRUNCATED: Meaning("incomplete file", "Retry once; then the file itself is cut off.",
                                 f"{_PUBLISHER}: the file is cut off"),
    ErrorKind.TOO_MANY_PIXELS: Meaning("more pixels than allowed", "Raise image.max_pixels if you want such images."),
    ErrorKind.DECODE_FAILED: Meaning("damaged image", "The file is damaged at its source.",
                                     f"{_PUBLISHER}: the file is damaged"),
    ErrorKind.CHECKSUM_MISMATCH: Meaning(
        "not the file that the list describes", "Ask which is right, or use dataset.checksum=note.",
        f"{_PUBLISHER}: checksum or size do not match the file",
    ),
    ErrorKind.ROBOTS: Meaning(
        "excluded by robots.txt", "The operator does not want it. Ask for permission.", f"{_OPERATOR}: permission"
    ),
    ErrorKind.OPTED_OUT: Meaning(
        "opted out of such use", "The rights holder does not want it. Ask for permission; do not work around it.",
        "the rights holder: permission",
    ),
    ErrorKind.IGNORED_SERVER: Meaning("ignored at your order", "Remove the server from ignored.csv, or lift the ban."),
    ErrorKind.SERVER_DEAD: Meaning(
        "never answered",
        "It may be down or gone. Retry later; to leave it out, put its name into ignored.csv.",
        f"{_PUBLISHER}: the server is gone; where are the files now?",
    ),
    ErrorKind.SERVER_REFUSED: Meaning(
        "refused everything until our patience ended",
        "Ask the operator, naming your contact, and retry with the rate it allows.",
        f"{_OPERATOR}: permission, and a rate that suits it",
    ),
    ErrorKind.PAYMENT_REQUIRED: Meaning("wants payment", "Access has to be bought or licensed.",
                                        f"{_OPERATOR}: the terms of access"),
    ErrorKind.INTERNAL: Meaning("our own fault", "Retry; if it stays so, report it with the log in logs/."),
}  # fmt: skip


def meaning(kind: str) -> Meaning:
    """The meaning of a kind, also of one that a later version has written."""
    try:
        return MEANINGS[ErrorKind(kind)]
    except ValueError:
        return Meaning(kind.replace("_", " "), "")


def may_pass(kind: str) -> bool:
    """Whether a retry may help."""
    return kind in {str(each) for each in TRANSIENT_KINDS}


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What advice for a server depends on.

    Args:
        server: Its canonical name.
        rows: Its rows in the list.
        images: Images stored.
        errors: Rows by error kind.
        statuses: Rows by HTTP status among its `http_4xx`, as far as known.
        moved_to: The host from which most of its images came, if that is another one, and how many.
    """

    server: str
    rows: int
    images: int
    errors: Mapping[str, int]
    statuses: Mapping[int, int]
    moved_to: tuple[str, int] | None = None


def advice(facts: ServerFacts) -> list[str]:
    """What to do about a server: for the errors of most rows first; nothing if all went well."""
    said = [_of_kind(facts, kind, rows) for kind, rows in _largest_first(facts.errors)[:MOST_ADVICE]]
    if facts.moved_to and facts.moved_to[1] >= MOVED_SHARE * facts.images:
        host, images = facts.moved_to
        said.insert(0, f"Moved: {images:,} of its images came from {host}. The list could name that host itself.")
    return said


def _of_kind(facts: ServerFacts, kind: str, rows: int) -> str:
    label = _label(facts, kind, rows)
    return f"{label}: {_todo(facts, kind)}".rstrip(": ")


def _label(facts: ServerFacts, kind: str, rows: int) -> str:
    heading = {
        "server_dead": "Dead",
        "server_refused": "Refused",
        "not_image": "Serves pages, not images",
        "tls": "TLS chain broken",
    }.get(kind, meaning(kind).words.capitalize())
    if kind == "http_4xx":
        heading = _heading_of_statuses(facts)
    return f"{heading} ({rows:,} {'row' if rows == 1 else 'rows'})"


def _heading_of_statuses(facts: ServerFacts) -> str:
    statuses = [str(status) for status, _ in _largest_first(facts.statuses)]
    heading = "Moved or deleted" if _is_mostly(facts.statuses, _GONE) else "Refused these files"
    return f"{heading}, HTTP {', '.join(statuses[:3])}" if statuses else heading


def _todo(facts: ServerFacts, kind: str) -> str:
    if kind == "tls":
        return f"{meaning(kind).todo} Rule: {tls_rule(facts.server)}"
    if kind == "http_4xx" and _is_mostly(facts.statuses, _LOCKED):
        return "It wants a login or forbids it. Ask for access; a rule with headers_env can send a token."
    if kind == "http_4xx" and _is_mostly(facts.statuses, _GONE) and facts.errors[kind] >= CHANGED_SHARE * facts.rows:
        return "Most of its addresses have changed. Ask for a new list; the same files may have new URLs."
    return meaning(kind).todo


def tls_rule(server: str) -> str:
    """The override that switches the check of certificates off for one server, ready for a shell."""
    glob = server.replace("[", "[[]").replace("'", "\\'")
    return shlex.quote(f"politeness.rules=[{{server: '{glob}', verify_tls: false}}]")


def _is_mostly(statuses: Mapping[int, int], group: frozenset[int]) -> bool:
    return 2 * sum(rows for status, rows in statuses.items() if status in group) > sum(statuses.values())


def _largest_first(counts: Mapping[_Key, int]) -> list[tuple[_Key, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
