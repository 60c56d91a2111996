"""What libjpeg says about the data of a JPEG while OpenCV decodes it: nearly the only sign of a hole in a file.

libjpeg fills missing pixels with grey and goes on; OpenCV reports that as a success, and libjpeg's warning goes to the
process's standard error. So descriptor 2 leads into memory while a JPEG is decoded: 4 us of the 1 ms that 62 kB take.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ray_downloader.errors import ErrorKind
from ray_downloader.image.jpeg_header import END, STRAY_BYTES
from ray_downloader.image.model import Header

_STANDARD_ERROR = 2
_EXTRANEOUS = re.compile(rb"(\d+) extraneous bytes before marker 0x(..)")
#: Warnings about data that are missing or wrong. Others are about headers, and the picture is whole.
_DAMAGE = (b"premature end", b"Premature end", b"bad Huffman code", b"instead of RST", b"Inconsistent progression",
           b"bad arithmetic code")  # fmt: skip
_RESTARTS = range(0xD0, 0xD8)
_OURS = (b"Corrupt JPEG data", b"extraneous bytes", b"JPEG", b"SOS parameters", *_DAMAGE)


@dataclass(frozen=True, slots=True)
class Damage:
    """Data of a JPEG that are missing or wrong."""

    kind: ErrorKind
    message: str


class Warnings:
    """What was written while `watching`; filled in when it ends."""

    text: bytes = b""

    def damage(self, body: bytes, header: Header) -> Damage | None:
        """The damage that the first warning is about (libjpeg writes only that one); None if there is none."""
        found = _EXTRANEOUS.search(self.text)
        if found is not None and not _is_harmless(body, header, int(found[1]), found[2]):
            return Damage(ErrorKind.DECODE_FAILED, f"JPEG: {self._sentence()}")
        if not any(words in self.text for words in _DAMAGE):
            return None
        is_short = b"remature end" in self.text
        return Damage(ErrorKind.TRUNCATED if is_short else ErrorKind.DECODE_FAILED, f"JPEG: {self._sentence()}")

    def _sentence(self) -> str:
        return self.text.partition(b"\n")[0].decode("latin-1").removeprefix("Corrupt JPEG data: ")


class _Catcher:
    """Catches descriptor 2 for one decoder at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: int | None = None

    @contextmanager
    def watching(self) -> Iterator[Warnings]:
        warnings = Warnings()
        with self._lock:
            if self._file is None:
                has_memory = hasattr(os, "memfd_create")
                self._file = os.memfd_create("libjpeg") if has_memory else os.open(os.devnull, os.O_RDWR)
            try:
                kept = os.dup(_STANDARD_ERROR)
            except OSError:  # the process has no standard error
                yield warnings
                return
            os.dup2(self._file, _STANDARD_ERROR)
            try:
                yield warnings
            finally:
                os.dup2(kept, _STANDARD_ERROR)
                os.close(kept)
                warnings.text = self._take()

    def _take(self) -> bytes:
        """What libjpeg wrote; lines that others wrote meanwhile go where they were meant to go."""
        assert self._file is not None
        size = os.lseek(self._file, 0, os.SEEK_CUR)
        if not size:
            return b""
        text = os.pread(self._file, size, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        lines = text.splitlines(keepends=True)
        others = [line for line in lines if not any(words in line for words in _OURS)]
        if others:
            os.write(_STANDARD_ERROR, b"".join(others))
        return b"".join(line for line in lines if any(words in line for words in _OURS))


watching = _Catcher().watching


def _is_harmless(body: bytes, header: Header, count: int, marker: bytes) -> bool:
    """Whether bytes that belong to nothing are padding before the end marker, or somewhere in the header."""
    if marker != b"d9":
        return STRAY_BYTES in header.odd and int(marker, 16) not in _RESTARTS
    end = body.rfind(END)
    return len(set(body[max(0, end - count) : end])) <= 1
