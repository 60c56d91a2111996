"""The content of a list: its checksum and size, read only if a file was touched since they were last known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.run_folder.file_hash import sha256_of
from ray_downloader.run_folder.identity import UNKNOWN_LIST, ListIdentity
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.sources.choose import table_names
from ray_downloader.sources.locate import FileFinder

_READERS = 4


def content_of_list(settings: Settings, layout: RunLayout, known: ListIdentity = UNKNOWN_LIST) -> ListIdentity:
    """What the list is now; the number of its rows is that of `known`.

    Args:
        known: What it was when it was last read.

    Raises:
        UserError: There is no such list.
    """
    finder = FileFinder(layout.root, lambda _: None, table_names(settings.dataset))
    files = list(_files(finder.find(settings.path_to_input)))
    stamp = _stamp(files)
    if known.sha256 and known.stamp == stamp:
        return replace(known, path=settings.path_to_input)
    with ThreadPoolExecutor(_READERS) as readers:
        checksums = list(readers.map(sha256_of, files))
    size_bytes = sum(file.stat().st_size for file in files)
    return ListIdentity(_together(checksums), size_bytes, known.rows, settings.path_to_input, stamp)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, also those of unpacked archives."""
    for path in paths:
        yield from sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _stamp(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest.update(f"{file.absolute()} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _together(checksums: list[str]) -> str:
    if len(checksums) == 1:
        return checksums[0]
    return hashlib.sha256("\n".join(sorted(checksums)).encode()).hexdigest()
