"""A body is read within its limits, and what ended it is told apart."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from urllib3.exceptions import IncompleteRead, ProtocolError, ReadTimeoutError

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.fetch import body
from ray_downloader.fetch.body import Body, LowSpeedLimit, Room, Watch, kind_of_broken_read, read_body, speed_limit_of
from ray_downloader.fetch.receiver import Problem


class Clock:
    """Seconds that pass with every piece that is read."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        assert self.now_s < 2000.0, "it would never end"


class Answer:
    """An answer that arrives in these pieces; an exception among them is raised."""

    def __init__(self, clock: Clock, pieces: Iterable[bytes | Exception], piece_s: float = 1.0) -> None:
        self._clock = clock
        self._pieces = list(pieces)
        self._piece_s = piece_s
        self.is_closed = False
        self.asked: list[tuple[int, bool]] = []

    def read1(self, amount: int, decode_content: bool) -> bytes:
        self.asked.append((amount, decode_content))
        self._clock.now_s += self._piece_s
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(body, "time", clock)
    return clock


def read(clock: Clock, *pieces: bytes | Exception, declared: int | None = None, room: int = 100) -> tuple[Body, bool]:
    """The body, and whether its connection was closed."""
    answer = Answer(clock, pieces)
    limit = LowSpeedLimit(0.0, 1000.0, clock.now_s)
    return read_body(answer, declared, Room(room), Watch(clock.now_s + 10.0), limit), answer.is_closed  # type: ignore[arg-type]  # the part of it that is used


def test_a_body_is_its_pieces_as_they_came_not_decoded(clock: Clock) -> None:
    answer = Answer(clock, [b"pix", b"els"])
    found = read_body(answer, 6, Room(100), Watch(clock.now_s + 10), LowSpeedLimit(0, 9, 0))  # type: ignore[arg-type]  # as above
    assert found == Body(b"pixels", None, "")
    assert answer.asked == [(65536, False)] * 3
    assert not answer.is_closed


def test_a_body_without_a_declared_size_ends_where_it_ends(clock: Clock) -> None:
    assert read(clock, b"pixels") == (Body(b"pixels"), False)
    assert read(clock) == (Body(b""), False)


def test_a_file_that_is_packed_is_kept_as_it_came(clock: Clock) -> None:
    packed = gzip.compress(b"pixels")
    assert read(clock, packed) == (Body(packed), False)


@pytest.mark.parametrize(("may_continue", "waited_s"), [(True, 0.0), (False, 1.0)])
def test_room_is_waited_for_until_the_time_is_over(clock: Clock, may_continue: bool, waited_s: float) -> None:
    begun_s = clock.now_s
    body._await_room(SimpleNamespace(may_continue=may_continue), Watch(begun_s + 1.0))  # type: ignore[arg-type]  # as above
    assert clock.now_s - begun_s == pytest.approx(waited_s, abs=0.05)


@pytest.mark.parametrize(("declared", "room", "is_read"), [(6, 6, True), (7, 6, False)])
def test_what_is_announced_as_too_large_is_not_read(clock: Clock, declared: int, room: int, is_read: bool) -> None:
    found, is_closed = read(clock, b"pixels", declared=declared, room=room)
    assert (found.kind, found.content) == ((None, b"pixels") if is_read else (ErrorKind.TOO_LARGE, b""))
    assert is_closed is not is_read
    assert is_read or found.message == "7 bytes announced, 6 allowed"


@pytest.mark.parametrize(("room", "kind"), [(6, None), (5, ErrorKind.TOO_LARGE)])
def test_what_turns_out_too_large_is_not_read_to_its_end(clock: Clock, room: int, kind: ErrorKind | None) -> None:
    found, is_closed = read(clock, b"pix", b"els", room=room)
    assert (found.kind, is_closed) == (kind, kind is not None)
    assert found.message == ("" if kind is None else "given up after 6 bytes")


def test_a_slow_body_is_given_up_and_its_connection_closed(clock: Clock) -> None:
    answer = Answer(clock, [b"x"] * 9)
    limit = LowSpeedLimit(bytes_per_s=500, window_s=3, now_s=clock.now_s)
    found = read_body(answer, None, Room(100), Watch(clock.now_s + 100), limit)  # type: ignore[arg-type]  # as above
    assert (found.kind, found.content, answer.is_closed) == (ErrorKind.TOO_SLOW, b"xxx", True)


def test_the_time_limit_ends_a_body_that_keeps_coming(clock: Clock) -> None:
    found, is_closed = read(clock, *([b"x"] * 20))
    assert (found.kind, found.content, is_closed) == (ErrorKind.TIMEOUT, b"x" * 10, True)
    assert "10 bytes" in found.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ReadTimeoutError(None, "", "slow"), ErrorKind.TOO_SLOW),  # type: ignore[arg-type]  # no pool is at hand
        (TimeoutError("slow"), ErrorKind.TOO_SLOW),
        (ConnectionResetError("reset"), ErrorKind.RESET),
        (ProtocolError("broken", IncompleteRead(3, 4)), ErrorKind.TRUNCATED),
        (IncompleteRead(3, 4), ErrorKind.TRUNCATED),
    ],
)
def test_a_read_that_breaks_has_its_kind_keeps_what_came_and_closes(
    clock: Clock, error: Exception, kind: ErrorKind
) -> None:
    found, is_closed = read(clock, b"pix", error)
    assert (found.kind, found.content, is_closed) == (kind, b"pix", True)
    assert found.message == str(error)


def test_a_read_that_was_woken_at_its_limit_is_a_timeout_whatever_it_raised(clock: Clock) -> None:
    watch = Watch(clock.now_s)
    assert kind_of_broken_read(ConnectionResetError(), watch) is ErrorKind.TIMEOUT
    watch.ends_at_s += 0.001
    assert kind_of_broken_read(ConnectionResetError(), watch) is ErrorKind.RESET


def test_a_body_that_ends_early_is_truncated_and_at_its_limit_a_timeout(clock: Clock) -> None:
    found, _ = read(clock, b"pix", declared=6)
    assert (found.kind, found.message) == (ErrorKind.TRUNCATED, "3 of 6 bytes arrived")
    late = Answer(clock, [b"pix"], piece_s=6.0)
    found = read_body(late, 6, Room(100), Watch(clock.now_s + 11), LowSpeedLimit(0, 99, 0))  # type: ignore[arg-type]  # as above
    assert (found.kind, found.content) == (ErrorKind.TIMEOUT, b"pix")
    late = Answer(clock, [b"pixels"], piece_s=6.0)
    found = read_body(late, 6, Room(100), Watch(clock.now_s + 11), LowSpeedLimit(0, 99, 0))  # type: ignore[arg-type]  # as above
    assert found.kind is None, "it is whole, so the end that came late does not matter"
    late = Answer(clock, [b"pixels"], piece_s=6.0)
    found = read_body(late, None, Room(100), Watch(clock.now_s + 11), LowSpeedLimit(0, 99, 0))  # type: ignore[arg-type]  # as above
    assert found.kind is ErrorKind.TIMEOUT, "nothing says that this was all"


def test_a_waiting_thread_is_woken_and_one_without_a_socket_is_let_be() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watch = Watch(0.0, ours)
        watch.wake()
        assert ours.recv(1) == b""
        theirs.close()
        watch.wake()
    watch.wake()
    Watch(0.0).wake()


def test_a_silent_socket_fails_by_itself_after_a_window(clock: Clock) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        limit = speed_limit_of(NetworkSettings(low_speed_bytes_per_s=100, low_speed_s=7), ours)
        assert ours.gettimeout() == 7.0
    assert limit.keeps_up(0, clock.now_s + 6.9)
    assert not limit.keeps_up(699, clock.now_s + 7.0)
    assert speed_limit_of(NetworkSettings(low_speed_bytes_per_s=100, low_speed_s=7), None).keeps_up(
        700, clock.now_s + 7.0
    )


@pytest.mark.parametrize(
    ("enough", "content", "is_closed"), [(5, b"pixel", True), (6, b"pixels", False), (9, b"pixels", False)]
)
def test_what_is_enough_is_cut_and_whole(clock: Clock, enough: int, content: bytes, is_closed: bool) -> None:
    answer = Answer(clock, [b"pix", b"els"])
    limit = LowSpeedLimit(0.0, 1000.0, clock.now_s)
    found = read_body(answer, None, Room(100, enough), Watch(clock.now_s + 10.0), limit)  # type: ignore[arg-type]  # as above
    assert (found, answer.is_closed) == (Body(content), is_closed)


def test_a_transfer_is_given_a_whole_window_before_it_is_judged() -> None:
    limit = LowSpeedLimit(bytes_per_s=500, window_s=30, now_s=0.0)
    assert limit.keeps_up(1, now_s=29.9)
    assert not limit.keeps_up(1, now_s=30.0)


def test_the_first_window_is_counted_from_nothing() -> None:
    limit = LowSpeedLimit(bytes_per_s=500, window_s=30, now_s=5.0)
    assert not limit.keeps_up(14_999, now_s=35.0)
    assert LowSpeedLimit(bytes_per_s=500, window_s=30, now_s=5.0).keeps_up(15_000, now_s=35.0)


def test_a_fast_start_does_not_pay_for_a_slow_end() -> None:
    limit = LowSpeedLimit(bytes_per_s=500, window_s=30, now_s=0.0)
    assert limit.keeps_up(1_000_000, now_s=30.0)
    assert limit.keeps_up(15_000, now_s=60.0)
    assert not limit.keeps_up(14_999, now_s=90.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ErrorKind.TRUNCATED),
        (ErrorKind.TOO_LARGE, ErrorKind.TRUNCATED),
        (ErrorKind.TIMEOUT, ErrorKind.TIMEOUT),
    ],
    ids=["whole", "too large", "late"],
)
def test_what_is_wrong_with_the_content_counts_unless_the_transfer_failed_first(
    before: ErrorKind | None, after: ErrorKind
) -> None:
    lack = MachineError("no room")
    problem = Problem(ErrorKind.TRUNCATED, "a gzip without an end", lack)
    receiver = SimpleNamespace(finish=lambda: b"pix", problem=problem, has_enough=False)
    received = body._received(receiver, before, "late")  # type: ignore[arg-type]  # as far as it is used
    assert (received.kind, received.content, received.lack) == (after, b"pix", lack)
