"""The name a server is known by, and the URL that is sent to it, both as the WHATWG URL standard reads them.

Two URLs have one server exactly if a browser would connect both to the same host and port: letter case, IDNA,
`%`-escapes in hosts, default ports, user-info and odd spellings of IPv4 addresses make no difference.
"""

from __future__ import annotations

import ada_url

#: Longest host name of the DNS (RFC 1035, 2.3.4); a longer one is no host, and no folder name either.
_MAX_HOST_LENGTH = 253

_SCHEMES = frozenset({"http:", "https:"})


class BadUrlError(ValueError):
    """The text is not an absolute http(s) URL."""


def server_key(url: str) -> str:
    """Canonical `host` or `host:port` of an http(s) URL; the port only where it is not the scheme's default.

    Raises:
        BadUrlError: `url` is no absolute http(s) URL; the message is a short reason.
    """
    parsed = _parse(url)
    # "example.org." is the same host as "example.org", spelled as the root of the DNS has it.
    host = parsed.hostname.removesuffix(".") or parsed.hostname
    if len(host) > _MAX_HOST_LENGTH:
        raise BadUrlError("host name too long")
    return f"{host}:{parsed.port}" if parsed.port else host


def request_url(identifier: str) -> str:
    """The percent-encoded absolute URL to send for an identifier, without its fragment.

    Raises:
        BadUrlError: As `server_key`.
    """
    parsed = _parse(identifier)
    parsed.hash = ""
    return str(parsed.href)


def _parse(url: str) -> ada_url.URL:
    try:
        parsed = ada_url.URL(url)
    except (ValueError, UnicodeEncodeError):
        raise BadUrlError("not an absolute URL") from None
    if parsed.protocol not in _SCHEMES:
        raise BadUrlError(f"scheme {parsed.protocol} is not http or https")
    return parsed
