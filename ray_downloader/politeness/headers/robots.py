"""robots.txt, read as RFC 9309 says and parsed by protego (the parser of Scrapy)."""

from __future__ import annotations

import re
from enum import Enum

from protego import Protego

#: RFC 9309 section 2.5 asks parsers to read at least 500 KiB; longer files are cut there.
MAX_ROBOTS_BYTES = 500 * 1024
#: As Heritrix 3: a longer Crawl-delay is honoured as this one.
MAX_CRAWL_DELAY_S = 300.0

#: What a query names where no group names us: protego would also match the groups of shorter names (`ray`).
_ANYBODY = "*"
_DISALLOW_ALL = "User-agent: *\nDisallow: /\n"


class RobotsState(str, Enum):
    """What became of the request for a robots.txt (RFC 9309 section 2.3.1)."""

    RULES = "rules"
    """The file was read."""
    UNAVAILABLE = "unavailable"
    """There is no such file: everything is allowed."""
    UNREACHABLE = "unreachable"
    """The server could not say: it is to be asked again later; until then nothing is allowed."""


class RobotsRules:
    """What a server's robots.txt lets `user_agent` do.

    Args:
        text: The file.
        user_agent: Our User-Agent; its product token is what rules name.
        state: How the file was found.
    """

    def __init__(self, text: str, user_agent: str, state: RobotsState = RobotsState.RULES) -> None:
        self.state = state
        token = user_agent.partition("/")[0].lower()
        plain, groups = _group_lines(token).subn(rf"\g<1>{token}", text)
        #: A group is written for us: it is obeyed whatever the settings say.
        self.names_us = groups > 0
        self._rules = Protego.parse(plain)
        self._token = token if self.names_us else _ANYBODY

    @classmethod
    def from_answer(cls, status: int | None, body: bytes, user_agent: str) -> RobotsRules:
        """Read what the request for `/robots.txt` came to.

        Args:
            status: HTTP status of the last answer, after redirects; None where no whole answer came.
            body: The file, as far as it was read.
            user_agent: Our User-Agent.
        """
        state = robots_state(status)
        if state is RobotsState.UNREACHABLE:
            return cls(_DISALLOW_ALL, user_agent, state)
        text = body[:MAX_ROBOTS_BYTES].decode("utf-8-sig", "replace") if state is RobotsState.RULES else ""
        return cls(text, user_agent, state)

    @property
    def crawl_delay_s(self) -> float | None:
        """Time between requests that the file asks for, or None."""
        delay_s = float(self._rules.crawl_delay(self._token) or 0.0)
        return min(delay_s, MAX_CRAWL_DELAY_S) if delay_s > 0 else None

    def can_fetch(self, url: str) -> bool:
        """Whether the file allows `url`."""
        return bool(self._rules.can_fetch(url, self._token))


def robots_state(status: int | None) -> RobotsState:
    """What the status of the answer says about the file.

    A 429 is an answer about our pace and not about the file, so it counts as unreachable, as Google's crawlers do it.
    A redirect that leads nowhere, or to more hops than are followed, counts as no file.
    """
    if status is None or status == 429 or 500 <= status < 600:
        return RobotsState.UNREACHABLE
    return RobotsState.RULES if 200 <= status < 300 else RobotsState.UNAVAILABLE


def _group_lines(token: str) -> re.Pattern[str]:
    """The start lines of groups that name `token`: also with a version behind it, or with `-` for `_`."""
    name = re.escape(token).replace("_", "[_-]")
    return re.compile(rf"(?im)^([^\S\n]*user[- ]?agent[^\S\n]*[:\s][^\S\n]*){name}(?![\w-])[^\r\n]*")
