"""robots.txt, read as RFC 9309 says and parsed by protego (the parser of Scrapy)."""

from __future__ import annotations

from protego import Protego

#: RFC 9309 section 2.5 asks parsers to read at least 500 KiB; longer files are cut there.
MAX_ROBOTS_BYTES = 500 * 1024
#: As Heritrix 3: a longer Crawl-delay is honoured as this one.
MAX_CRAWL_DELAY_S = 300.0

_ALLOW_ALL = ""
_DISALLOW_ALL = "User-agent: *\nDisallow: /\n"


class RobotsRules:
    """What a server's robots.txt lets `user_agent` do.

    Args:
        text: The file.
        user_agent: Our User-Agent; its product token is what rules name.
    """

    def __init__(self, text: str, user_agent: str) -> None:
        self._rules = Protego.parse(text)
        self._token = user_agent.partition("/")[0]

    @classmethod
    def from_answer(cls, status: int | None, body: bytes, user_agent: str) -> RobotsRules:
        """Read what the request for `/robots.txt` came to; `status` is None where there was no answer.

        RFC 9309 section 2.3.1: a 4xx (and a redirect that leads nowhere) allows all; a 5xx or no answer forbids all.
        """
        if status is None or status >= 500:
            return cls(_DISALLOW_ALL, user_agent)
        if status >= 300:
            return cls(_ALLOW_ALL, user_agent)
        return cls(body[:MAX_ROBOTS_BYTES].decode("utf-8-sig", "replace"), user_agent)

    @property
    def crawl_delay_s(self) -> float | None:
        """Time between requests that the file asks for, or None."""
        delay = self._rules.crawl_delay(self._token)
        return min(float(delay), MAX_CRAWL_DELAY_S) if delay else None

    def can_fetch(self, url: str) -> bool:
        """Whether the file allows `url`."""
        return bool(self._rules.can_fetch(url, self._token))
