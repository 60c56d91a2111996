"""What an HTTP answer means, the same for every fetcher: status, headers, redirect, first words. Pure.

Servers answer whatever they like. Nothing in this module raises: what cannot be parsed is left out.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import unescape
from urllib.parse import unquote

import ada_url

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.receiver import GZIP_MAGIC, GZIP_WINDOW_BITS
from ray_downloader.partition.server_key import RequestUrl

#: How much of an error page is read to keep the connection usable; a longer page closes the connection instead.
ERROR_PAGE_BYTES = 64 * 1024

#: Requests the file as it is stored: images are compressed already, and `hashsum_original` covers the file's bytes.
IDENTITY = "identity"

#: Characters of an error page that are kept.
SAID_LENGTH = 200

#: Statuses that differ in meaning from the others of their hundred.
_KINDS = {
    204: ErrorKind.EMPTY,  # "no content" by definition
    205: ErrorKind.EMPTY,
    206: ErrorKind.TRUNCATED,  # we never request a part
    402: ErrorKind.PAYMENT_REQUIRED,
    408: ErrorKind.HTTP_5XX,  # temporary trouble: "request timeout", "misdirected", "too early"
    421: ErrorKind.HTTP_5XX,
    425: ErrorKind.HTTP_5XX,
    420: ErrorKind.HTTP_429,  # "enhance your calm", a rate limit wherever it occurs
    429: ErrorKind.HTTP_429,
}
#: With `Retry-After` these mean "come back later": the picture is still being made, a ban that ends, the server is
#: full. (503 and 509, "bandwidth limit exceeded", are temporary trouble with and without it.)
_LATER = {202: ErrorKind.HTTP_429, 403: ErrorKind.HTTP_403_BAN, 413: ErrorKind.HTTP_429}
_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? +(\d{3})", re.IGNORECASE)
_LINE_ENDS = frozenset({b"\r\n", b"\n", b"\r", b""})
#: Characters that a reader, a log or a table cell could stumble over; tabs and folded lines become spaces.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+ *")

_TEXTUAL = ("text/", "json", "xml", "javascript")
_UNSEEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|head|svg)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)(?:</title|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*(?:>|\Z)")
#: How much of a page is searched for its first words: style sheets often come before them.
_WORDS_BYTES = 16 * 1024


def kind_of_status(status: int, headers: Mapping[str, str]) -> ErrorKind | None:
    """The failure that an answer states; None for an answer that contains the file.

    A 3xx is looked up here only if it does not redirect; like every other final refusal it is `http_4xx`.
    """
    if status in _LATER and "retry-after" in headers:
        return _LATER[status]
    if status in _KINDS:
        return _KINDS[status]
    if status < 300:  # below 200 are interim answers, and the real one never came
        return None if status >= 200 else ErrorKind.RESET
    return ErrorKind.HTTP_5XX if 500 <= status < 600 else ErrorKind.HTTP_4XX  # 3xx that lead nowhere, and 999


def read_head(lines: Iterable[bytes]) -> tuple[int, dict[str, str]]:
    """Status and headers of the last answer in what came before a body; status 0 if there is none.

    A proxy and interim answers (`100 Continue`, `103 Early Hints`) put other heads before it, trailers come after it.
    """
    status, pairs, starts = 0, list[tuple[str, str]](), True
    for line in lines:
        if line in _LINE_ENDS:
            starts = True
        elif starts:
            found = _STATUS_LINE.match(line)
            if found is None:
                break
            status, pairs, starts = int(found[1]), [], False
        else:
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                pairs.append((name, value))
    return status, merged_headers(pairs)


def merged_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers as a mapping: names in lower case, repeated headers as lines of one value."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.strip().lower()
        text = value.strip()
        if not text.isprintable():
            text = _CONTROL.sub(" ", text).strip()
        headers[key] = f"{headers[key]}\n{text}" if key in headers else text
    return headers


def redirect_target(base: RequestUrl, status: int, headers: Mapping[str, str]) -> str | None:
    """Where a redirect leads, absolute and without a fragment; None for an answer that does not redirect.

    Servers also send `Location` unescaped: its bytes are sent back as they came. A target that is not a URL is returned
    as it is; whoever follows it will refuse it. If there are several, the first one is used.
    """
    location = headers.get("location", "").partition("\n")[0]
    if status not in _REDIRECTS or not location:
        return None
    escaped = "".join(char if char < "\x80" else f"%{ord(char):02X}" for char in location)
    try:
        return str(ada_url.join_url(base.text, escaped)).partition("#")[0]
    except ValueError:
        return escaped


def declared_size_bytes(headers: Mapping[str, str]) -> int | None:
    """The body size according to `Content-Length`, if there is one."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def names_gzip(headers: Mapping[str, str]) -> bool:
    """Whether the body is said to be compressed although that was not requested, as some servers do."""
    return "gzip" in headers.get("content-encoding", "").lower()


def said_of(status: int, headers: Mapping[str, str], page: bytes, secrets: Iterable[str] = ()) -> str:
    """What a refusal said, in one line: its status, the price of a crawl if it names one, and its first words.

    Args:
        status: HTTP status.
        headers: The answer's headers.
        page: Its body, as far as it was read.
        secrets: What was sent (`sent_secrets`); if a page repeats one, it is removed from the quotation.
    """
    secrets = list(secrets)
    price = headers.get("crawler-price")
    facts = f"HTTP status {status}" + (f", crawler-price {_redacted(price, secrets)[:80]}" if price else "")
    words = first_words(page, headers, secrets)
    return f"{facts}: {words}" if words else facts


def first_words(page: bytes, headers: Mapping[str, str], secrets: Iterable[str] = ()) -> str:
    """The first words of an error page as plain text; empty if it is not text."""
    content_type = headers.get("content-type", "").lower()
    if content_type and not any(word in content_type for word in _TEXTUAL):
        return ""
    raw = _unzipped(page) if names_gzip(headers) and page.startswith(GZIP_MAGIC) else page
    text = _text(raw[:_WORDS_BYTES], content_type)
    if not content_type and "\ufffd" in text:  # not text, whatever it is
        return ""
    shown = _words(_UNSEEN.sub(" ", text)) or _words(" ".join(_TITLE.findall(text)))
    shown = _redacted(shown, secrets)
    return shown if len(shown) <= SAID_LENGTH else shown[: SAID_LENGTH - 1].rpartition(" ")[0] + "\u2026"


def _unzipped(page: bytes) -> bytes:
    """The start of a compressed page."""
    try:
        return zlib.decompressobj(GZIP_WINDOW_BITS).decompress(page, _WORDS_BYTES)
    except zlib.error:
        return b""


def _text(raw: bytes, content_type: str) -> str:
    named = re.search(r"charset=[\"']?([\w.:-]+)", content_type)
    try:
        return raw.decode(named[1] if named else "utf-8", "replace")
    except (LookupError, ValueError):
        return raw.decode("utf-8", "replace")


def _words(markup: str) -> str:
    text = unescape(_TAG.sub(" ", markup))
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def sent_secrets(values: Iterable[str], *urls: str) -> list[str]:
    """What a request sends that no file may have.

    Args:
        values: Those of its headers.
        urls: The requested URL, and that of the proxy. Their users and passwords are sent as `Basic` credentials.
    """
    found = list(values)
    for user_info in filter(None, map(_user_info, urls)):
        plain = unquote(user_info)
        found += [user_info, plain, b64encode(plain.encode()).decode(), plain.partition(":")[2]]
    return found


def _user_info(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[0]


def _redacted(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(_quotable(secrets), key=len, reverse=True):
        text = text.replace(secret, "[redacted]")
    return text


def _quotable(secrets: Iterable[str]) -> set[str]:
    """Secrets as a page may repeat them: complete, or only what follows the scheme (`Bearer`)."""
    return {part for secret in secrets for part in (secret, *secret.split()[1:]) if len(part) >= 4}
