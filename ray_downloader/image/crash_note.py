"""Remembers which picture was under decode when a worker died, in case a well-formed header hid a killer.

The worker notes a row before `process` and clears it afterwards: a few bytes into a shared mapping, well under a
microsecond, that the kernel keeps when the process dies. The task that continues asks for the suspect and gives it to
`process(..., isolated=True)`.
"""

from __future__ import annotations

import mmap
from pathlib import Path

_SIZE_BYTES = 64


def find_suspect(path: Path) -> str | None:
    """The row that was under decode when the process that wrote this note died; None where none was."""
    try:
        return path.read_bytes().rstrip(b"\0").decode("utf-8", "replace") or None
    except FileNotFoundError:
        return None


class CrashNote:
    """A mapped file beside the journal of a batch.

    Args:
        path: Created if it is missing; what it says survives the process (not the machine).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("a+b") as file:
            file.truncate(_SIZE_BYTES)
            self._map = mmap.mmap(file.fileno(), _SIZE_BYTES)

    def begin(self, row: str) -> None:
        """The row of this name is decoded from now on."""
        self._map[:] = row.encode()[:_SIZE_BYTES].ljust(_SIZE_BYTES, b"\0")

    def clear(self) -> None:
        """No row is under decode."""
        self._map[:] = bytes(_SIZE_BYTES)

    def close(self) -> None:
        """Remove the file: the batch is through."""
        self._map.close()
        self._path.unlink(missing_ok=True)
