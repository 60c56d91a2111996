"""One batch's folder: which of its rows are settled, and how the batch is published.

A row is settled by, in this order of precedence: an image in `successes.parquet` or in a journal, an error in a journal
(the newest one), an error in `errors.parquet`. Errors that a retry order names do not count, unless the order itself
made them (`run_folder/retry_order.py`). Publishing merges them in that order, so it can be repeated after a kill at any
point. The marker `_completed`, written last, has the counts, and sizes and checksums of both tables, and makes the
batch finished. It is believed as far as it can be checked: a table that is not as it was written, or that has no
marker, is read with care (`stored_file.py`), and the rows that it has lost are left to do.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ray_downloader.output.journal import ERROR_JOURNALS, HELD_INDEX, ROW, SUCCESS_JOURNALS, read_journal
from ray_downloader.output.parquet import picture_notes, write_parquet
from ray_downloader.output.stored_file import HASH, FileFacts, end_problem, sound_rows
from ray_downloader.partition.server_key import without_user_info
from ray_downloader.run_folder.atomic import is_set_aside, remove_temps, replacing, set_aside
from ray_downloader.run_folder.base_runs import REUSED
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.run_folder.markers import find_marker, read_marker, remove_marker, write_marker
from ray_downloader.run_folder.retry_order import NO_RETRY, RetryOrder
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, POOLED, SERVER_NAME, kept_names, success_schema
from ray_downloader.run_folder.small_json import parse_object

_KEY = ["uuid", "identifier"]
_KIND = "error_kind"
#: Columns of text without which a table is not one of a batch.
_NEEDED = {SUCCESSES: (*_KEY, HASH), ERRORS: (*_KEY, _KIND)}
#: The name of images among the error kinds.
SUCCESS = "success"
#: The key of a marker that confirms all others.
_CHECKSUM = "crc32"


def accept_version(folder: Path, name: str, version: Path, rows: int) -> None:
    """Let the marker of a batch also confirm another version of one of its tables, before that takes its place.

    Args:
        folder: A finished batch.
        name: The table.
        version: The file that will replace it.
        rows: How many it has.
    """
    counts = BatchFolder(folder).counts()
    if counts is not None and name in counts.files:
        versions = dict.fromkeys([*counts.files[name], FileFacts.of(version, rows)])
        counts = replace(counts, files={**counts.files, name: tuple(versions)})
        write_marker(folder, counts.to_json())


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """What a batch contains; the content of its `_completed` marker.

    Args:
        servers: Numbers of rows by server and by error kind or `SUCCESS`.
        checksums: Of the images for which the list has a checksum or size, how many are `ok` and how many `wrong`.
        retry: Number of the retry order under which it was published.
        files: By name, what is known about each table; several versions of one that a tool may replace.
        reused: Of the images, how many are of earlier runs: `linked`, or `not_modified` according to their servers.
        batch: The folder whose marker it is, as its last two names; empty in those of earlier versions.
    """

    servers: dict[str, dict[str, int]] = field(default_factory=dict)
    checksums: dict[str, int] = field(default_factory=dict)
    retry: int = 0
    files: Mapping[str, tuple[FileFacts, ...]] = field(default_factory=dict, compare=False)
    reused: dict[str, int] = field(default_factory=dict)
    batch: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> BatchCounts:
        """Read the text of a marker.

        Raises:
            ValueError: It is not that of a batch.
        """
        try:
            counts = parse_object(text)
            stated = counts.pop(_CHECKSUM, None)  # absent in those of earlier versions
            if stated not in {None, _checksum(counts)}:
                raise ValueError("its checksum does not match")
            servers = {
                str(name): {str(kind): int(rows) for kind, rows in kinds.items()}
                for name, kinds in counts["servers"].items()
            }
            files = {str(name): tuple(map(FileFacts.parse, facts)) for name, facts in counts.get("files", {}).items()}
            checksums, reused = (dict(counts.get(name, {})) for name in ("checksums", "reused"))
            return cls(
                servers, checksums, int(counts.get("retry", 0)), files, reused, batch=str(counts.get("batch", ""))
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"unexpected content: {error!r}") from None

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
        reused = {"reused": self.reused} if self.reused else {}
        retry = {"retry": self.retry} if self.retry else {}
        known = {name: [one.to_dict() for one in facts] for name, facts in self.files.items()}
        files = {"files": known} if known else {}
        batch = {"batch": self.batch} if self.batch else {}
        counts = {"rows": self.by_kind.total(), "servers": self.servers, **checksums, **reused, **retry}
        content = {**batch, **counts, **files}
        return json.dumps({**content, _CHECKSUM: _checksum(content)}) + "\n"

    def has_errors_of(self, kinds: Collection[str]) -> bool:
        """Whether one of its rows failed in one of these ways."""
        return any(kind in counts for counts in self.servers.values() for kind in kinds)


def _checksum(content: Mapping[str, object]) -> str:
    return f"{zlib.crc32(json.dumps(content).encode()):08x}"


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
        """The counts of a finished batch; None if it is not finished, or if its marker is damaged."""
        marker = read_marker(self.path)
        try:
            return None if marker is None else BatchCounts.parse(marker)
        except ValueError:
            return None

    def problems(self) -> list[str]:
        """What is wrong with the folder or with what its marker confirms, in sentences; nothing costly is read."""
        odd = [f"{path} is damaged, as it is not a file" for path in self._odd()]
        if find_marker(self.path) is None or odd:
            return odd
        counts = self.counts()
        if counts is None:
            return [f"{find_marker(self.path)} is damaged"]
        return self._problems_of(counts)

    def set_odd_aside(self) -> None:
        """Set aside what is not a file, so that a file can take its place."""
        for path in self._odd():
            set_aside(path)

    def _odd(self) -> list[Path]:
        if not self.path.is_dir():
            return []
        return [path for path in sorted(self.path.iterdir()) if not path.is_file() and not is_set_aside(path)]

    @property
    def _name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    def _problems_of(self, counts: BatchCounts) -> list[str]:
        if counts.batch not in {"", self._name}:
            return [f"{find_marker(self.path)} is that of {counts.batch}"]
        return [problem for name in (SUCCESSES, ERRORS) if (problem := self._problem(name, counts))]

    def _problem(self, name: str, counts: BatchCounts | None) -> str:
        if counts is None:
            return f"{self.path} is not finished"
        problems = [facts.problem(self.path / name) for facts in counts.files.get(name, ())]
        if not problems:  # an earlier version wrote it
            return end_problem(self.path / name)
        return "" if "" in problems else problems[-1]

    def problem_of(self, name: str) -> str:
        """What is wrong with one of the tables, as far as every scan sees it, in words; empty if nothing is."""
        counts = self.counts()
        return end_problem(self.path / name) if counts is None else self._problem(name, counts)

    def damage(self) -> list[str]:
        """What is wrong with a finished batch if all bytes are compared with what was written, in sentences."""
        counts = self.counts()
        if counts is None:
            return []
        return [problem for name in (SUCCESSES, ERRORS) if (problem := self._damage(name, counts))]

    def verify(self) -> list[str]:
        """As `damage`; a batch with damage is not finished any more."""
        found = self.damage()
        if found:
            remove_marker(self.path)
        return found

    def _damage(self, name: str, counts: BatchCounts) -> str:
        path = self.path / name
        problem = self._problem(name, counts)
        if problem:
            return problem
        if any(facts.is_content_of(path) for facts in counts.files.get(name, ())):
            return ""
        with pq.ParquetFile(path) as file:
            rows: int = file.metadata.num_rows
        lost = rows - sum(batch.num_rows for batch in sound_rows(path, needed=_NEEDED[name]))
        if lost:
            return f"{path}: {lost} of its {rows} rows are damaged"
        return f"{path} is damaged, but none of its rows" if counts.files.get(name) else ""

    def final_counts(self) -> BatchCounts | None:
        """Counts of a batch in which nothing is left to do; None if something is.

        It is not finished; or a table is not as it was written; or it has journals, as a retry of its errors was begun
        and not published; or it has errors that are to be tried again.
        """
        counts = self.counts()
        if counts is None or self._problems_of(counts) or any(self._all_journals()):
            return None
        is_retried = counts.retry < self._retry.number and counts.has_errors_of(self._retry.kinds_left)
        return None if is_retried else counts

    def settled(self, inputs: pa.Table) -> dict[int, str]:
        """The rows that need no request any more: by number, how they ended (an error kind or `SUCCESS`).

        Args:
            inputs: The batch's input rows; `uuid` and `identifier` are read.
        """
        settled: dict[int, str] = {}
        counts = self.counts()
        own = _OwnRows(inputs)
        for numbers, published in self._published(ERRORS, inputs, counts, [*_KEY, _KIND]):
            settled.update(zip(numbers, published.column(_KIND).to_pylist(), strict=True))
        journals = self._journals(ERROR_JOURNALS)[::-1]
        settled.update(_errors_in((one for one in journals if not self._retry.wrote(one)), own))
        if counts is None or counts.retry < self._retry.number:
            settled = {row: kind for row, kind in settled.items() if kind not in self._retry.kinds_left}
        settled.update(_errors_in((one for one in journals if self._retry.wrote(one)), own))
        for numbers, _ in self._published(SUCCESSES, inputs, counts, _KEY):
            settled.update(dict.fromkeys(numbers, SUCCESS))
        for path in self._journals(SUCCESS_JOURNALS):
            for rows, _ in _numbered(path, own, _KEY):
                settled.update(dict.fromkeys(rows, SUCCESS))
        return settled

    def publish(self, inputs: pa.Table, extra_columns: Sequence[str] = ()) -> BatchCounts:
        """Merge the journals and what was published before into parquet, and mark the batch as finished.

        Args:
            inputs: The batch's input rows.
            extra_columns: Optional columns of images (`image.extra_columns`).

        Raises:
            RuntimeError: A row is not settled. The batch is not marked.
        """
        remove_temps(self.path)
        before = self.counts()
        settled: dict[int, str] = {}
        checksums: Counter[str] = Counter()
        reused: Counter[str] = Counter()
        notes: dict[str, None] = {}
        servers: list[str] = inputs.column(SERVER_NAME.name).to_pylist()
        own = [SERVER_NAME] if self.path.parent.name == f"server_name={POOLED}" else []
        with replacing(self.path / SUCCESSES) as images, replacing(self.path / ERRORS) as errors:
            schema = success_schema(kept_names(inputs.schema), extra_columns)
            found = _noting(notes, _fresh(self._images(inputs, before), settled, servers))
            write_parquet(images, pa.schema([*schema, *own]), _counting(checksums, reused, found), notes)
            failed = _fresh(self._errors(inputs, before), settled, servers)
            write_parquet(errors, pa.schema([*ERROR_SCHEMA, *own]), failed)
            if len(settled) != inputs.num_rows:
                remove_marker(self.path)
                raise RuntimeError(f"{self.path}: {inputs.num_rows - len(settled)} rows are not settled")
            counts = BatchCounts.of(servers, settled, checksums)
            successes = counts.by_kind[SUCCESS]
            files = {
                SUCCESSES: (FileFacts.of(images, successes),),
                ERRORS: (FileFacts.of(errors, len(settled) - successes),),
            }
            remove_marker(self.path)
        order, taken = self._retry.number, dict(sorted(reused.items()))
        counts = replace(counts, retry=order, files=files, reused=taken, batch=self._name)
        write_marker(self.path, counts.to_json())
        for journal in list(self._all_journals()):
            journal.unlink()
        (self.path / HELD_INDEX).unlink(missing_ok=True)
        return counts

    def _journals(self, pattern: str) -> list[Path]:
        files = (path for path in self.path.glob(pattern) if path.is_file())
        return sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def _all_journals(self) -> Iterator[Path]:
        return (path for path in self.path.glob("*.arrows") if not is_set_aside(path))

    def _images(self, inputs: pa.Table, counts: BatchCounts | None) -> Iterator[tuple[list[int], pa.RecordBatch]]:
        """Images that are published and those of journals, in this order."""
        yield from self._published(SUCCESSES, inputs, counts)
        own = _OwnRows(inputs)
        for journal in self._journals(SUCCESS_JOURNALS):
            yield from _numbered(journal, own)

    def _errors(self, inputs: pa.Table, counts: BatchCounts | None) -> Iterator[tuple[list[int], pa.RecordBatch]]:
        own = _OwnRows(inputs)
        for journal in self._journals(ERROR_JOURNALS):
            yield from _numbered(journal, own)
        yield from self._published(ERRORS, inputs, counts)

    def _published(
        self, name: str, inputs: pa.Table, counts: BatchCounts | None, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[list[int], pa.RecordBatch]]:
        """The rows of a table that are as they were written, with their numbers in the batch.

        Args:
            counts: Of the marker, which may confirm the table.
            columns: The columns to read; all by default.
        """
        path = self.path / name
        numbers = _RowNumbers(inputs)
        if path.exists():
            is_confirmed = counts is not None and not self._problems_of(counts) and not self._problem(name, counts)
            batches = _whole(path, columns) if is_confirmed else sound_rows(path, columns, _NEEDED[name])
            for batch in batches:
                yield numbers.of(batch)


def with_shown_identifiers(rows: pa.Table) -> pa.Table:
    """Input rows as results name them: without the users and passwords in their URLs."""
    identifiers = rows.column("identifier")
    if not pc.any(pc.match_substring(identifiers, "@")).as_py():
        return rows
    shown = pa.array([without_user_info(one) for one in identifiers.to_pylist()], pa.string())
    return rows.set_column(rows.schema.get_field_index("identifier"), rows.schema.field("identifier"), shown)


class _RowNumbers:
    """Finds the numbers of published rows by uuid and identifier, as the files do not have the numbers.

    Rows that share both are settled together, so it does not matter which of them gets which number.
    """

    def __init__(self, inputs: pa.Table) -> None:
        inputs = with_shown_identifiers(inputs.select(_KEY))
        self._numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, key in enumerate(zip(*(inputs.column(name).to_pylist() for name in _KEY), strict=True)):
            self._numbers[key].append(number)

    def of(self, published: pa.RecordBatch) -> tuple[list[int], pa.RecordBatch]:
        """The numbers of rows, and the rows, without those that are not of this batch."""
        keys = zip(*(published.column(name).to_pylist() for name in _KEY), strict=True)
        found = [numbers.pop() if (numbers := self._numbers.get(key)) else None for key in keys]
        known = [number for number in found if number is not None]
        if len(known) < len(found):
            published = published.filter(pa.array([number is not None for number in found]))
        return known, published


def _whole(path: Path, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=256, columns=columns)


class _OwnRows:
    """Tells which rows of a journal are rows of the batch: a journal may be that of another, put here by mistake."""

    def __init__(self, inputs: pa.Table) -> None:
        shown = with_shown_identifiers(inputs.select(_KEY)).combine_chunks()
        self._columns = {name: pa.concat_arrays(shown.column(name).chunks) for name in _KEY}
        self._rows = inputs.num_rows

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a journal whose uuid and identifier are those of the batch's row with their number."""
        keys = batch.select([ROW.name, *_KEY])
        rows = keys.column(ROW.name)
        own = pc.and_(pc.greater_equal(rows, 0), pc.less(rows, self._rows))
        numbers = pc.if_else(own, rows, 0)
        for name, column in self._columns.items():
            own = pc.and_(own, pc.equal(column.take(numbers), keys.column(name)))
        own = pc.fill_null(own, False)
        return batch if pc.all(own).as_py() is not False else batch.filter(own)  # which would copy every picture


def _errors_in(journals: Iterable[Path], own: _OwnRows) -> Iterator[tuple[int, str]]:
    """Row numbers with their error kinds."""
    for journal in journals:
        for rows, batch in _numbered(journal, own, [*_KEY, _KIND]):
            yield from zip(rows, batch.column(_KIND).to_pylist(), strict=True)


def _numbered(
    journal: Path, own: _OwnRows, columns: Sequence[str] | None = None
) -> Iterator[tuple[list[int], pa.RecordBatch]]:
    """The rows of a journal, with their numbers in the batch; none if it is of the other kind, whatever its name."""
    is_of_errors = journal.match(ERROR_JOURNALS)
    for batch in read_journal(journal):
        if (_KIND in batch.schema.names) is not is_of_errors:
            return
        rows = own.of(batch.select([ROW.name, *columns]) if columns else batch)
        yield rows.column(ROW.name).to_pylist(), rows.select(rows.schema.names[1:])


def _fresh(
    batches: Iterator[tuple[list[int], pa.RecordBatch]], settled: dict[int, str], servers: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The rows that were not settled before, each with its server; now they are."""
    for numbers, batch in batches:
        fresh = [index for index, number in enumerate(numbers) if number not in settled]
        rows = batch if len(fresh) == batch.num_rows else batch.take(pa.array(fresh, pa.int64()))
        has_kinds = _KIND in batch.schema.names
        kinds = rows.column(_KIND).to_pylist() if has_kinds else [SUCCESS] * len(fresh)
        settled.update(zip((numbers[index] for index in fresh), kinds, strict=True))
        if fresh:
            others = rows.select([name for name in rows.schema.names if name != SERVER_NAME.name])
            names = pa.array([servers[numbers[index]] for index in fresh], SERVER_NAME.type)
            yield others.append_column(SERVER_NAME, names)


def _noting(notes: dict[str, None], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, while `notes` collects what is noted about the pictures in them."""
    for batch in batches:
        notes.update(dict.fromkeys(picture_notes(batch.schema.metadata)))
        yield batch


def _counting(
    checksums: Counter[str], reused: Counter[str], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The same batches.

    Args:
        checksums: Counts whose images match what the list says.
        reused: Counts the images of earlier runs.
    """
    for batch in batches:
        if "checksum_ok" in batch.schema.names:
            agree = batch.column("checksum_ok")
            checksums.update(
                {"ok": agree.true_count, "wrong": agree.false_count} if agree.null_count < len(agree) else {}
            )
        if REUSED in batch.schema.names:
            reused.update(how for how in batch.column(REUSED).to_pylist() if how is not None)
        yield batch
