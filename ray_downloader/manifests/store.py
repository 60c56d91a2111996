"""The documents of a run, in `manifests/`: each part has the form of a run folder, with batches, journals and markers.

So a document is kept as safely as an image: what was fetched before a kill is not fetched again, and nothing is half
there. A part is complete when its index of batches is written, and finished when its batches are.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import TRANSIENT_KINDS, DamagedFileError, ErrorKind
from ray_downloader.output.batch_folder import BatchFolder
from ray_downloader.partition.batch_plan import plan_batches
from ray_downloader.partition.batches import load_batches
from ray_downloader.partition.row_uuid import row_uuid
from ray_downloader.partition.rows import write_rows
from ray_downloader.partition.server_key import without_user_info
from ray_downloader.run_folder.file_errors import require_damage
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout
from ray_downloader.run_folder.schemas import URL_SCHEMA
from ray_downloader.run_folder.small_tables import opened, write_small_table
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.schedule.run_status import scan

#: Documents in a batch: a batch is published as a whole, and its documents are 0.1 to 1 MB.
_BATCH_DOCUMENTS = 200
_READ_DOCUMENTS = 16


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a document was not fetched."""

    kind: ErrorKind
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else str(self.kind)


class DocumentStore:
    """The documents of one run.

    Args:
        folder: Where they are; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, servers: Mapping[str, str]) -> None:
        """Note documents that are to be fetched.

        Args:
            servers: Their URLs, each with the key of its server.
        """
        part = self._part(max((int(path.name) for path in self._complete()), default=0) + 1)
        shutil.rmtree(part.root, ignore_errors=True)
        part.root.mkdir(parents=True, mode=0o700 if any(key_of(url) != url for url in servers) else 0o777)
        part.urls.mkdir()
        rows = sorted((server, url) for url, server in servers.items())
        plan = plan_batches(Counter(servers.values()), _BATCH_DOCUMENTS, pool_below=len(rows) + 1)
        index = write_rows(part.urls, iter([_rows(rows)]), plan.batches)
        write_small_table(part.batches_table, index)

    def work(self) -> list[tuple[RunLayout, WorkItem]]:
        """What is left to fetch."""
        parts = map(self._part, (int(path.name) for path in self._complete()))
        return [(part, item) for part in parts for item in scan(part, load_batches(part)).work]

    def known(self) -> dict[str, Failed | None]:
        """Documents that need no request, by URL without user information; with the reason if one was not fetched."""
        found: dict[str, Failed | None] = {}
        for path in self._tables(ERRORS):
            for url, kind, message in _rows_of(path, ["identifier", "error_kind", "error_msg"]):
                found[url] = Failed(ErrorKind(kind), message or "")
        for path in self._tables(SUCCESSES):
            found.update(dict.fromkeys(url for (url,) in _rows_of(path, ["identifier"])))
        return found

    def documents(self) -> Iterator[tuple[str, bytes]]:
        """Every document, with its URL."""
        for path in self._tables(SUCCESSES):
            yield from _rows_of(path, ["identifier", "image"])

    def _tables(self, name: str) -> list[Path]:
        """The tables of batches in which nothing is left to do; others are damaged, or not finished yet."""
        folders = sorted(self._folder.glob("*/images/server_name=*/partition_id=*"))
        return [folder / name for folder in folders if BatchFolder(folder).final_counts()]

    def _complete(self) -> list[Path]:
        paths = sorted(path for path in self._folder.glob("*") if path.name.isdigit())
        return [path for path in paths if self._part(int(path.name)).batches_table.exists()]

    def _part(self, number: int) -> RunLayout:
        return RunLayout(self._folder / f"{number:04d}", OutputStructure())


def _rows_of(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """Cells of a table, row by row.

    Raises:
        DamagedFileError: It cannot be read; without it, the next call fetches its documents again.
    """
    try:
        with opened(path) as file:
            for batch in file.iter_batches(_READ_DOCUMENTS, columns=columns):
                yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        require_damage(error, path)
        raise DamagedFileError.of(path, error) from None


def key_of(url: str) -> str:
    """The URL by which a document is known."""
    return without_user_info(url)


def may_pass(failed: Failed | None) -> bool:
    """Whether a later call should ask for the document once more."""
    return failed is not None and failed.kind in TRANSIENT_KINDS


def _rows(rows: list[tuple[str, str]]) -> pa.RecordBatch:
    columns: dict[str, object] = {
        "uuid": [row_uuid(None, url) for _, url in rows],
        "identifier": [url for _, url in rows],
        "server_name": [server for server, _ in rows],
        "is_license_full": [False] * len(rows),
    }
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(len(rows), field.type)
        for field in URL_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=URL_SCHEMA)
