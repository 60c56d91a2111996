"""Frames: pieces of bytes appended to a file, each with its length and a checksum.

A reader gets the frames up to the first that is torn (its process was killed) or damaged. So what a parser sees is what
was written, and a parser that trusts its input, as Arrow's does, cannot be led astray by a bad disk.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ray_downloader.run_folder.file_errors import require_damage

#: Magic, length of the payload, CRC-32 of both and of the payload.
_HEADER = struct.Struct("<4sQI")
_MAGIC = b"RDJ2"
#: So many pieces of memory are passed to the system at once; it takes 1024 (IOV_MAX).
_MOST_PARTS = 1_000


class FrameWriter:
    """Appends frames to a new file.

    Args:
        path: Its folder exists, the file does not: what another process wrote is never overwritten.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._size_bytes = 0

    def write(self, *payload: Any) -> int:
        """Pass a frame to the operating system.

        Args:
            payload: Bytes, or anything that is a buffer of them; several are written one after the other, uncopied.

        Returns:
            Where the frame begins in the file.

        Raises:
            OSError: It could not be written, and the file ends with the frame before it.
        """
        parts = [memoryview(part).cast("B") for part in payload]
        size_bytes = sum(map(len, parts))
        frame = [memoryview(_HEADER.pack(_MAGIC, size_bytes, _checksum(*parts))), *parts]
        try:
            _write_all(self._descriptor, frame)
        except OSError:
            os.ftruncate(self._descriptor, self._size_bytes)
            os.lseek(self._descriptor, 0, os.SEEK_END)
            raise
        offset = self._size_bytes
        self._size_bytes += _HEADER.size + size_bytes
        return offset

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_frames(path: Path) -> Iterator[bytes]:
    """The payloads, up to the end or to the first frame that is not as it was written; none if it cannot be opened.

    Raises:
        RunFolderError: It is out of reach.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        require_damage(error, path)
        return
    with file:
        left = os.fstat(file.fileno()).st_size
        while (left := left - _HEADER.size) >= 0:
            try:
                magic, length, checksum = _HEADER.unpack(file.read(_HEADER.size))
                if magic != _MAGIC or length > left:
                    return
                payload = file.read(length)
            except (OSError, struct.error) as error:  # a bad block, or a file that has become shorter
                require_damage(error, path)
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


def _checksum(*payload: bytes | memoryview) -> int:
    checksum = zlib.crc32(struct.pack("<Q", sum(map(len, payload))))
    for part in payload:
        checksum = zlib.crc32(part, checksum)
    return checksum


def _write_all(descriptor: int, parts: Sequence[memoryview]) -> None:
    """One call of the system, as a rule; a disk that fills up may take less."""
    left = [part for part in parts if part]
    while left:
        written = os.writev(descriptor, left[:_MOST_PARTS])
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left:
            left[0] = left[0][written:]
