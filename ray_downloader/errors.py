"""Every way a row can fail, and every way a command can end.

The error kinds are a closed enum: the network seam (`fetch/`), the pixels (`image/`) and the policy
(`politeness/`) each map their failures to one of these, and statistics count kinds, never free text.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from pathlib import Path


class ErrorKind(str, Enum):
    """Why a row ended in `errors.parquet`."""

    BAD_URL = "bad_url"
    FORBIDDEN_ADDRESS = "forbidden_address"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    TOO_SLOW = "too_slow"
    RESET = "reset"
    HTTP_4XX = "http_4xx"
    HTTP_403_BAN = "http_403_ban"
    HTTP_429 = "http_429"
    HTTP_5XX = "http_5xx"
    REDIRECT_LOOP = "redirect_loop"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    NOT_IMAGE = "not_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    TOO_MANY_PIXELS = "too_many_pixels"
    DECODE_FAILED = "decode_failed"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    ROBOTS = "robots"
    OPTED_OUT = "opted_out"
    IGNORED_SERVER = "ignored_server"
    SERVER_DEAD = "server_dead"
    SERVER_REFUSED = "server_refused"
    PAYMENT_REQUIRED = "payment_required"
    INTERNAL = "internal"

    def __str__(self) -> str:
        return self.value


_IMAGE_KINDS = frozenset(
    {
        ErrorKind.EMPTY,
        ErrorKind.NOT_IMAGE,
        ErrorKind.UNSUPPORTED_FORMAT,
        ErrorKind.TRUNCATED,
        ErrorKind.TOO_MANY_PIXELS,
        ErrorKind.DECODE_FAILED,
        ErrorKind.CHECKSUM_MISMATCH,
    }
)
_POLICY_KINDS = frozenset(
    {
        ErrorKind.BAD_URL,
        ErrorKind.FORBIDDEN_ADDRESS,
        ErrorKind.ROBOTS,
        ErrorKind.OPTED_OUT,
        ErrorKind.IGNORED_SERVER,
        ErrorKind.SERVER_DEAD,
        ErrorKind.SERVER_REFUSED,
        ErrorKind.TOO_LARGE,
    }
)
_HTTP_KINDS = frozenset(
    {
        ErrorKind.HTTP_4XX,
        ErrorKind.HTTP_403_BAN,
        ErrorKind.HTTP_429,
        ErrorKind.HTTP_5XX,
        ErrorKind.REDIRECT_LOOP,
        ErrorKind.PAYMENT_REQUIRED,
    }
)

#: Failures that may pass: a later run with `retry_errors=transient` retries exactly these. The others are answers, and
#: another request would only repeat them.
TRANSIENT_KINDS = frozenset(
    {
        ErrorKind.DNS,
        ErrorKind.CONNECT,
        ErrorKind.TIMEOUT,
        ErrorKind.TOO_SLOW,
        ErrorKind.RESET,
        ErrorKind.HTTP_403_BAN,
        ErrorKind.HTTP_429,
        ErrorKind.HTTP_5XX,
        ErrorKind.EMPTY,
        ErrorKind.TRUNCATED,
        ErrorKind.SERVER_DEAD,
        ErrorKind.SERVER_REFUSED,
        ErrorKind.INTERNAL,
    }
)


def error_code(kind: ErrorKind, http_status: int | None) -> int:
    """Number for the `error_code` column: the HTTP status if it is the cause, else a class of failure.

    Returns:
        The HTTP status for failures the server stated, -1 for the network, -2 for the image, -3 for policy.
    """
    if kind in _HTTP_KINDS and http_status is not None:
        return http_status
    if kind in _IMAGE_KINDS:
        return -2
    if kind in _POLICY_KINDS:
        return -3
    return -1


class ExitCode(IntEnum):
    """The exit codes of the process; the README explains them."""

    SETTLED = 0
    FAILED = 1
    USAGE = 2
    STOPPED = 3
    BUSY = 4


class UserError(Exception):
    """Something the user can fix: bad configuration or input. Shown as one sentence, never as a traceback."""

    exit_code = ExitCode.USAGE


class FolderBusyError(UserError):
    """Another run holds the output folder."""

    exit_code = ExitCode.BUSY


class RunFolderError(UserError):
    """A file of the run folder is damaged, or cannot be written: not a mistake in the configuration."""

    exit_code = ExitCode.FAILED


class DamagedFileError(RunFolderError):
    """A table of the run folder that cannot be read; the next call makes it anew if it can.

    Args:
        message: One sentence.
        path: The file.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message, path)
        self.path = path

    @classmethod
    def of(cls, path: Path, error: Exception) -> DamagedFileError:
        """The error about a file that a reader could not read."""
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        return cls(f"{path} is damaged ({why}); the same command makes it anew", str(path))

    def __str__(self) -> str:
        return str(self.args[0])


class RayLostError(UserError):
    """The job's Ray has ended during the run; what was done is kept, and the same command continues."""

    exit_code = ExitCode.STOPPED


class MachineError(UserError):
    """This machine lacks what a run needs: room on scratch, memory, processes, open files. No row is to blame."""

    exit_code = ExitCode.FAILED


class StartError(UserError):
    """Ray did not start; not a mistake in the configuration, but no traceback would help."""

    exit_code = ExitCode.FAILED
