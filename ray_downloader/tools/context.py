"""What a tool gets: the run it works on, its own folder, its parameters, and the finished batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from ray_downloader.config.settings import Settings, ToolsParameters
from ray_downloader.errors import RunFolderError, UserError
from ray_downloader.output.stored_file import end_problem
from ray_downloader.run_folder.layout import SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import finished_folders
from ray_downloader.run_folder.work_folder import shown_place

#: What helps if a table of images is damaged in the middle, which no scan sees.
FETCH_AGAIN = "the command of the download with verify=true names all damage, and fetches what is lost again"
#: Parameters that say how a tool runs, not what it makes.
_HOW_IT_RUNS = {"num_workers", "max_nodes", "workers_per_node", "cpu_per_worker", "apply", "undo", "reset", "modules"}


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """The images of one finished batch.

    Args:
        server_name: Canonical key of the server, or `pooled`.
        partition_id: Number of the batch among those of that server.
        path: Its `successes.parquet`.
    """

    server_name: str
    partition_id: int
    path: Path

    @property
    def place(self) -> Path:
        """`server_name=.../partition_id=...`, as the folders below `images/` are named."""
        return Path(self.path.parent.parent.name, self.path.parent.name)

    @property
    def stamp(self) -> str:
        """Changes whenever the file is replaced."""
        return file_stamp(self.path)


@dataclass(frozen=True)
class ToolContext:
    """One tool on one run.

    Args:
        name: The tool's name.
        settings: Those of the run, with the tool's parameters.
        is_format_given: Whether the user chose how images are stored; otherwise each keeps its format.
    """

    name: str
    settings: Settings
    is_format_given: bool = False

    @property
    def layout(self) -> RunLayout:
        """Paths of the run."""
        return RunLayout.of(self.settings)

    @property
    def folder(self) -> Path:
        """The folder of everything that the tool writes."""
        return self.layout.tools / self.name

    def shown(self, path: Path) -> str:
        """What a user calls a file or folder of the run: for a run in a store, its URL."""
        root = self.layout.root
        return f"{shown_place(root)}/{path.relative_to(root).as_posix()}"

    @property
    def parameters(self) -> ToolsParameters:
        """The parameters of tools."""
        return self.settings.tools_parameters

    @property
    def request(self) -> str:
        """A fingerprint of what the result depends on, apart from the images."""
        values = self.parameters.model_dump(exclude=_HOW_IT_RUNS)
        values["export"] = self.settings.export.model_dump()
        return fingerprint({**values, "image": self.settings.image.model_dump() if self.is_format_given else None})

    @cached_property
    def batches(self) -> list[StoredBatch]:
        """Finished batches that hold images, in a fixed order.

        Raises:
            UserError: There are none.
            RunFolderError: A table is damaged.
        """
        found = finished_batches(self.layout.images)
        if not found:
            raise UserError(f"{self.layout.images} contains no finished batch; run the download first")
        for batch in found:
            problem = end_problem(batch.path)
            if problem:
                raise RunFolderError(f"{problem}; the command of the download fetches what it has lost again")
        return found

    def require_batches(self) -> None:
        """Refuse a folder without results.

        Raises:
            UserError: It contains no finished batch.
        """
        _ = self.batches


def finished_batches(images: Path) -> list[StoredBatch]:
    """Batches below `images` that are marked as completed, without those that a retry is working on."""
    folders = finished_folders(images, "server_name=*/partition_id=*")
    done = (folder for folder in folders if not any(folder.glob("*.arrows")))
    return [_stored_batch(folder) for folder in done if (folder / SUCCESSES).exists()]


def _stored_batch(folder: Path) -> StoredBatch:
    server = unquote(folder.parent.name.removeprefix("server_name="))
    return StoredBatch(server, int(folder.name.removeprefix("partition_id=")), folder / SUCCESSES)


def file_stamp(path: Path) -> str:
    """Changes whenever the file is replaced."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def stamp_of(batches: Iterable[StoredBatch]) -> str:
    """Changes whenever the file of one of the batches is replaced, or a batch comes or goes."""
    return fingerprint({str(batch.place): batch.stamp for batch in batches})


def fingerprint(values: Mapping[str, object]) -> str:
    """A short name for values: the same for equal values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]
