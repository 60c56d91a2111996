"""robots.txt, interpreted according to RFC 9309 and parsed by protego (the parser of Scrapy)."""

from __future__ import annotations

import re
from enum import Enum
from urllib.parse import urlsplit

from protego import Protego

from ray_downloader.politeness.headers.usage import RobotsUsage, Usage

#: RFC 9309 section 2.5 requires parsers to read at least 500 KiB; longer files are cut there.
MAX_ROBOTS_BYTES = 500 * 1024
#: As in Heritrix 3: a longer Crawl-delay is treated as this one.
MAX_CRAWL_DELAY_S = 300.0

#: The agent of queries if no group names us: protego would also match the groups of shorter names (`ray`).
_ANYBODY = "*"
_DISALLOW_ALL = "User-agent: *\nDisallow: /\n"


class RobotsState(str, Enum):
    """The result of the request for a robots.txt (RFC 9309 section 2.3.1)."""

    RULES = "rules"
    """The file was read."""
    UNAVAILABLE = "unavailable"
    """The file does not exist: everything is allowed."""
    UNREACHABLE = "unreachable"
    """The server failed to deliver it: request it again later; until then nothing is allowed."""


class RobotsRules:
    """What a server's robots.txt allows `user_agent` to do.

    Args:
        text: The file.
        user_agent: Our User-Agent; rules name its product token.
        state: How the file was found.
    """

    def __init__(self, text: str, user_agent: str, state: RobotsState = RobotsState.RULES) -> None:
        self.state = state
        token = user_agent.partition("/")[0].lower()
        plain, groups = _group_lines(token).subn(rf"\g<1>{token}", _with_newlines(text))
        #: Whether a group names us: it is obeyed whatever the settings say.
        self.names_us = groups > 0
        self._rules = Protego.parse(plain)
        self._usage = RobotsUsage(plain, token)
        self._token = token if self.names_us else _ANYBODY

    @classmethod
    def from_answer(cls, status: int | None, body: bytes, user_agent: str) -> RobotsRules:
        """Interpret the result of the request for `/robots.txt`.

        Args:
            status: HTTP status of the last answer, after redirects; None if no complete answer came.
            body: The file, as far as it was read.
            user_agent: Our User-Agent.
        """
        state = robots_state(status)
        if state is RobotsState.UNREACHABLE:
            return cls(_DISALLOW_ALL, user_agent, state)
        return cls(robots_text(status, body), user_agent, state)

    @property
    def crawl_delay_s(self) -> float | None:
        """Time between requests that the file demands, or None."""
        delay_s = float(self._rules.crawl_delay(self._token) or 0.0)
        return min(delay_s, MAX_CRAWL_DELAY_S) if delay_s > 0 else None

    def usage(self, url: str) -> Usage:
        """What the file states about uses of `url`."""
        parts = urlsplit(url)
        return self._usage.of(f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/")

    def can_fetch(self, url: str) -> bool:
        """Whether the file allows `url`."""
        return bool(self._rules.can_fetch(url, self._token))


def has_group_for(user_agent: str, text: str) -> bool:
    """Whether a group of the file names us; much quicker than to parse the file."""
    return _group_lines(user_agent.partition("/")[0].lower()).search(_with_newlines(text)) is not None


def _with_newlines(text: str) -> str:
    """The file with one kind of line ends: RFC 9309 allows a carriage return alone."""
    return "\n".join(text.splitlines())


def robots_text(status: int | None, body: bytes) -> str:
    """The text of the file, as far as it counts; empty if the server did not deliver one."""
    is_file = robots_state(status) is RobotsState.RULES
    return body[:MAX_ROBOTS_BYTES].decode("utf-8-sig", "replace") if is_file else ""


def robots_state(status: int | None) -> RobotsState:
    """What the status of the answer says about the file.

    A 429 is an answer about our rate and not about the file, so it counts as unreachable, as for Google's crawlers. A
    redirect that leads nowhere, or to more hops than are followed, counts as no file.
    """
    if status is None or status == 429 or 500 <= status < 600:
        return RobotsState.UNREACHABLE
    return RobotsState.RULES if 200 <= status < 300 else RobotsState.UNAVAILABLE


def _group_lines(token: str) -> re.Pattern[str]:
    """The start lines of groups that name `token`: also followed by a version, in quotes, or with `-` for `_`."""
    name = r"[\"'*]*" + re.escape(token).replace("_", "[_ -]?")
    return re.compile(rf"(?im)^([^\S\n]*user[- ]?agent[^\S\n]*[:\s][^\S\n]*){name}(?![\w-])[^\r\n]*")
