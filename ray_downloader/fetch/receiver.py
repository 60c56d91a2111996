"""Receives the body of one answer: takes off a gzip that nobody requested, and never holds more memory than there is.

What is announced is charged before it comes, what is not as it grows. A body that is large, or that finds no memory
left, continues in a file on scratch; once scratch is full too, all but one of such bodies wait. If even that one does
not fit, it is this machine that lacks room: no row ends because of it.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.spill import Body, BodyFile

#: Larger bodies are written to a file at once: they are processed in the decoder process anyway.
MOST_IN_MEMORY_BYTES = 16 * 2**20
#: Bodies in memory, and on scratch, of one worker. A worker is promised to stay below 400 MB, of which imports take
#: 190, a picture up to 128.
MEMORY_BYTES = 64 * 2**20
SCRATCH_BYTES = 4 * 2**30
#: With less room than this on its disk, scratch is full as well: other programs write there, too.
LEAST_FREE_BYTES = 64 * 2**20

GZIP_MAGIC = b"\x1f\x8b"
#: zlib's window size for "gzip header and trailer expected".
GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
#: How much is unpacked at a time.
_PIECE_BYTES = 2**20
#: A picture is compressed already; blank scans as TIFF or BMP are the ones that gzip makes this much smaller.
MAX_RATIO = 100
#: Up to this size the ratio does not matter.
ANY_RATIO_BYTES = 16 * 2**20


class BodyRoom:
    """How much memory and scratch the bodies of one worker use, received or being received.

    Args:
        memory_bytes: Bound of what they may use in memory.
        scratch: Folder for the files of those that do not fit.
        scratch_bytes: Bound of what they may use there; one body may exceed it.
    """

    def __init__(
        self,
        memory_bytes: int = MEMORY_BYTES,
        scratch: Path | None = None,
        scratch_bytes: int = SCRATCH_BYTES,
    ) -> None:
        self.memory_bytes = memory_bytes
        self._scratch = scratch or Path(gettempdir())
        self._scratch_bytes = scratch_bytes
        self._lock = threading.Lock()
        self._in_memory_bytes = 0
        self._on_scratch_bytes = 0
        self._growing: dict[int, int] = {}

    @property
    def in_memory_bytes(self) -> int:
        """What is charged to memory."""
        return self._in_memory_bytes

    @property
    def on_scratch_bytes(self) -> int:
        """What is charged to scratch."""
        return self._on_scratch_bytes

    def charge(self, size_bytes: int) -> None:
        """Charge to memory what is there already."""
        with self._lock:
            self._in_memory_bytes += size_bytes

    def reserve(self, size_bytes: int) -> bool:
        """Charge to memory what is still to come; False if there is no room for it."""
        with self._lock:
            has_room = self._in_memory_bytes + size_bytes <= self.memory_bytes
            self._in_memory_bytes += size_bytes if has_room else 0
        return has_room

    def release(self, size_bytes: int) -> None:
        """Give memory back."""
        with self._lock:
            self._in_memory_bytes -= size_bytes

    def new_file(self, of: int) -> BodyFile:
        """A file for a body that grows.

        Args:
            of: Identifies the body until it `has_ended`.

        Raises:
            MachineError: Scratch cannot be written.
        """
        try:
            file = BodyFile(self._scratch, self._free)
        except OSError as error:
            raise self._lack_of_room(error) from None
        with self._lock:
            self._growing[of] = 0
        return file

    def may_grow(self, of: int) -> bool:
        """Whether a file may grow now.

        1. Scratch has room.
        2. It is the oldest, so that not all wait for each other. On a disk that is nearly full it waits as well for
           bodies that are complete: they will be gone soon.
        """
        is_disk_full = self._free_bytes() < LEAST_FREE_BYTES
        with self._lock:
            if self._on_scratch_bytes < self._scratch_bytes and not is_disk_full:
                return True
            is_oldest = next(iter(self._growing), of) == of
            return is_oldest and not (is_disk_full and self._on_scratch_bytes > sum(self._growing.values()))

    def write(self, file: BodyFile, chunk: bytes, of: int) -> None:
        """Append a piece to the file of a body.

        Raises:
            MachineError: Scratch cannot be written.
        """
        try:
            file.write(chunk)
        except OSError as error:
            raise self._lack_of_room(error) from None
        with self._lock:
            self._on_scratch_bytes += len(chunk)
            self._growing[of] += len(chunk)

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._scratch)
        return disk.f_bavail * disk.f_frsize

    def _lack_of_room(self, error: OSError) -> MachineError:
        return MachineError(
            f"cluster.scratch={self._scratch} cannot take a large body: {error.strerror or error}; what was settled is "
            "safe: make room there or name another folder, and the same command continues"
        )

    def has_ended(self, of: int) -> None:
        """A body is complete, or given up."""
        with self._lock:
            self._growing.pop(of, None)

    def _free(self, size_bytes: int) -> None:
        with self._lock:
            self._on_scratch_bytes -= size_bytes


class BodyBuffer:
    """The bytes of one body, in memory as long as they fit.

    Args:
        room: Where they are charged.
        announced_bytes: The size that was announced, if any.
    """

    def __init__(self, room: BodyRoom, announced_bytes: int | None) -> None:
        self._room = room
        self._chunks: list[bytes] = []
        self._size_bytes = 0
        self._file: BodyFile | None = None
        announced = announced_bytes or 0
        self._is_for_scratch = announced > MOST_IN_MEMORY_BYTES or not room.reserve(announced)
        self._charged_bytes = 0 if self._is_for_scratch else announced

    def __len__(self) -> int:
        return self._size_bytes

    @property
    def may_grow(self) -> bool:
        """Whether more bytes have a place now; if not, they must wait."""
        return self._file is None or self._room.may_grow(id(self))

    def write(self, chunk: bytes) -> None:
        """Append a piece.

        Raises:
            MachineError: Scratch is full.
        """
        self._size_bytes += len(chunk)
        if self._file is None and (self._is_for_scratch or not self._fits()):
            self._file = self._spilled()
        if self._file is None:
            self._chunks.append(chunk)
        else:
            self._room.write(self._file, chunk, id(self))

    def finish(self) -> Body:
        """All bytes. What was charged to memory is given back: whoever keeps them charges them anew."""
        self._end()
        if self._file is not None:
            return self._file
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def discard(self) -> None:
        """Forget everything."""
        self._end()
        self._chunks = []
        if self._file is not None:
            self._file.close()

    def _fits(self) -> bool:
        more = self._size_bytes - self._charged_bytes
        if more <= 0:
            return True
        if self._size_bytes > MOST_IN_MEMORY_BYTES or not self._room.reserve(more):
            return False
        self._charged_bytes += more
        return True

    def _spilled(self) -> BodyFile:
        file = self._room.new_file(id(self))
        for chunk in self._chunks:
            self._room.write(file, chunk, id(self))
        self._chunks = []
        self._give_back()
        return file

    def _give_back(self) -> None:
        self._room.release(self._charged_bytes)
        self._charged_bytes = 0

    def _end(self) -> None:
        self._give_back()
        self._room.has_ended(id(self))


@dataclass(frozen=True, slots=True)
class Problem:
    """Why what arrived is not the file.

    Args:
        lack: What this machine lacks, if it is neither the server's fault nor that of the file.
    """

    kind: ErrorKind
    message: str
    lack: MachineError | None = None


class Receiver:
    """The body of one answer as it arrives.

    Args:
        room: Where it is charged.
        announced_bytes: `Content-Length`, if there is one.
        may_be_gzip: Whether the headers say so.
        max_unpacked_bytes: The largest file that a gzip may become.
        enough_bytes: The file is cut there without a failure, if not None.
    """

    def __init__(
        self,
        room: BodyRoom,
        announced_bytes: int | None,
        *,
        may_be_gzip: bool,
        max_unpacked_bytes: int,
        enough_bytes: int | None = None,
    ) -> None:
        self._buffer = BodyBuffer(room, announced_bytes if enough_bytes is None else None)
        self._max_unpacked_bytes = max_unpacked_bytes
        self._enough_bytes = enough_bytes
        self.has_enough = False
        self._start: bytes | None = b"" if may_be_gzip else None
        self._inflater: _Inflater | None = None
        self.received_bytes = 0
        self.problem: Problem | None = None

    @property
    def may_continue(self) -> bool:
        """Whether the next piece has a place now."""
        return self._buffer.may_grow

    def write(self, chunk: bytes) -> bool:
        """Take a piece; False if the rest is of no use (`problem`, `has_enough`)."""
        self.received_bytes += len(chunk)
        self._take(chunk)
        return self.problem is None and not self.has_enough

    def _take(self, chunk: bytes) -> None:
        try:
            if self._start is not None:
                chunk = self._begin(chunk)
            if self._inflater is None:
                self._write(chunk)
            else:
                self._inflate(self._inflater, chunk)
        except MachineError as lack:
            self.problem = Problem(ErrorKind.INTERNAL, str(lack), lack)

    def finish(self) -> Body:
        """What arrived, unpacked."""
        start, self._start = self._start, None
        if start:
            self._take(start)  # too short to be a gzip
        is_cut = self._inflater is not None and not self._inflater.is_whole and not self.has_enough
        if is_cut and self.problem is None:
            self.problem = Problem(ErrorKind.TRUNCATED, "the gzip in which it was sent ends early")
        return self._buffer.finish()

    def discard(self) -> None:
        """Forget everything."""
        self._buffer.discard()

    def _begin(self, chunk: bytes) -> bytes:
        """Look at the first two bytes: what only claims to be gzip is taken as it is."""
        assert self._start is not None
        start = self._start + chunk
        if len(start) < len(GZIP_MAGIC):
            self._start = start
            return b""
        self._start = None
        if start.startswith(GZIP_MAGIC):
            self._inflater = _Inflater()
        return start

    def _inflate(self, inflater: _Inflater, chunk: bytes) -> None:
        most_bytes = min(self._max_unpacked_bytes, max(ANY_RATIO_BYTES, MAX_RATIO * self.received_bytes))
        if self._enough_bytes is not None:
            most_bytes = self._enough_bytes + 1
        try:
            has_room = inflater.unpack(chunk, self._write, lambda: most_bytes - len(self._buffer))
        except zlib.error as error:
            self.problem = Problem(ErrorKind.DECODE_FAILED, f"the gzip in which it was sent is damaged: {error}")
            return
        if not has_room and not self.has_enough:
            self.problem = Problem(
                ErrorKind.TOO_LARGE,
                f"{self.received_bytes} bytes of gzip unfold to more than {most_bytes} (network.max_unpacked_bytes, "
                f"and at most {MAX_RATIO} times what was received)",
            )

    def _write(self, piece: bytes) -> None:
        if self._enough_bytes is not None and len(self._buffer) + len(piece) > self._enough_bytes:
            piece = piece[: self._enough_bytes - len(self._buffer)]
            self.has_enough = True
        self._buffer.write(piece)


class _Inflater:
    """Unpacks a gzip a piece at a time."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(GZIP_WINDOW_BITS)

    @property
    def is_whole(self) -> bool:
        """Whether its end was reached; what comes behind it is ignored."""
        return self._zlib.eof

    def unpack(self, chunk: bytes, write: Callable[[bytes], None], room_bytes: Callable[[], int]) -> bool:
        """Unpack a piece.

        Returns:
            Whether all of it had room.

        Raises:
            zlib.error: It is damaged.
        """
        while chunk and not self._zlib.eof:
            room = room_bytes()
            if room < 0:
                return False
            piece = self._zlib.decompress(chunk, min(_PIECE_BYTES, room + 1))
            if len(piece) > room:
                write(piece[:room])
                return False
            if piece:
                write(piece)
            chunk = self._zlib.unconsumed_tail
        return True
