"""Remembers which picture was being decoded when a worker died: a well-formed header may hide data that kills decoders.

The worker writes the row's name before `process` and clears it afterwards: a few bytes in a shared mapping, well under
a microsecond, which the kernel keeps when the process dies. The task that continues the batch reads the suspect and
decodes it with `process(..., isolated=True)`.
"""

from __future__ import annotations

import mmap
from pathlib import Path

_SIZE_BYTES = 64


def find_suspect(path: Path) -> str | None:
    """The row that was being decoded when the process that wrote this note died; None if there was none."""
    try:
        return path.read_bytes().rstrip(b"\0").decode("utf-8", "replace") or None
    except OSError:  # as a rule there is no note
        return None


class CrashNote:
    """A mapped file beside the journal of a batch.

    Args:
        path: Created if it is missing. Its content survives the process (not the machine).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        with path.open("r+b") as file:  # never shorter, as another attempt may have mapped it
            file.write(bytes(_SIZE_BYTES))  # real blocks: a hole that a full disk cannot fill would be a bus error
            file.flush()
            self._map = mmap.mmap(file.fileno(), _SIZE_BYTES)

    def begin(self, row: str) -> None:
        """The row with this name is being decoded from now on."""
        self._map[:] = row.encode()[:_SIZE_BYTES].ljust(_SIZE_BYTES, b"\0")

    def clear(self) -> None:
        """No row is being decoded."""
        self._map[:] = bytes(_SIZE_BYTES)

    def close(self) -> None:
        """Remove the file: the attempt ended in good order."""
        self._map.close()
        self._path.unlink(missing_ok=True)
