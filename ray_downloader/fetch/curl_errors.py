"""libcurl's failures as error kinds: the one table for `curl.py`. Pure, and free of pycurl.

Numbers are those of https://curl.se/libcurl/c/libcurl-errors.html; what is not in the table is `internal`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ray_downloader.errors import ErrorKind

COULD_NOT_RESOLVE = 6
COULD_NOT_CONNECT = 7
WRITE_REFUSED = 23
OUT_OF_MEMORY = 27
TIMED_OUT = 28
SENT_TWICE = 42
CERTIFICATE_REFUSED = 60

KIND_OF_CODE = {
    1: ErrorKind.RESET,  # an answer that is not HTTP, or has an impossible status (schemes were checked before)
    3: ErrorKind.BAD_URL,
    5: ErrorKind.CONNECT,  # the proxy's name does not resolve
    COULD_NOT_RESOLVE: ErrorKind.DNS,
    COULD_NOT_CONNECT: ErrorKind.CONNECT,
    8: ErrorKind.RESET,  # a header that cannot be read
    16: ErrorKind.RESET,  # HTTP/2 framing
    18: ErrorKind.TRUNCATED,  # fewer bytes than announced
    WRITE_REFUSED: ErrorKind.TOO_LARGE,  # only our own callback refuses a piece
    35: ErrorKind.TLS,  # handshake
    SENT_TWICE: ErrorKind.RESET,  # our callback forbade to send the request again on a second connection
    52: ErrorKind.RESET,  # closed without an answer
    53: ErrorKind.TLS,
    54: ErrorKind.TLS,
    55: ErrorKind.RESET,
    56: ErrorKind.RESET,
    58: ErrorKind.TLS,
    59: ErrorKind.TLS,
    CERTIFICATE_REFUSED: ErrorKind.TLS,
    61: ErrorKind.RESET,  # a Transfer-Encoding that was not requested
    63: ErrorKind.TOO_LARGE,  # announced size
    64: ErrorKind.TLS,
    66: ErrorKind.TLS,
    77: ErrorKind.TLS,
    80: ErrorKind.TLS,
    82: ErrorKind.TLS,
    83: ErrorKind.TLS,
    90: ErrorKind.TLS,
    91: ErrorKind.TLS,
    92: ErrorKind.RESET,  # HTTP/2 stream
    95: ErrorKind.RESET,  # HTTP/3
    96: ErrorKind.CONNECT,  # QUIC
    97: ErrorKind.CONNECT,  # handshake with the proxy
    100: ErrorKind.RESET,  # headers without end
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer got before a time limit ended it."""

    is_resolved: bool
    is_connected: bool
    has_answer: bool
    total_s: float


def kind_of_timeout(progress: Progress, request_timeout_s: float) -> ErrorKind:
    """Which of the time limits it was; libcurl has one code for all of them.

    The time for look-up and connection has a limit of its own: a request that had neither at the very end was waiting
    for one of its host's connections.
    """
    is_whole_time = progress.total_s >= request_timeout_s
    if not progress.is_resolved:
        return ErrorKind.TIMEOUT if is_whole_time else ErrorKind.DNS
    if not progress.is_connected:  # for a server's budget it is the same as a refused connection
        return ErrorKind.CONNECT
    if not progress.has_answer or is_whole_time:
        return ErrorKind.TIMEOUT
    return ErrorKind.TOO_SLOW
