"""Which files of a work folder are published, and in which order they go up: markers after what they mark.

Journals, locks and temporary files stay on this machine. A batch is published once it has its marker.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.markers import COMPLETED, find_marker

#: Endings of what only a running batch needs, and what its rows learned.
_JOURNALS = (".arrows", ".tmp", "_under_way.json")
_MARKERS = frozenset({COMPLETED, "completed"})


class Turn(IntEnum):
    """When a file goes up: whatever is read first by a reader goes last."""

    DATA = 1
    MARKER = 2
    #: The index of batches says that the list is partitioned.
    INDEX = 3
    #: What says which run this is, and how far it has come.
    RUN = 4


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A published file.

    Args:
        key: Its path in the run folder, with slashes.
    """

    key: str
    path: Path
    size_bytes: int
    mtime_ns: int
    turn: Turn


def published(layout: RunLayout) -> Iterator[LocalFile]:
    """All published files."""
    yield from rest(layout)
    for server in sorted(_folders(layout.images)):
        for folder in sorted(_folders(server)):
            yield from of_batch(layout, folder)


def rest(layout: RunLayout) -> Iterator[LocalFile]:
    """Published files that belong to no batch."""
    own_turn = {layout.batches_table: Turn.INDEX, layout.run_file: Turn.RUN}
    kept = {layout.robots, layout.profile_parts}
    for entry in _entries(layout.root):
        if entry == layout.images:
            yield from _files(layout, (file for file in _entries(entry) if not file.is_dir()))
        elif entry.is_dir() and not entry.name.startswith("trash-"):
            for file in _below(entry, kept):
                yield from _files(layout, [file], own_turn.get(file))
        elif entry.is_file():
            yield from _files(layout, [entry], Turn.RUN)
    yield from _files(layout, [layout.reset_file], Turn.RUN)  # hidden, but a requeued job may run on another machine


def state(layout: RunLayout) -> Iterator[LocalFile]:
    """The small files that change all the time: progress, and what was learned and ordered."""
    yield from _files(layout, [layout.progress_file], Turn.RUN)
    yield from _files(layout, (file for file in _entries(layout.schedules) if not file.is_dir()))


def of_batch(layout: RunLayout, folder: Path) -> Iterator[LocalFile]:
    """Published files of one batch."""
    if find_marker(folder) is not None:
        yield from _files(layout, (file for file in _entries(folder) if not file.is_dir()))


def turn_of(key: str) -> Turn:
    """The turn of an object of which only the key is known."""
    return Turn.MARKER if key.rpartition("/")[2] in _MARKERS else Turn.DATA


def is_left_over(layout: RunLayout, key: str) -> bool:
    """Whether an object that has no published file is one of a batch that a retry or a repair works on.

    Its tables stay until others replace them: without their marker, readers take them for what they are.
    """
    images = layout.images.relative_to(layout.root).as_posix()
    parts = key.split("/")
    is_table = parts[0] == images and len(parts) == 4 and turn_of(key) is Turn.DATA
    return is_table and (layout.root / key).exists()


def _files(layout: RunLayout, paths: Iterable[Path], turn: Turn | None = None) -> Iterator[LocalFile]:
    for path in paths:
        key = path.relative_to(layout.root).as_posix()
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if not path.name.endswith(_JOURNALS):
            yield LocalFile(key, path, status.st_size, status.st_mtime_ns, turn or turn_of(key))


def _below(folder: Path, kept: set[Path]) -> Iterator[Path]:
    for entry in _entries(folder):
        if not entry.is_dir():
            yield entry
        elif entry not in kept:
            yield from _below(entry, kept)


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, without hidden names; nothing if it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir()]
