"""Reads the body of one urllib3 answer within its limits of size, speed and time.

Used by the threads of `requests.py`; with a `Watch`, the loop's thread can end a read that takes too long.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass

from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.fetch.receiver import BodyRoom, Receiver
from ray_downloader.spill import Body as BodyBytes
from ray_downloader.spill import BodyFile

READ_BYTES = 64 * 1024
#: How often a body that has no room on scratch looks again.
ROOM_POLL_S = 0.05


class LowSpeedLimit:
    """Judges the average speed over consecutive windows, much as curl's `--speed-limit` and `--speed-time`. Pure.

    Args:
        bytes_per_s: Anything slower is too slow.
        window_s: Length of a window.
        now_s: When the transfer began.
    """

    def __init__(self, bytes_per_s: float, window_s: float, now_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._window_s = window_s
        self._since_s = now_s
        self._size_bytes = 0

    def keeps_up(self, size_bytes: int, now_s: float) -> bool:
        """Count `size_bytes` that have arrived; False once a whole window was too slow."""
        self._size_bytes += size_bytes
        elapsed_s = now_s - self._since_s
        if elapsed_s < self._window_s:
            return True
        is_fast_enough = self._size_bytes >= self._bytes_per_s * elapsed_s
        self._since_s, self._size_bytes = now_s, 0
        return is_fast_enough


@dataclass(slots=True)
class Watch:
    """A request in progress, as seen from outside its thread."""

    ends_at_s: float
    socket: socket.socket | None = None

    def has_time_left(self) -> bool:
        """Whether the request may continue."""
        return time.monotonic() < self.ends_at_s

    def wake(self) -> None:
        """Make the thread's read fail. For TLS it shuts the raw socket, which a thread reading from it survives."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a body is read.

    Args:
        max_bytes: The largest body allowed; a larger one is a failure and is not read, or not to its end.
        enough_bytes: Where reading stops without a failure.
        receiver: Takes the body; None for plain bytes in memory.
    """

    max_bytes: int
    enough_bytes: int | None = None
    receiver: Receiver | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What arrived, and why no more did."""

    content: BodyBytes
    kind: ErrorKind | None = None
    message: str = ""
    lack: MachineError | None = None


def read_body(
    raw: BaseHTTPResponse,
    declared_bytes: int | None,
    room: Room,
    watch: Watch,
    speed: LowSpeedLimit,
) -> Body:
    """Read to the end of the body; a connection that cannot be reused is closed.

    Args:
        raw: The answer; nothing of its body has been read yet.
        declared_bytes: The size according to Content-Length.
        room: How much to read.
        watch: Ends the read from outside.
        speed: Ends a read that is too slow.
    """
    if declared_bytes is not None and declared_bytes > room.max_bytes:
        raw.close()
        return Body(b"", ErrorKind.TOO_LARGE, f"{declared_bytes} bytes announced, {room.max_bytes} allowed")
    receiver = plain_receiver(declared_bytes, room) if room.receiver is None else room.receiver
    kind: ErrorKind | None = None
    message = ""
    try:
        while chunk := raw.read1(READ_BYTES, decode_content=False):
            _await_room(receiver, watch)
            goes_on = receiver.write(chunk)
            kind = _overrun(room, receiver, speed.keeps_up(len(chunk), time.monotonic()), watch)
            if not goes_on or kind is not None:
                raw.close()
                message = f"given up after {receiver.received_bytes} bytes"
                break
        else:
            kind, message = _how_it_ended(receiver.received_bytes, declared_bytes, watch)
    except (HTTPError, OSError) as error:
        raw.close()
        kind, message = kind_of_broken_read(error, watch), str(error)
    except BaseException:
        receiver.discard()
        raise
    return _received(receiver, kind, message)


def plain_receiver(declared_bytes: int | None, room: Room) -> Receiver:
    """A receiver of bytes as they come, with memory of its own."""
    return Receiver(
        BodyRoom(), declared_bytes, may_be_gzip=False, max_unpacked_bytes=room.max_bytes, enough_bytes=room.enough_bytes
    )


def _await_room(receiver: Receiver, watch: Watch) -> None:
    while not receiver.may_continue and watch.has_time_left():
        time.sleep(ROOM_POLL_S)


def _received(receiver: Receiver, kind: ErrorKind | None, message: str) -> Body:
    content = receiver.finish()
    if receiver.problem is not None and (kind is None or kind is ErrorKind.TOO_LARGE):
        kind, message = receiver.problem.kind, receiver.problem.message
    if receiver.has_enough and kind in (None, ErrorKind.TOO_LARGE):
        kind, message = None, ""
    if kind is not None and isinstance(content, BodyFile):
        content.close()
        content = b""
    lack = None if receiver.problem is None else receiver.problem.lack
    return Body(content, kind, message if kind is not None else "", lack)


def speed_limit_of(network: NetworkSettings, sock: socket.socket | None) -> LowSpeedLimit:
    """The minimum speed from the settings; a socket that is silent for a whole window fails by itself."""
    if sock is not None:
        sock.settimeout(network.low_speed_s)
    return LowSpeedLimit(network.low_speed_bytes_per_s, network.low_speed_s, time.monotonic())


def kind_of_broken_read(error: Exception, watch: Watch) -> ErrorKind:
    """Why the reading of a body failed."""
    if not watch.has_time_left():
        return ErrorKind.TIMEOUT
    if isinstance(error, ReadTimeoutError | TimeoutError):
        return ErrorKind.TOO_SLOW
    causes = (error, *error.args)
    return ErrorKind.TRUNCATED if any("IncompleteRead" in type(c).__name__ for c in causes) else ErrorKind.RESET


def _overrun(room: Room, receiver: Receiver, keeps_up: bool, watch: Watch) -> ErrorKind | None:
    if receiver.received_bytes > room.max_bytes and room.enough_bytes is None:
        return ErrorKind.TOO_LARGE
    if not watch.has_time_left():
        return ErrorKind.TIMEOUT
    return None if keeps_up else ErrorKind.TOO_SLOW


def _how_it_ended(size_bytes: int, declared_bytes: int | None, watch: Watch) -> tuple[ErrorKind | None, str]:
    """A body that ended by itself; a connection that was closed or woken early looks the same."""
    if declared_bytes is not None and size_bytes >= declared_bytes:
        return None, ""
    if not watch.has_time_left():
        return ErrorKind.TIMEOUT, f"the time limit was reached after {size_bytes} bytes"
    if declared_bytes is None:
        return None, ""
    return ErrorKind.TRUNCATED, f"{size_bytes} of {declared_bytes} bytes arrived"
