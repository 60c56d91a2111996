"""libcurl's failures as error kinds: the one table for `curl.py`. Pure, and free of pycurl.

Numbers as https://curl.se/libcurl/c/libcurl-errors.html has them; what is not in the table is `internal`.
"""

from __future__ import annotations

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


def kind_of_timeout(is_connected: bool, has_answer: bool, total_s: float, request_timeout_s: float) -> ErrorKind:
    """Which of libcurl's time limits ended a transfer; it has one code for all of them.

    Args:
        is_connected: The TCP connection was made.
        has_answer: The status line arrived.
        total_s: How long the transfer took.
        request_timeout_s: Limit of a whole transfer.
    """
    if not is_connected:  # for a server's budget the same as a refused connection
        return ErrorKind.CONNECT
    if not has_answer or total_s >= request_timeout_s:
        return ErrorKind.TIMEOUT
    return ErrorKind.TOO_SLOW
