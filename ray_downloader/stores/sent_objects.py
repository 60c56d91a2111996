"""What this work folder knows to be in the store: one line per change, so that a kill costs nothing.

An object is noted before it is sent, without an etag, and again when it is there. So it has every object that
the run ever sent and did not remove, and what it does not have is not ours to remove.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.small_json import parse_json


@dataclass(frozen=True, slots=True)
class Sent:
    """One object.

    Args:
        size_bytes: Of the file that was sent.
        mtime_ns: Of that file.
        etag: Of the object; empty as long as it is not known to be the file.
    """

    size_bytes: int = -1
    mtime_ns: int = -1
    etag: str = ""


class SentObjects:
    """The objects of a run.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sent: dict[str, Sent] = {}
        self._lock = threading.Lock()
        lines = 0
        try:
            for line in path.read_text("utf-8", "replace").splitlines():
                lines += 1
                self._take(line)
        except FileNotFoundError:
            pass
        if lines > 2 * len(self._sent):
            write_text(path, "".join(map(_line, self._sent, self._sent.values())))
        path.parent.mkdir(parents=True, exist_ok=True)

    def _take(self, line: str) -> None:
        try:
            key, *values = parse_json(line)
        except ValueError:  # cut off by a kill: what it said is found out again
            return
        if values:
            self._sent[key] = Sent(*values)
        else:
            self._sent.pop(key, None)

    def __getitem__(self, key: str) -> Sent | None:
        with self._lock:
            return self._sent.get(key)

    def all(self) -> Mapping[str, Sent]:
        """All objects."""
        with self._lock:
            return dict(self._sent)

    def note(self, key: str, sent: Sent) -> None:
        """Note an object, before it is sent or after it."""
        with self._lock:
            if self._sent.get(key) != sent:
                self._sent[key] = sent
                self._write(_line(key, sent))

    def forget(self, key: str) -> None:
        """An object was removed, or is not there."""
        with self._lock:
            if self._sent.pop(key, None) is not None:
                self._write(json.dumps([key]) + "\n")

    def _write(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)


def _line(key: str, sent: Sent) -> str:
    return json.dumps([key, sent.size_bytes, sent.mtime_ns, sent.etag], ensure_ascii=False) + "\n"
