"""What the rest of the room needs of an object store, whichever it is; a test has one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ray_downloader.errors import ExitCode, UserError


class StoreError(UserError):
    """The store did not do what was requested.

    Args:
        message: One sentence.
        may_pass: Whether the same request may succeed later.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, may_pass: bool) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class ChangedMeanwhileError(Exception):
    """The object is not the one that was to be replaced: somebody else wrote it."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of the run.

    Args:
        key: Relative to the run's place, as the path of a file in a run folder.
        etag: Changes whenever the object does.
    """

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime


class ObjectStore(Protocol):
    """The run's place in a store. Every method raises `StoreError` if it fails."""

    def list(self) -> Iterator[StoredObject]:
        """All objects."""

    def read(self, key: str) -> tuple[bytes, StoredObject] | None:
        """A small object; None if there is none."""

    def download(self, key: str, path: Path) -> None:
        """Write an object into a file."""

    def put_file(self, key: str, path: Path) -> str:
        """Store a file, whole or not at all; returns its etag."""

    def put(self, key: str, content: bytes) -> str:
        """Store a small object; returns its etag."""

    def replace(self, key: str, content: bytes, etag: str | None) -> str:
        """Store a small object in place of the one with this etag; None: if there is none.

        Raises:
            ChangedMeanwhileError: There is another one.
        """

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
