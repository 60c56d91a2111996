"""What a complete HTTP answer means: one table from status to error kind, the same for every fetcher. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

from ray_downloader.errors import ErrorKind

#: Bytes of an error page that are read, to keep the connection usable, before it is dropped instead.
ERROR_PAGE_BYTES = 64 * 1024

#: We ask for the file as it is stored: images are compressed already, and `hashsum_original` is of the file's bytes.
IDENTITY = "identity"

_GZIP_MAGIC = b"\x1f\x8b"
#: zlib's window size for "gzip header and trailer expected".
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS


def kind_of_status(status: int) -> ErrorKind | None:
    """The failure that an HTTP status states; None for one that brings the file.

    A 3xx reaches this table only where it has no `Location`; like every other final refusal it is `http_4xx`.
    """
    if status in {204, 205}:  # "no content" by definition
        return ErrorKind.EMPTY
    if status == 206:  # we never ask for a part
        return ErrorKind.TRUNCATED
    if 200 <= status < 300:
        return None
    if status == 429:
        return ErrorKind.HTTP_429
    if 500 <= status < 600:
        return ErrorKind.HTTP_5XX
    return ErrorKind.HTTP_4XX  # 3xx without Location, 4xx, and inventions such as 999


def headers_of(lines: Iterable[bytes]) -> dict[str, str]:
    """Header lines as a mapping: names in lower case, repeated ones joined with ", "."""
    headers: dict[str, str] = {}
    for line in lines:
        name, separator, value = line.decode("latin-1").partition(":")
        if separator:
            key, text = name.strip().lower(), value.strip()
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def declared_size_bytes(headers: Mapping[str, str]) -> int | None:
    """The body size that `Content-Length` states, if it does."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def decoded(body: bytes, headers: Mapping[str, str], max_bytes: int) -> bytes:
    """The body without the gzip that some servers apply although we asked for none.

    What only claims to be gzip, is damaged or would exceed `max_bytes` stays as it came: the image decoder refuses it.
    """
    if "gzip" not in headers.get("content-encoding", "").lower() or not body.startswith(_GZIP_MAGIC):
        return body
    inflater = zlib.decompressobj(_GZIP_WINDOW_BITS)
    try:
        plain = inflater.decompress(body, max_bytes)
    except zlib.error:
        return body
    return plain if inflater.eof else body
