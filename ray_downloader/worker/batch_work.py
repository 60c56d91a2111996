"""One batch under work in a task: hands out its unsettled rows in chunks and writes down how each ended.

Only a chunk of the input rows is held at a time, so a task can work at a hundred large batches in little memory.
Rows with equal identifiers are neighbours (the partition sorts them), so they become one job: fetched once, written
for each row.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from ray_downloader.errors import ErrorKind
from ray_downloader.image.crash_note import CrashNote, find_suspect
from ray_downloader.output.batch_folder import BatchCounts, BatchFolder
from ray_downloader.output.journal import Journal, Rows
from ray_downloader.partition.batches import read_batch
from ray_downloader.run_folder.checksums import Listed
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import ErrorRecord, ImageRecord
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.request_policy import Failure, Route

#: Rows that all batches of a task hand out at once (1.1 kB each, measured), and bounds of one batch's chunk. A chunk
#: costs 4 ms, as its whole batch is read, so the smallest ones take 2 % of a core at 300 rows/s.
ASSIGNED_ROWS = 16_384
CHUNK_ROWS = (64, 512)
#: The next chunk is read when less than this share of one is handed out and not settled.
LOW_WATER_SHARE = 4


@dataclass(slots=True, eq=False)
class Job:
    """One URL to fetch, for one or more rows of a batch.

    Args:
        rows: The rows it settles.
        server: The server its rows are counted under.
        route: Where the next request goes; elsewhere than the identifier after a redirect.
        attempt: 1 for the first request.
        hops: Redirects followed in this attempt.
        failure: How the last attempt failed.
        mirrors: URLs of the same bytes, to be tried when this one has failed for good.
        listed: What each of its rows lists of the bytes; empty where none lists anything.
    """

    batch: BatchWork
    rows: Rows
    identifier: str
    server: str
    attempt: int = 1
    hops: int = 0
    failure: Failure | None = None
    mirrors: list[str] = field(default_factory=list)
    listed: Sequence[Listed] = ()
    url: str = field(init=False)
    route: Route = field(init=False)

    def __post_init__(self) -> None:
        self.url = self.identifier

    def spend_attempt(self, failure: Failure) -> None:
        """An attempt failed and another follows, maybe in another task."""
        self.batch.note_attempt(self.rows.numbers[0], self.attempt)
        self.attempt += 1
        self.hops = 0
        self.failure = failure

    def take_out(self, indices: Sequence[int]) -> Job:
        """A job of its own for some of the rows, which this one has no longer."""
        taken = copy(self)
        taken._keep(indices)
        self._keep([index for index in range(len(self.rows.numbers)) if index not in set(indices)])
        return taken

    def _keep(self, indices: Sequence[int]) -> None:
        places, numbers = self.rows.places, self.rows.numbers
        self.rows = Rows(self.rows.inputs, [places[index] for index in indices], [numbers[index] for index in indices])
        self.listed = [self.listed[index] for index in indices]
        self.mirrors = list(self.mirrors)

    def turns_to_mirror(self, failure: Failure) -> bool:
        """Whether there is another URL, `url` from now on, whose attempts are counted anew.

        Who opted out at one place is not asked at another.
        """
        if not self.mirrors or failure.kind is ErrorKind.OPTED_OUT:
            return False
        self.url, self.attempt, self.hops, self.failure = self.mirrors.pop(0), 1, 0, None
        return True


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What of the settings a batch needs.

    Args:
        retry_kinds: Published errors of these kinds are tried again.
        extra_columns: Optional columns of images.
        batches: How many batches the task works at.
    """

    retry_kinds: tuple[ErrorKind, ...] = ()
    extra_columns: tuple[str, ...] = ()
    batches: int = 1

    @property
    def chunk_rows(self) -> int:
        """Rows that are handed out at a time."""
        least, most = CHUNK_ROWS
        return min(most, max(least, self.most_rows))

    @property
    def most_rows(self) -> int:
        """Rows of a batch that may be handed out and unsettled, where its chunks are not smaller than the least."""
        return ASSIGNED_ROWS // self.batches


class BatchWork:
    """A batch that a task works at.

    Args:
        layout: Paths of the run.
        item: The batch, and requests that earlier tasks spent on its rows.
        attempt_name: Unique name of the task attempt, for the journal.
        options: What of the settings it needs.
    """

    def __init__(self, layout: RunLayout, item: WorkItem, attempt_name: str, options: BatchOptions) -> None:
        self.batch = item.batch
        self._layout = layout
        self._folder = BatchFolder(layout.batch_folder(item.batch.server_name, item.batch.partition_id))
        self._journal = Journal(self._folder.path, attempt_name, options.extra_columns)
        self._extra_columns = options.extra_columns
        self._note: CrashNote | None = None
        self._suspect = find_suspect(self._note_file)
        self._attempts = dict(item.attempts)
        settled = self._settled(options.retry_kinds)
        self._pending = array("i", (row for row in range(item.batch.rows) if row not in settled))
        self._chunk_rows, self._most_rows = options.chunk_rows, options.most_rows
        self._assigned = 0
        self.left = len(self._pending)

    def _settled(self, retry_kinds: Collection[ErrorKind]) -> Collection[int]:
        if not self._folder.path.exists():
            return ()
        return self._folder.settled(read_batch(self._layout, self.batch), retry_kinds)

    @property
    def wants_chunk(self) -> bool:
        """Whether few of its handed-out rows are unsettled and there are more."""
        return bool(self._pending) and self._assigned < self._chunk_rows // LOW_WATER_SHARE

    @property
    def has_room(self) -> bool:
        """Whether a further chunk may be read, of other servers, while rows of the last ones wait for theirs."""
        is_mixed = self.batch.servers > 1
        return is_mixed and bool(self._pending) and self._assigned + self._chunk_rows <= self._most_rows

    def next_jobs(self) -> Iterator[Job]:
        """The next chunk of unsettled rows as jobs; equal identifiers are never split."""
        table = read_batch(self._layout, self.batch)
        identifiers = table.column("identifier")
        end = min(self._chunk_rows, len(self._pending))
        while end < len(self._pending) and identifiers[self._pending[end]] == identifiers[self._pending[end - 1]]:
            end += 1
        rows, self._pending = self._pending[:end].tolist(), self._pending[end:]
        self._assigned += len(rows)
        chunk = table.take(pa.array(rows))  # a copy, so that the rest of the table is freed
        numbered = zip(
            range(end), chunk.column("identifier").to_pylist(), chunk.column("server_name").to_pylist(), strict=True
        )
        mirrors = chunk.column("mirrors").to_pylist()
        listed = _listed(chunk)
        for (identifier, server), group in groupby(numbered, key=lambda item: item[1:]):
            places = [place for place, _, _ in group]
            yield Job(
                batch=self,
                rows=Rows(chunk, places, [rows[place] for place in places]),
                identifier=identifier,
                server=server,
                attempt=1 + self._attempts.get(rows[places[0]], 0),
                mirrors=list(mirrors[places[0]] or ()),
                listed=[listed[place] for place in places] if listed else (),
            )

    def settle_image(self, job: Job, record: ImageRecord, checksum_ok: Sequence[bool | None] = ()) -> None:
        """Write the job's rows down as successes."""
        self._journal.add_image(job.rows, record, checksum_ok)
        self._settle(job)

    def settle_error(self, job: Job, record: ErrorRecord) -> None:
        """Write the job's rows down as errors."""
        self._journal.add_error(job.rows, record)
        self._settle(job)

    def _settle(self, job: Job) -> None:
        self.left -= len(job.rows.numbers)
        self._assigned -= len(job.rows.numbers)
        for row in job.rows.numbers:
            self._attempts.pop(row, None)

    def note_attempt(self, row: int, attempts: int) -> None:
        """Remember failed attempts, for the case that another task goes on with the row."""
        self._attempts[row] = attempts

    @contextmanager
    def decoding(self, job: Job) -> Iterator[bool]:
        """Note which row is under decode, in case that kills the process.

        Yields:
            Whether an earlier task died over this very row, so that it is to be decoded apart.
        """
        if self._note is None:
            self._folder.path.mkdir(parents=True, exist_ok=True)
            self._note = CrashNote(self._note_file)
        row = str(job.rows.numbers[0])
        self._note.begin(row)
        try:
            yield row == self._suspect
        finally:
            self._note.clear()

    @property
    def _note_file(self) -> Path:
        return self._folder.path / "under_decode"

    def _close(self) -> None:
        self._journal.close()
        if self._note is not None:
            self._note.close()

    def flush(self) -> None:
        """Let a kill lose nothing of what is settled so far."""
        self._journal.flush()

    def give_back(self, ready_in_s: float) -> WorkItem:
        """Close the journal and say what is left."""
        self._close()
        return WorkItem(self.batch, self.left, self._attempts, ready_in_s)

    def publish(self) -> BatchCounts:
        """Make the batch finished; all its rows are settled."""
        self._close()
        return self._folder.publish(read_batch(self._layout, self.batch), self._extra_columns)


def _listed(chunk: pa.Table) -> list[Listed]:
    """What each row lists of the bytes; nothing at all where no row lists anything, as in most lists."""
    columns = [chunk.column("checksum"), chunk.column("size_bytes")]
    if all(column.null_count == chunk.num_rows for column in columns):
        return []
    return [Listed(*facts) for facts in zip(*(column.to_pylist() for column in columns), strict=True)]
