"""Every path of a run folder, and the one way to write a file there.

A file appears whole or not at all: temp file beside it, fsync, rename. "Done" is a marker written last.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.settings import OutputStructure, Settings

COMPLETED = "completed"
SUCCESSES = "successes.parquet"
ERRORS = "errors.parquet"


def folder_name(server: str) -> str:
    """The server's key as a folder spells it: `:` is not allowed everywhere."""
    return server.replace(":", "%3A")


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Where the files of one run lie."""

    root: Path
    structure: OutputStructure

    @classmethod
    def of(cls, settings: Settings) -> RunLayout:
        """The layout that the settings describe."""
        return cls(settings.path_to_output, settings.output_structure)

    @property
    def settings_file(self) -> Path:
        return self.root / "settings.json"

    @property
    def lock_file(self) -> Path:
        return self.root / ".lock"

    @property
    def summary_file(self) -> Path:
        return self.root / "summary.json"

    @property
    def checkpoint_file(self) -> Path:
        return self.root / self.structure.inner_checkpoint_file

    @property
    def profiles_table(self) -> Path:
        return self.root / self.structure.profiles_table

    @property
    def ignored_table(self) -> Path:
        return self.root / self.structure.ignored_table

    @property
    def urls(self) -> Path:
        return self.root / self.structure.urls_folder

    @property
    def batches_table(self) -> Path:
        return self.urls / "batches.parquet"

    @property
    def rejected_table(self) -> Path:
        return self.urls / "rejected.parquet"

    @property
    def servers_table(self) -> Path:
        """Rows by server, written by the partition stage."""
        return self.urls / "servers.parquet"

    @property
    def images(self) -> Path:
        return self.root / self.structure.images_folder

    @property
    def schedules(self) -> Path:
        return self.root / self.structure.schedules_folder

    @property
    def servers_state_file(self) -> Path:
        return self.schedules / "servers.json"

    @property
    def orders_file(self) -> Path:
        return self.schedules / "orders.jsonl"

    @property
    def robots(self) -> Path:
        return self.schedules / "robots"

    @property
    def logs(self) -> Path:
        return self.root / self.structure.logs_folder

    @property
    def progress_file(self) -> Path:
        return self.logs / "progress.json"

    @property
    def tools(self) -> Path:
        return self.root / self.structure.tools_folder

    def batch_folder(self, server: str, partition_id: int) -> Path:
        """Where the results of one batch go."""
        return self.images / f"server_name={folder_name(server)}" / f"partition_id={partition_id}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temp path beside `path`; on success it is flushed to disk and takes the name `path`.

    On failure the temp file is removed and `path` is what it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temp
        _fsync(temp)
        temp.replace(path)
        _fsync(path.parent)
    finally:
        temp.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically."""
    with replacing(path) as temp:
        temp.write_text(text, "utf-8")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
