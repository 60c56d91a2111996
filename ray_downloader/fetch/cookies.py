"""The cookies of one row's redirects. Pure: the time is an argument.

Login and consent walls answer with a cookie and a redirect that leads back to the same file; without the cookie that
is a loop. A jar belongs to one row and ends with it, so no server learns from it which rows were requested before.
It follows RFC 6265, except for what only matters to browsers that keep cookies for years.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from email.utils import mktime_tz, parsedate_tz
from urllib.parse import urlsplit

from ray_downloader.fetch.addresses import literal_address
from ray_downloader.partition.server_key import RequestUrl

#: RFC 6265 section 6.1: the minimum that a user agent should hold; holding more would not help any server.
MAX_COOKIE_BYTES = 4096
MAX_COOKIES = 50

#: RFC 6265bis section 5.6: a cookie with a control character is ignored. (A tab would be harmless, but never occurs.)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class _Cookie:
    """One cookie; `is_host_only` if the server named no `Domain`."""

    name: str
    value: str
    domain: str
    is_host_only: bool
    path: str
    is_secure: bool

    def is_for(self, url: RequestUrl, path: str) -> bool:
        """Whether it is sent with a request for `url`, whose path is `path`."""
        is_its_host = url.host == self.domain if self.is_host_only else _is_within(url.host, self.domain)
        return is_its_host and _is_below(path, self.path) and (url.scheme == "https" or not self.is_secure)


class RedirectCookies:
    """What servers set while one row was redirected, and what is sent back to them."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], _Cookie] = {}

    def __bool__(self) -> bool:
        return bool(self._cookies)

    def add(self, url: RequestUrl, headers: Mapping[str, str], now_unix_s: float) -> None:
        """Take in the `Set-Cookie` lines of an answer.

        Args:
            url: The URL that was requested.
            headers: As in `FetchResult`: lower-case names, repeated headers as lines of one value.
            now_unix_s: Cookies that have expired by then are removed.
        """
        for line in headers.get("set-cookie", "").split("\n"):
            cookie, is_alive = _parse(line, url, now_unix_s)
            if cookie is None:
                continue
            key = (cookie.name, cookie.domain, cookie.path)
            self._cookies.pop(key, None)
            if is_alive and len(self._cookies) < MAX_COOKIES:
                self._cookies[key] = cookie

    def header(self, url: RequestUrl) -> str | None:
        """The value of `Cookie` for a request, or None if there is nothing to send; longer paths come first."""
        if not self._cookies:
            return None
        path = urlsplit(url.text).path
        fitting = [cookie for cookie in self._cookies.values() if cookie.is_for(url, path)]
        fitting.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in fitting) or None

    def dump(self) -> list[list[str | bool]]:
        """The cookies in a form that JSON can hold, for a row that continues in another slice."""
        return [list(astuple(cookie)) for cookie in self._cookies.values()]

    @classmethod
    def load(cls, dumped: Iterable[Sequence[str | bool]]) -> RedirectCookies:
        """Read what `dump` wrote."""
        jar = cls()
        for name, value, domain, is_host_only, path, is_secure in dumped:
            cookie = _Cookie(str(name), str(value), str(domain), bool(is_host_only), str(path), bool(is_secure))
            jar._cookies[cookie.name, cookie.domain, cookie.path] = cookie
        return jar


def _parse(line: str, url: RequestUrl, now_unix_s: float) -> tuple[_Cookie | None, bool]:
    """A cookie and whether it is alive; None for one that is malformed, or that `url` may not set."""
    if len(line) > MAX_COOKIE_BYTES or _CONTROL.search(line):
        return None, False
    pair, *parts = line.split(";")
    name, equals, value = (text.strip(" \t") for text in pair.partition("="))
    if not equals or not name:
        return None, False
    attributes = _attributes(parts)
    domain = attributes.get("domain", "").lower().removeprefix(".")
    if domain and not _may_set(url.host, domain):
        return None, False
    path = attributes.get("path", "")
    cookie = _Cookie(
        name=name,
        value=value,
        domain=domain or url.host,
        is_host_only=not domain,
        path=path if path.startswith("/") else _default_path(url),
        is_secure="secure" in attributes,
    )
    return cookie, _is_alive(attributes, now_unix_s)


def _attributes(parts: Iterable[str]) -> dict[str, str]:
    """Attributes by lower-case name; of repeated ones the last is used (RFC 6265 section 5.3)."""
    pairs = (part.partition("=") for part in parts)
    return {name.strip(" \t").lower(): value.strip(" \t") for name, _, value in pairs}


def _is_alive(attributes: Mapping[str, str], now_unix_s: float) -> bool:
    """Whether the cookie has not expired; `Max-Age` overrides `Expires`, and unreadable values are ignored."""
    max_age = attributes.get("max-age", "")
    if re.fullmatch(r"-?[0-9]+", max_age):
        return not max_age.startswith("-") and max_age.strip("0") != ""
    moment = _unix_time(attributes.get("expires", ""))
    return moment is None or moment > now_unix_s


def _unix_time(text: str) -> float | None:
    try:
        parsed = parsedate_tz(text)
        return None if parsed is None else float(mktime_tz(parsed))
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _may_set(host: str, domain: str) -> bool:
    """Whether `host` may set cookies for `domain`: its own name or a parent's that is more than a top-level domain."""
    if host == domain:
        return True
    return "." in domain and _is_within(host, domain)


def _is_within(host: str, domain: str) -> bool:
    return host == domain or (host.endswith(f".{domain}") and literal_address(host) is None)


def _is_below(path: str, folder: str) -> bool:
    if path == folder:
        return True
    return path.startswith(folder) and (folder.endswith("/") or path[len(folder)] == "/")


def _default_path(url: RequestUrl) -> str:
    """RFC 6265 section 5.1.4: the folder of the path."""
    return urlsplit(url.text).path.rpartition("/")[0] or "/"
