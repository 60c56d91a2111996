"""One batch's folder: which of its rows are settled, and how the batch is published.

A row is settled by, in this order of precedence: an image in `successes.parquet` or in a journal, an error in a journal
(the newest one), an error in `errors.parquet`. Errors that a retry order names do not count, unless the order itself
made them (`run_folder/retry_order.py`). Publishing merges them in that order, so it can be repeated after a kill at any
point. The marker `_completed`, written last, has the counts and makes the batch finished.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.output.journal import ERROR_JOURNALS, SUCCESS_JOURNALS, read_journal
from ray_downloader.output.parquet import write_parquet
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.run_folder.markers import read_marker, remove_marker, write_marker
from ray_downloader.run_folder.retry_order import NO_RETRY, RetryOrder
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, kept_names, success_schema

_KEY = ["uuid", "identifier"]
#: The name of images among the error kinds.
SUCCESS = "success"


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """What a batch contains; the content of its `_completed` marker.

    Args:
        servers: Numbers of rows by server and by error kind or `SUCCESS`.
        checksums: Of the images for which the list has a checksum or size, how many are `ok` and how many `wrong`.
        retry: Number of the retry order under which it was published.
    """

    servers: dict[str, dict[str, int]] = field(default_factory=dict)
    checksums: dict[str, int] = field(default_factory=dict)
    retry: int = 0

    @classmethod
    def parse(cls, text: str) -> BatchCounts:
        """Read the text of a marker."""
        counts = json.loads(text)
        return cls(counts["servers"], counts.get("checksums", {}), counts.get("retry", 0))

    @classmethod
    def of(
        cls, servers: Sequence[str], kinds: Mapping[int, str], checksums: Mapping[str, int] | None = None
    ) -> BatchCounts:
        """Count rows.

        Args:
            servers: The server of each row of the batch.
            kinds: The outcome of each settled row, by row number.
            checksums: As the attribute.
        """
        counts: dict[str, dict[str, int]] = {}
        for (server, kind), rows in sorted(Counter((servers[row], kind) for row, kind in kinds.items()).items()):
            counts.setdefault(server, {})[kind] = rows
        return cls(counts, dict(checksums or {}))

    @property
    def by_kind(self) -> Counter[str]:
        """Numbers of rows by error kind or `SUCCESS`."""
        total: Counter[str] = Counter()
        for kinds in self.servers.values():
            total.update(kinds)
        return total

    def to_json(self) -> str:
        """The text of the marker."""
        checksums = {"checksums": self.checksums} if self.checksums else {}
        retry = {"retry": self.retry} if self.retry else {}
        return json.dumps({"rows": self.by_kind.total(), "servers": self.servers, **checksums, **retry}) + "\n"

    def has_errors_of(self, kinds: Collection[str]) -> bool:
        """Whether one of its rows failed in one of these ways."""
        return any(kind in counts for counts in self.servers.values() for kind in kinds)


class BatchFolder:
    """The results of one batch on disk.

    Args:
        path: The folder.
        retry: The retry order that counts now.
    """

    def __init__(self, path: Path, retry: RetryOrder = NO_RETRY) -> None:
        self.path = path
        self._retry = retry

    def counts(self) -> BatchCounts | None:
        """The counts of a finished batch; None if it is not finished."""
        marker = read_marker(self.path)
        return None if marker is None else BatchCounts.parse(marker)

    def final_counts(self) -> BatchCounts | None:
        """Counts of a batch in which nothing is left to do; None if something is.

        It is not finished; or it has journals, as a retry of its errors was begun and not published; or it has errors
        that are to be tried again.
        """
        counts = self.counts()
        if counts is None or any(self.path.glob("*.arrows")):
            return None
        is_retried = counts.retry < self._retry.number and counts.has_errors_of(self._retry.kinds_left)
        return None if is_retried else counts

    def settled(self, inputs: pa.Table) -> dict[int, str]:
        """The rows that need no request any more: by number, how they ended (an error kind or `SUCCESS`).

        Args:
            inputs: The batch's input rows; `uuid` and `identifier` are read.
        """
        settled: dict[int, str] = {}
        if (self.path / ERRORS).exists():
            published = pq.read_table(self.path / ERRORS, columns=[*_KEY, "error_kind"])
            kinds = published.column("error_kind").to_pylist()
            settled.update(zip(_RowNumbers(inputs).of(published), kinds, strict=True))
        journals = self._journals(ERROR_JOURNALS)[::-1]
        settled.update(_errors_in(journal for journal in journals if not self._retry.wrote(journal)))
        counts = self.counts()
        if counts is None or counts.retry < self._retry.number:
            settled = {row: kind for row, kind in settled.items() if kind not in self._retry.kinds_left}
        settled.update(_errors_in(journal for journal in journals if self._retry.wrote(journal)))
        if (self.path / SUCCESSES).exists():
            published = pq.read_table(self.path / SUCCESSES, columns=_KEY)
            settled.update(dict.fromkeys(_RowNumbers(inputs).of(published), SUCCESS))
        for path in self._journals(SUCCESS_JOURNALS):
            for batch in read_journal(path, ["row"]):
                settled.update(dict.fromkeys(batch.column("row").to_pylist(), SUCCESS))
        return settled

    def publish(self, inputs: pa.Table, extra_columns: Sequence[str] = ()) -> BatchCounts:
        """Merge the journals and what was published before into parquet, and mark the batch as finished.

        Args:
            inputs: The batch's input rows.
            extra_columns: Optional columns of images (`image.extra_columns`).

        Raises:
            RuntimeError: A row is not settled. The batch is not marked.
        """
        remove_marker(self.path)
        settled: dict[int, str] = {}
        checksums: Counter[str] = Counter()
        with replacing(self.path / SUCCESSES) as images, replacing(self.path / ERRORS) as errors:
            schema = success_schema(kept_names(inputs.schema), extra_columns)
            write_parquet(images, schema, _counting(checksums, self._images(inputs, settled)))
            write_parquet(errors, ERROR_SCHEMA, self._errors(inputs, settled))
            if len(settled) != inputs.num_rows:
                raise RuntimeError(f"{self.path}: {inputs.num_rows - len(settled)} rows are not settled")
        counts = BatchCounts.of(inputs.column("server_name").to_pylist(), settled, checksums)
        counts = replace(counts, retry=self._retry.number)
        write_marker(self.path, counts.to_json())
        for journal in self.path.glob("*.arrows"):
            journal.unlink()
        return counts

    def _journals(self, pattern: str) -> list[Path]:
        return sorted(self.path.glob(pattern), key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def _images(self, inputs: pa.Table, settled: dict[int, str]) -> Iterator[pa.RecordBatch]:
        yield from _fresh(self._published(SUCCESSES, inputs), settled)
        for journal in self._journals(SUCCESS_JOURNALS):
            yield from _fresh(_numbered(journal), settled)

    def _errors(self, inputs: pa.Table, settled: dict[int, str]) -> Iterator[pa.RecordBatch]:
        for journal in self._journals(ERROR_JOURNALS):
            yield from _fresh(_numbered(journal), settled)
        yield from _fresh(self._published(ERRORS, inputs), settled)

    def _published(self, name: str, inputs: pa.Table) -> Iterator[tuple[list[int], pa.RecordBatch]]:
        path = self.path / name
        if not path.exists():
            return
        numbers = _RowNumbers(inputs)
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                yield numbers.of(batch), batch


class _RowNumbers:
    """Finds the numbers of published rows by uuid and identifier, as the files do not have the numbers.

    Rows that share both are settled together, so it does not matter which of them gets which number.
    """

    def __init__(self, inputs: pa.Table) -> None:
        self._numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, key in enumerate(zip(*(inputs.column(name).to_pylist() for name in _KEY), strict=True)):
            self._numbers[key].append(number)

    def of(self, published: pa.Table | pa.RecordBatch) -> list[int]:
        keys = zip(*(published.column(name).to_pylist() for name in _KEY), strict=True)
        return [self._numbers[key].pop() for key in keys]


def _errors_in(journals: Iterable[Path]) -> Iterator[tuple[int, str]]:
    """Row numbers with their error kinds."""
    for journal in journals:
        for batch in read_journal(journal, ["row", "error_kind"]):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _numbered(journal: Path) -> Iterator[tuple[list[int], pa.RecordBatch]]:
    for batch in read_journal(journal):
        yield batch.column("row").to_pylist(), batch.select(batch.schema.names[1:])


def _fresh(batches: Iterator[tuple[list[int], pa.RecordBatch]], settled: dict[int, str]) -> Iterator[pa.RecordBatch]:
    """The rows that were not settled before; now they are."""
    for numbers, batch in batches:
        fresh = [index for index, number in enumerate(numbers) if number not in settled]
        rows = batch if len(fresh) == batch.num_rows else batch.take(pa.array(fresh, pa.int64()))
        has_kinds = "error_kind" in batch.schema.names
        kinds = rows.column("error_kind").to_pylist() if has_kinds else [SUCCESS] * len(fresh)
        settled.update(zip((numbers[index] for index in fresh), kinds, strict=True))
        if fresh:
            yield rows


def _counting(checksums: Counter[str], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, while `checksums` counts whose images match what the list says."""
    for batch in batches:
        if "checksum_ok" in batch.schema.names:
            agree = batch.column("checksum_ok")
            checksums.update(
                {"ok": agree.true_count, "wrong": agree.false_count} if agree.null_count < len(agree) else {}
            )
        yield batch
