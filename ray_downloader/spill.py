"""Bodies that are too large for memory: files without a name on scratch, which vanish with their last descriptor."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

_READ_BYTES = 2**20


class BodyFile:
    """Bytes in a file that only this process, and whoever it passes the descriptor to, can open.

    Args:
        folder: Where there is room.
        on_close: Called with its size once its space is free.
    """

    def __init__(self, folder: Path, on_close: Callable[[int], None] = lambda _: None) -> None:
        self._on_close = on_close
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (closed by `close`)
        self._size_bytes = 0

    def __len__(self) -> int:
        return self._size_bytes

    def __repr__(self) -> str:
        return f"<BodyFile of {self._size_bytes} bytes>"

    def __del__(self) -> None:
        if hasattr(self, "_file"):  # else it could not be opened
            self.close()

    def write(self, chunk: bytes) -> None:
        """Append a piece.

        Raises:
            OSError: There is no room left.
        """
        left = memoryview(chunk)
        while left:
            left = left[self._file.write(left) :]
        self._size_bytes += len(chunk)

    @property
    def descriptor(self) -> int:
        """Its file descriptor."""
        return self._file.fileno()

    def pieces(self) -> Iterator[bytes]:
        """The bytes, a piece at a time."""
        for at in range(0, self._size_bytes, _READ_BYTES):
            yield os.pread(self._file.fileno(), min(_READ_BYTES, self._size_bytes - at), at)

    def close(self) -> None:
        """Free the space."""
        if not self._file.closed:
            self._file.close()
            self._on_close(self._size_bytes)


#: A body as it is processed.
Body: TypeAlias = "bytes | BodyFile"


def read_descriptor(descriptor: int) -> bytes:
    """All bytes of an open file."""
    size_bytes = os.fstat(descriptor).st_size
    content = os.pread(descriptor, size_bytes, 0)  # in one call, as a rule, so that it is in memory once
    while len(content) < size_bytes and (more := os.pread(descriptor, size_bytes - len(content), len(content))):
        content += more
    return content
