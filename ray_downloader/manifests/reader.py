"""Reads the documents that a list names, and those that their collections name: URLs in, a table of pictures out.

Documents that the run has already are not fetched again; those that could not be fetched for a reason that may pass are
requested once more in each call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.config.contact import ContactCheck
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ErrorKind
from ray_downloader.manifests.fetching import fetch_documents, parse
from ray_downloader.manifests.store import DocumentStore, key_of, may_pass
from ray_downloader.manifests.watch import WatchedBudgets
from ray_downloader.partition.server_key import BadUrlError, server_key
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.sources.iiif import LISTED_COLUMN, PROBLEM_COLUMN
from ray_downloader.sources.iiif_documents import IIIF_COLUMNS, iiif_rows, is_collection, named_documents
from ray_downloader.worker.run_context import RunContext

#: Collections of collections: libraries have three or four levels.
MOST_LEVELS = 8
#: Documents that collections of one list may name; a list itself may name any number.
MOST_FOLLOWED = 100_000
_SCHEMA = pa.schema([(name, pa.string()) for name in (*IIIF_COLUMNS, LISTED_COLUMN, PROBLEM_COLUMN)])
_WRITTEN_ROWS = 10_000


@dataclass(slots=True)
class _Found:
    """The documents of one list.

    Args:
        listed_by: For each document, the URL in the list that led to it.
        listed: How many the list itself names.
        problems: Why documents could not be read, by URL.
        collections: Those that name others.
    """

    listed_by: dict[str, str]
    listed: int
    problems: dict[str, str] = field(default_factory=dict)
    collections: set[str] = field(default_factory=set)


class ManifestReader:
    """Reads the documents of one run; a `partition.DocumentReader`.

    Args:
        settings: How the run behaves.
        layout: The run.
        contact: Applied before a public server receives a request.
        report: Called with a sentence about the progress.
        folder: Where documents are kept; that of the run unless given.
    """

    def __init__(
        self,
        settings: Settings,
        layout: RunLayout,
        contact: ContactCheck,
        report: Callable[[str], None],
        folder: Path | None = None,
    ) -> None:
        image = settings.image.model_copy(update={"renditions": "off"})
        dataset = settings.dataset.model_copy(update={"checksum": "note"})
        self._context = RunContext(settings.model_copy(update={"image": image, "dataset": dataset}), layout)
        self._store = DocumentStore(folder or layout.manifests)
        self._contact = contact
        self._report = report
        self._budgets: WatchedBudgets | None = None

    def __call__(self, urls: Sequence[str], target: Path) -> Mapping[str, str]:
        """Write the pictures of documents to `target`.

        Returns:
            Which of `urls` could not be read, and why.

        Raises:
            UserError: Public servers would receive requests without a contact.
            StopRequested: The run is to end; the same call continues.
        """
        failed_before = {url for url, failed in self._store.known().items() if may_pass(failed)}
        self._fetch_left()
        found = _Found({url: url for url in urls}, len(urls))
        level: Sequence[str] = list(urls)
        for _ in range(MOST_LEVELS):
            self._fetch(level, failed_before, found)
            level = list(self._follow(level, found))
            if not level:
                break
        for url in level:
            found.problems[url] = f"it is in a collection in a collection, {MOST_LEVELS} deep"
        pictures = self._write(found, target)
        unread = {url: problem for url, problem in found.problems.items() if found.listed_by.get(url) == url}
        empty = {url: "it names no picture" for url in urls if url not in unread and not pictures[url]}
        return {**unread, **empty}

    def _fetch(self, level: Sequence[str], failed_before: set[str], found: _Found) -> None:
        """Fetch those of some documents that the run does not have."""
        known = self._store.known()
        servers: dict[str, str] = {}
        for url in level:
            if key_of(url) in known and key_of(url) not in failed_before:
                continue
            failed_before.discard(key_of(url))
            try:
                servers[url] = server_key(url)
            except BadUrlError as error:
                found.problems[url] = f"{ErrorKind.BAD_URL}: {error}"
        if servers:
            self._contact.documents(dict.fromkeys(servers.values()))
            self._store.add(servers)
            self._fetch_left()
            known = self._store.known()
        for url in level:
            failed = known.get(key_of(url))
            if failed is not None:
                found.problems[url] = str(failed)

    def _fetch_left(self) -> None:
        work = self._store.work()
        if work:
            self._report(f"manifests: {sum(item.left for _, item in work)} to fetch")
            self._budgets = self._budgets or WatchedBudgets(self._context, self._report)
            fetch_documents(self._context, self._store, self._budgets)

    def _follow(self, level: Sequence[str], found: _Found) -> Iterator[str]:
        """The documents that collections of this level name, and that nothing named before."""
        asked = {key_of(url): url for url in level}
        for key, received in self._store.documents():
            document = parse(received) if key in asked else None
            if document is None or not is_collection(document):
                continue
            url = asked[key]
            found.collections.add(url)
            for member in named_documents(document):
                if len(found.listed_by) >= found.listed + MOST_FOLLOWED:
                    found.problems[url] = f"collections name more than {MOST_FOLLOWED} documents; list the manifests"
                    break
                if member not in found.listed_by:
                    found.listed_by[member] = found.listed_by[url]
                    yield member

    def _write(self, found: _Found, target: Path) -> Counter[str]:
        """Write the table; returns how many pictures each listed URL gives."""
        counts: Counter[str] = Counter()
        rows: list[dict[str, str | None]] = []
        with pq.ParquetWriter(target, _SCHEMA) as file:
            for row in self._rows(found):
                counts[str(row[LISTED_COLUMN])] += row[PROBLEM_COLUMN] is None
                rows.append(row)
                if len(rows) >= _WRITTEN_ROWS:
                    file.write_table(pa.Table.from_pylist(rows, _SCHEMA))
                    rows = []
            file.write_table(pa.Table.from_pylist(rows, _SCHEMA))
        return counts

    def _rows(self, found: _Found) -> Iterator[dict[str, str | None]]:
        """Every picture, and every document of a collection that could not be read."""
        listed_by = {key_of(url): listed for url, listed in found.listed_by.items() if url not in found.collections}
        for key, received in self._store.documents():
            document = parse(received) if key in listed_by else None
            if document is not None:
                for row in iiif_rows(document):
                    yield {**row, LISTED_COLUMN: listed_by[key], PROBLEM_COLUMN: None}
        for url, problem in found.problems.items():
            if found.listed_by[url] != url:
                yield {"image_url": url, LISTED_COLUMN: found.listed_by[url], PROBLEM_COLUMN: problem}
