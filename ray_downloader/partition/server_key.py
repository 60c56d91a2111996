"""The key under which a server is known, and the URL that is sent to it, both according to the WHATWG URL standard.

Two URLs have the same server exactly if a browser would connect to the same host and port for both: letter case, IDNA,
`%`-escapes in hosts, default ports, user-info and odd spellings of IPv4 addresses make no difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import ada_url

#: Longest host name in the DNS (RFC 1035, 2.3.4); a longer name is neither a host nor a possible folder name.
_MAX_HOST_LENGTH = 253

#: Last labels that show that a host is really a file name (`http://654356.jpg`); none of them is a top-level domain.
_FILE_ENDINGS = frozenset(
    {"jpg", "jpeg", "png", "gif", "tif", "tiff", "webp", "bmp", "jp2", "heic", "svg", "csv", "pdf"}
)
#: The "host" of a URL whose scheme was written twice (`http://http://...`).
_SCHEME_NAMES = frozenset({"http", "https"})

_DEFAULT_PORTS = {"http:": 80, "https:": 443}


#: The user and password in a URL, as browsers read it: what stands before the last `@` of the host.
USER_INFO = r"^\s*[Hh][Tt][Tt][Pp][Ss]?:[/\\]*[^/?#\\]*@"
_OF_URL = re.compile(r"^(\s*https?:[/\\]*)[^/?#\\]*@", re.IGNORECASE)
#: The same somewhere in a sentence, where a blank or a quote ends it.
_IN_SENTENCE = re.compile(
    r"(https?:[/\\]*|[a-z][a-z0-9+.-]*:[/\\]+|(?<![^\s\"'<>(])[/\\]{2,})[^/?#\\\s\"'<>]*@", re.IGNORECASE
)


def without_user_info(text: str) -> str:
    """A URL, or a sentence with URLs, without the users and passwords in them: these are sent, and never written."""
    return _IN_SENTENCE.sub(r"\1", _OF_URL.sub(r"\1", text)) if "@" in text else text


class BadUrlError(ValueError):
    """The text is not an absolute http(s) URL."""


@dataclass(frozen=True, slots=True)
class RequestUrl:
    """An http(s) URL, parsed once: policy, budget, fetcher and cookies all read this object, never the text again.

    Args:
        text: The URL as it is sent: absolute, percent-encoded, without its fragment.
        server: Canonical key of the server (`server_key`).
        scheme: "http" or "https".
        host: Name or address to connect to, in lower case, IPv6 without brackets.
        port: Port to connect to, even if it is the scheme's default.
    """

    text: str
    server: str
    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> RequestUrl:
        """Read an identifier, or the target of a redirect.

        Raises:
            BadUrlError: `text` is not an absolute http(s) URL; the message is a short reason.
        """
        parsed = _parse(text)
        host, port, scheme = _host(parsed), parsed.port, parsed.protocol
        return cls(
            text=parsed.href.partition("#")[0],
            server=f"{host}:{port}" if port else host,
            scheme=scheme[:-1],
            host=host.strip("[]"),
            port=int(port) if port else _DEFAULT_PORTS[scheme],
        )

    def __str__(self) -> str:
        return self.text


def server_key(url: str) -> str:
    """Canonical `host` or `host:port` of an http(s) URL; the port only if it is not the scheme's default.

    Raises:
        BadUrlError: As `RequestUrl.parse`.
    """
    parsed = _parse(url)
    host = _host(parsed)
    return f"{host}:{parsed.port}" if parsed.port else host


def _host(parsed: ada_url.URL) -> str:
    """The host; "example.org.", spelled with the root of the DNS, is the same host as "example.org"."""
    host: str = parsed.hostname
    host = host.removesuffix(".") or host
    if len(host) > _MAX_HOST_LENGTH:
        raise BadUrlError("host name too long")
    if host in _SCHEME_NAMES or host.rpartition(".")[2] in _FILE_ENDINGS:
        raise BadUrlError(f"{host} is not the name of a host")
    return host


def named_server(name: str) -> str:
    """Canonical key of a server as people name it: a host, with or without a port, a URL, or the name of a folder.

    Without a scheme both default ports are dropped.

    Raises:
        BadUrlError: `name` is not the name of a server; the message is a short reason.
    """
    text = name.strip()
    if "://" in text:
        return server_key(text)
    spelled = text.partition("/")[0].replace("%3A", ":").replace("%3a", ":")
    return server_key(f"http://{spelled}/").removesuffix(":443")


def _parse(url: str) -> ada_url.URL:
    try:
        parsed = ada_url.URL(url)
    except (ValueError, UnicodeEncodeError):
        raise BadUrlError("not an absolute URL") from None
    if parsed.protocol not in _DEFAULT_PORTS:
        raise BadUrlError(f"scheme {parsed.protocol} is not http or https")
    return parsed
