"""Opting out by `X-Robots-Tag`: which directive excludes a file, and when a whole server gets no more requests."""

from __future__ import annotations

import re
from collections.abc import Collection

from ray_downloader.errors import ErrorKind

#: A server that opts out in each of this many answers, without one file in between, gets no more requests.
OPT_OUT_ANSWERS = 10

#: Directives that carry a value after a colon; every other word before a colon names a crawler.
_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
#: What follows the comma in the date of an `unavailable_after` (RFC 822, RFC 850): its colon names no crawler.
_REST_OF_DATE = re.compile(r"[^:]*\d\d:\d\d")
#: Google's documentation of the header: `none` means `noindex, nofollow`.
_MEANS = {"none": "noindex"}


def find_opt_out(header: str | None, directives: Collection[str], product_token: str) -> str | None:
    """The first of `directives` that the header states for us, or None.

    A crawler's name (`otherbot: noai, noindex`) scopes the rest of its line; several headers are lines of `header`,
    separated by newlines (joined by commas, a later unscoped one would be read as scoped). Directives that only spaces
    separate count as well.

    Args:
        header: Value of `X-Robots-Tag`, or None if it was not sent.
        directives: Lower-case directives that exclude a file.
        product_token: The name in our User-Agent, before the `/`.
    """
    names = {"*", product_token.lower().replace("-", "_")}
    for line in (header or "").lower().split("\n"):
        is_ours = True
        for part in re.split("[,;]", line):
            scope, colon, rest = part.partition(":")
            if _REST_OF_DATE.match(part) or (colon and scope.strip() in _VALUED):
                continue
            if colon:
                is_ours = scope.partition("/")[0].strip().replace("-", "_") in names
            words = [_MEANS.get(word, word) for word in (rest if colon else part).split()]
            found = next((word for word in words if word in directives), None)
            if is_ours and found:
                return found
    return None


class OptOutBreaker:
    """Counts answers that opt out, until one does not."""

    __slots__ = ("answers", "has_served")

    def __init__(self) -> None:
        self.answers = 0
        self.has_served = False

    def observe(self, kind: ErrorKind | None) -> None:
        """Process the end of a request."""
        self.has_served |= kind is None
        self.answers += kind is ErrorKind.OPTED_OUT

    @property
    def is_open(self) -> bool:
        """Whether the server gets no more requests."""
        return not self.has_served and self.answers >= OPT_OUT_ANSWERS
