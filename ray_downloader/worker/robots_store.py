"""The robots.txt and `tdmrep.json` that were fetched, for all tasks of a run and for a day: `schedules/robots/`.

Any number of servers share the same few files, to which tasks on all nodes append lines. A reader remembers where each
line is, not its text, and continues where it stopped. It is a cache: a line that is torn, damaged or overwritten (two
nodes may append to one place on NFS) costs one more request, and nothing else.
"""

from __future__ import annotations

import json
import os
import zlib
from array import array
from base64 import b85decode, b85encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Literal

#: RFC 9309 section 2.4: a cached robots.txt should not be used for longer than a day.
KEEP_S = 24 * 3600.0
#: What could not be read is requested again after this. If each task did so, a file that takes longer than a task would
#: leave no time for its server's rows.
KEEP_FAILURE_S = 600.0
#: Files of one day. A task with one of 10^6 servers reads a 64th of what is known before its first request.
FILES = 64

Name = Literal["robots.txt", "tdmrep.json"]
#: Characters from which on a text is compressed: one of 2 kB takes a fifth of its space, one of 200 hardly less.
_WORTH_PACKING = 256
_DIGEST_BYTES = 8
_CHECKSUM_BYTES = 8


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a server answered.

    Args:
        status: None if the file could not be read.
        text: Empty unless it delivered the file; None if it did, and the text was not worth keeping: it names others.
    """

    status: int | None
    text: str | None


@dataclass(slots=True)
class _Index:
    """Where the lines of one file are: 16 bytes each, in the order of the file."""

    digests: bytearray = field(default_factory=bytearray)
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    read_bytes: int = 0

    def read_on(self, file: BinaryIO) -> None:
        """Add the lines that were appended since the last time; the last one may still be under way."""
        if os.fstat(file.fileno()).st_size <= self.read_bytes:
            return
        file.seek(self.read_bytes)
        for line in file:
            if not line.endswith(b"\n"):
                return
            if len(line) > 1:
                self.digests += _digest(_key_in(line))
                self.offsets.append(self.read_bytes)
            self.read_bytes += len(line)

    def offsets_of(self, key: bytes) -> Iterator[int]:
        """Where lines with that key may begin, the newest first."""
        digest, end = _digest(key), len(self.digests)
        while (place := self.digests.rfind(digest, 0, end)) >= 0:
            if place % _DIGEST_BYTES == 0:
                yield self.offsets[place // _DIGEST_BYTES]
            end = place + _DIGEST_BYTES - 1


class RobotsStore:
    """Keeps what servers answered.

    Args:
        folder: Where the files are.
        now_unix_s: The time at which what is kept from now on counts as fetched.
    """

    def __init__(self, folder: Path, now_unix_s: float) -> None:
        self._folder = folder
        self._now_unix_s = now_unix_s
        self._day = int(now_unix_s // KEEP_S)
        #: Those of today, and of yesterday.
        self._paths = [[folder / f"{self._day - ago}-{part:02d}.log" for part in range(FILES)] for ago in (0, 1)]
        self._indexes: dict[Path, _Index] = {}

    def keep(self, name: Name, server: str, answer: KeptAnswer) -> None:
        """Add an answer; what cannot be written is requested again."""
        key = _key(name, server)
        payload = b"[%b,%b]" % (key, json.dumps([self._now_unix_s, answer.status, _packed(answer.text)]).encode())
        # What was torn before ends here, so it costs only itself.
        line = b"\n%08x %b\n" % (zlib.crc32(payload), payload)
        path = self._path(key, days_ago=0)
        with suppress(OSError):
            if not path.exists():
                self._remove_old()
                self._folder.mkdir(parents=True, exist_ok=True)
            _append(path, line)

    def find(self, name: Name, server: str) -> KeptAnswer | None:
        """The newest answer; None if none is kept, or only one that is damaged or too old: it is requested again."""
        key = _key(name, server)
        found = (self._find_in(self._path(key, days_ago), key) for days_ago in (0, 1))
        return next((answer for answer in found if answer is not None), None)

    def _find_in(self, path: Path, key: bytes) -> KeptAnswer | None:
        index = self._indexes.setdefault(path, _Index())
        try:
            if path.stat().st_size == index.read_bytes and next(index.offsets_of(key), None) is None:
                return None  # as for most servers that a task begins with: the file need not be opened
            with path.open("rb") as file:
                index.read_on(file)
                for offset in index.offsets_of(key):
                    file.seek(offset)
                    if (answer := self._answer(file.readline(), key)) is not None:
                        return answer
        except OSError:
            pass
        return None

    def _answer(self, line: bytes, key: bytes) -> KeptAnswer | None:
        payload = line.rstrip(b"\n")[_CHECKSUM_BYTES + 1 :]
        if _key_in(line) != key or line[:_CHECKSUM_BYTES] != b"%08x" % zlib.crc32(payload):
            return None
        _, (fetched_at_unix_s, status, text) = json.loads(payload)
        keep_s = KEEP_FAILURE_S if status is None else KEEP_S
        return KeptAnswer(status, _unpacked(text)) if self._now_unix_s - fetched_at_unix_s < keep_s else None

    def _path(self, key: bytes, days_ago: int) -> Path:
        return self._paths[days_ago][zlib.crc32(key) % FILES]

    def _remove_old(self) -> None:
        """Remove what is of no use any more: files of earlier days, and those of earlier versions."""
        useful = (f"{self._day}-", f"{self._day - 1}-")
        for path in self._folder.glob("*"):
            if not path.name.startswith(useful) and not path.is_dir():
                path.unlink(missing_ok=True)


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, line)  # in one call, so that lines of several tasks do not mix
    finally:
        os.close(descriptor)


def _packed(text: str | None) -> str | list[str] | None:
    """A text as it is written: a long one compressed, in a list."""
    if text is None or len(text) < _WORTH_PACKING:
        return text
    return [b85encode(zlib.compress(text.encode())).decode()]


def _unpacked(written: str | list[str] | None) -> str | None:
    return zlib.decompress(b85decode(written[0])).decode() if isinstance(written, list) else written


def _key(name: Name, server: str) -> bytes:
    return json.dumps(f"{name} {server}").encode()


def _key_in(line: bytes) -> bytes:
    """The key of a line, or anything if it is not as it was written."""
    begin = _CHECKSUM_BYTES + 2
    return line[begin : line.find(b'",', begin) + 1]


def _digest(key: bytes) -> bytes:
    return blake2b(key, digest_size=_DIGEST_BYTES).digest()
