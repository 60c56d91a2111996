"""libcurl's failures as error kinds: the one table for `curl.py`. Pure, and free of pycurl.

Numbers as https://curl.se/libcurl/c/libcurl-errors.html has them; what is not in the table is `internal`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ray_downloader.errors import ErrorKind

COULD_NOT_CONNECT = 7
WRITE_REFUSED = 23
TIMED_OUT = 28

KIND_OF_CODE = {
    1: ErrorKind.RESET,  # an answer without HTTP headers (schemes were checked before)
    3: ErrorKind.BAD_URL,
    5: ErrorKind.CONNECT,  # the proxy's name does not resolve
    6: ErrorKind.DNS,
    COULD_NOT_CONNECT: ErrorKind.CONNECT,
    8: ErrorKind.RESET,  # the answer is not HTTP
    16: ErrorKind.RESET,  # HTTP/2 framing
    18: ErrorKind.TRUNCATED,  # fewer bytes than announced
    WRITE_REFUSED: ErrorKind.TOO_LARGE,  # only our own callback refuses a piece
    35: ErrorKind.TLS,  # handshake
    42: ErrorKind.RESET,  # our callback forbade to send the request again on a second connection
    52: ErrorKind.RESET,  # closed without an answer
    53: ErrorKind.TLS,
    54: ErrorKind.TLS,
    55: ErrorKind.RESET,
    56: ErrorKind.RESET,
    58: ErrorKind.TLS,
    59: ErrorKind.TLS,
    60: ErrorKind.TLS,  # certificate not trusted
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
    97: ErrorKind.CONNECT,  # handshake with the proxy
    100: ErrorKind.RESET,  # headers without end
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer came before a time limit ended it."""

    is_resolved: bool
    is_connected: bool
    has_answer: bool
    total_s: float


def kind_of_timeout(progress: Progress, request_timeout_s: float) -> ErrorKind:
    """Which of the time limits it was; libcurl has one code for all of them."""
    if not progress.is_resolved:
        return ErrorKind.DNS
    if not progress.is_connected:  # for a server's budget the same as a refused connection
        return ErrorKind.CONNECT
    if not progress.has_answer or progress.total_s >= request_timeout_s:
        return ErrorKind.TIMEOUT
    return ErrorKind.TOO_SLOW
