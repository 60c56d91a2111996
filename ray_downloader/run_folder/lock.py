"""One process at a time in a folder: the lock ends with the process, even if it is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ray_downloader.errors import FolderBusyError, UserError


@contextmanager
def holding(lock_file: Path, busy: str) -> Iterator[None]:
    """Hold the lock for the duration of the block; its folder is created if it does not exist.

    Args:
        lock_file: The file that is locked.
        busy: The message if another process holds it.

    Raises:
        FolderBusyError: Another process holds it.
        UserError: The folder cannot be written.
    """
    lock = FileLock(lock_file)
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise FolderBusyError(f"{busy}, or wait for it to end") from None
    except OSError as error:
        raise UserError(f"{lock_file.parent} cannot be used: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def holding_run(root: Path, lock_file: Path) -> Iterator[None]:
    """Hold a run folder.

    Raises:
        FolderBusyError: Another run holds it.
        UserError: The folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"path_to_output={root} cannot be used: {error.strerror}") from None
    with holding(lock_file, f"another run holds {root}; choose another path_to_output"):
        yield
