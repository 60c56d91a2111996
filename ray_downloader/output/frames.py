"""Frames: pieces of bytes appended to a file, each with its length and a checksum.

A reader gets the frames up to the first that is torn (its process was killed) or damaged. So what a parser sees is what
was written, and a parser that trusts its input, as Arrow's does, cannot be led astray by a bad disk.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Magic, length of the payload, CRC-32 of both and of the payload.
_HEADER = struct.Struct("<4sQI")
_MAGIC = b"RDJ2"


class FrameWriter:
    """Appends frames to a new file.

    Args:
        path: Its folder exists, the file does not: what another process wrote is never overwritten.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._size_bytes = 0

    def write(self, payload: Any) -> int:
        """Pass a frame to the operating system.

        Args:
            payload: Bytes, or anything that is a buffer of them.

        Returns:
            Where the frame begins in the file.

        Raises:
            OSError: It could not be written, and the file ends with the frame before it.
        """
        data = memoryview(payload).cast("B")
        frame = (_HEADER.pack(_MAGIC, len(data), _checksum(data)), data)
        try:
            _write_all(self._descriptor, frame)
        except OSError:
            os.ftruncate(self._descriptor, self._size_bytes)
            os.lseek(self._descriptor, 0, os.SEEK_END)
            raise
        offset = self._size_bytes
        self._size_bytes += _HEADER.size + len(data)
        return offset

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_frames(path: Path) -> Iterator[bytes]:
    """The payloads, up to the end or to the first frame that is not as it was written; none if it cannot be opened."""
    try:
        file = path.open("rb")
    except OSError:
        return
    with file:
        left = os.fstat(file.fileno()).st_size
        while (left := left - _HEADER.size) >= 0:
            try:
                magic, length, checksum = _HEADER.unpack(file.read(_HEADER.size))
                if magic != _MAGIC or length > left:
                    return
                payload = file.read(length)
            except (OSError, struct.error):  # a bad block, or a file that has become shorter
                return
            if len(payload) != length or _checksum(payload) != checksum:
                return
            left -= length
            yield payload


def read_frame(path: Path, offset: int) -> bytes | None:
    """The payload of the frame that begins there; None if it is not as it was written."""
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        file.seek(offset)
        try:
            magic, length, checksum = _HEADER.unpack(file.read(_HEADER.size))
        except struct.error:
            return None
        if magic != _MAGIC or length > size_bytes - offset - _HEADER.size:
            return None
        payload = file.read(length)
        return payload if _checksum(payload) == checksum else None


def _checksum(payload: bytes | memoryview) -> int:
    length = struct.pack("<Q", len(payload))
    return zlib.crc32(payload, zlib.crc32(length))


def _write_all(descriptor: int, parts: tuple[bytes, memoryview]) -> None:
    """One call of the system, as a rule; a disk that fills up may take less."""
    written = os.writev(descriptor, parts)
    rest = memoryview(b"".join(parts))[written:] if written < sum(map(len, parts)) else memoryview(b"")
    while rest:
        rest = rest[os.write(descriptor, rest) :]
