"""The only way to write a file of a run folder: it appears complete or not at all.

Temp file beside it, fsync, rename. "Done" is a marker written last. What is in the way, or damaged, is set aside and
never removed.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ENDING = ".tmp"
_ASIDE = "damaged-"
_log = logging.getLogger(__name__)
_writes = itertools.count()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temp path beside `path`; on success it is flushed to disk and takes the name `path`.

    On failure the temp file is removed and `path` is what it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(_temp_name(path.name))
    try:
        yield temp
        _fsync(temp)
        try:
            temp.replace(path)
        except IsADirectoryError:
            _log.warning("%s is a folder, and not the file that belongs there; it is %s now", path, set_aside(path))
            temp.replace(path)
        _fsync(path.parent)
    finally:
        temp.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Rename what is damaged, or is not what belongs there, to `damaged-<name>`, so that it is out of the way.

    An earlier file of that name is replaced; a folder is not, and another name is taken.

    Returns:
        Where it is now; it stays where it is not there any more.
    """
    for number in itertools.count(1):
        aside = path.with_name(f"{_ASIDE}{path.name}" + (f"-{number}" if number > 1 else ""))
        if aside.is_dir() or (path.is_dir() and os.path.lexists(aside)):
            continue
        with suppress(FileNotFoundError):
            path.replace(aside)
        return aside
    raise AssertionError("numbers do not end")


def is_set_aside(path: Path) -> bool:
    """Whether it was set aside."""
    return path.name.startswith(_ASIDE)


def is_temp(path: Path) -> bool:
    """Whether it is a temp file of `replacing`."""
    return path.name.startswith(".") and path.name.endswith(_ENDING)


def remove_temps(folder: Path) -> None:
    """Remove the temp files that killed processes left; only for a folder in which nobody else writes."""
    for temp in folder.glob(f".*{_ENDING}"):
        temp.unlink(missing_ok=True)


def _temp_name(name: str) -> str:
    """Unique for each write, process and machine; short, as the longest name of a server fills a file name."""
    writer = f"{platform.node()[:32]}-{os.getpid()}-{next(_writes)}"
    return f".{hashlib.sha256(name.encode()).hexdigest()[:12]}-{writer}{_ENDING}"


#: The mode of a file that only the user can read.
PRIVATE = 0o600


def write_text(path: Path, text: str, mode: int | None = None) -> None:
    """Write a small file atomically; `mode` replaces that of new files."""
    with replacing(path) as temp:
        if mode is not None:
            temp.touch(mode)
        temp.write_text(text, "utf-8")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
