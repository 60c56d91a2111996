"""One batch in progress in a task: assigns its unsettled rows in chunks and records how each ended.

Only a chunk of the input rows is held at a time, so a task can work on a hundred large batches in little memory. Input
rows with equal identifiers are neighbours (the partition sorts them), so they become one `Row`: fetched once, written
for each. What unsettled rows have learned is kept in the batch's folder between tasks, runs and nodes; those rows are
the first that the next task assigns.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from ray_downloader.image.crash_note import CrashNote, find_suspect
from ray_downloader.output.batch_folder import BatchCounts, BatchFolder, with_shown_identifiers
from ray_downloader.output.journal import Journal, Rows
from ray_downloader.output.reused import HeldPictures
from ray_downloader.partition.batches import read_batch
from ray_downloader.run_folder.atomic import PRIVATE, write_text
from ray_downloader.run_folder.checksums import Listed
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import NO_RETRY, RetryOrder
from ray_downloader.run_folder.schemas import ErrorRecord, ImageRecord
from ray_downloader.run_folder.small_json import read_object
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.row import Row, RowState
from ray_downloader.worker.suspects import Suspects

#: Rows that all batches of a task together assign at once (1.1 kB each, measured), and bounds of one batch's chunk. A
#: chunk costs 4 ms, as its whole batch is read, so the smallest ones take 2 % of a core at 300 rows/s.
ASSIGNED_ROWS = 16_384
CHUNK_ROWS = (64, 512)
#: The next chunk is read when less than this share of one is assigned but not settled.
LOW_WATER_SHARE = 4
#: What the unsettled rows of a batch have learned. Folder readers skip names that begin with `_`.
UNDER_WAY = "_under_way.json"
#: The rows that a task works on, for the case that its process dies.
IN_HAND = "_in_hand.json"


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """The settings that a batch needs.

    Args:
        retry: Errors that are retried.
        extra_columns: Optional columns of images.
        batches: How many batches the task works on.
        note: The settings with which pictures are made, for the files that they end in.
    """

    retry: RetryOrder = NO_RETRY
    extra_columns: tuple[str, ...] = ()
    batches: int = 1
    note: str = ""

    @property
    def chunk_rows(self) -> int:
        """Rows that are assigned at a time."""
        least, most = CHUNK_ROWS
        return min(most, max(least, self.most_rows))

    @property
    def most_rows(self) -> int:
        """Rows of a batch that may be assigned and unsettled, if its chunks are not smaller than the minimum."""
        return ASSIGNED_ROWS // self.batches


class BatchWork:
    """A batch on which a task works.

    Args:
        layout: Paths of the run.
        item: The batch.
        attempt_name: Unique name of the task attempt, for the journal.
        options: The settings that it needs.
    """

    def __init__(self, layout: RunLayout, item: WorkItem, attempt_name: str, options: BatchOptions) -> None:
        self.batch = item.batch
        self._layout = layout
        folder = layout.batch_folder(item.batch.server_name, item.batch.partition_id)
        self._folder = BatchFolder(folder, options.retry)
        self._folder.set_odd_aside()
        self._journal = Journal(folder, options.retry.attempt_name(attempt_name), options.extra_columns, options.note)
        self._held = HeldPictures(folder)
        self._extra_columns = options.extra_columns
        self._note: CrashNote | None = None
        self._suspect = find_suspect(self._note_file)
        settled = self._settled()
        self._under_way = {known["rows"][0]: known for known in self._read_under_way()}
        self._pending = array("i", _under_way_first(item.batch.rows, settled, self._under_way))
        self._has_under_way_file = bool(self._under_way)
        self._assigned_rows: dict[int, Row] = {}
        self._chunk_rows, self._most_rows = options.chunk_rows, options.most_rows
        self._assigned = 0
        self.left = len(self._pending)
        unsettled = frozenset(self._pending)
        self._holds_suspects = False
        self._suspects = Suspects(self._folder.path / IN_HAND, unsettled.__contains__)

    def _settled(self) -> Collection[int]:
        if not self._folder.path.exists():
            return ()
        return self._folder.settled(read_batch(self._layout, self.batch))

    @property
    def wants_chunk(self) -> bool:
        """Whether few of its assigned rows are unsettled and there are more to assign."""
        if self._suspects.is_careful or self._holds_suspects:
            return bool(self._pending) and not self._assigned
        return bool(self._pending) and self._assigned < self._chunk_rows // LOW_WATER_SHARE

    @property
    def has_room(self) -> bool:
        """Whether a further chunk may be read, for other servers, while rows of the last ones wait for theirs."""
        is_mixed = self.batch.servers > 1 and not (self._suspects.is_careful or self._holds_suspects)
        return is_mixed and bool(self._pending) and self._assigned + self._chunk_rows <= self._most_rows

    def next_rows(self) -> Iterator[Row]:
        """The next chunk of unsettled rows; equal identifiers are never split."""
        table = read_batch(self._layout, self.batch)
        rows = self._take_pending(table.column("identifier"))
        self._assigned += len(rows)
        chunk = table.take(pa.array(rows))  # a copy, so that the rest of the table is freed
        stored = with_shown_identifiers(chunk)
        numbered = zip(
            range(len(rows)),
            chunk.column("identifier").to_pylist(),
            chunk.column("server_name").to_pylist(),
            strict=True,
        )
        mirrors = chunk.column("mirrors").to_pylist()
        listed = _listed(chunk)
        held = self._held.of(rows)
        for (identifier, server), group in groupby(numbered, key=lambda item: item[1:]):
            places = [place for place, _, _ in group]
            row = Row(
                batch=self,
                rows=Rows(stored, places, [rows[place] for place in places]),
                identifier=identifier,
                server=server,
                mirrors=list(mirrors[places[0]] or ()),
                listed=[listed[place] for place in places] if listed else (),
                held=next((held[rows[place]] for place in places if rows[place] in held), None),
            )
            self._assigned_rows[row.number] = row
            yield row
        self._suspects.note(list(self._assigned_rows))

    def _take_pending(self, identifiers: pa.ChunkedArray) -> list[int]:
        """The numbers of the next chunk's rows."""
        self._holds_suspects = self._suspects.is_careful
        if self._holds_suspects:
            taken = {n for suspect in self._suspects.take() for n in self._with_equal_identifiers(suspect, identifiers)}
            rows = [row for row in self._pending if row in taken]
            self._pending = array("i", [row for row in self._pending if row not in taken])
            return rows
        end = min(self._chunk_rows, len(self._pending))
        while end < len(self._pending) and identifiers[self._pending[end]] == identifiers[self._pending[end - 1]]:
            end += 1
        rows, self._pending = self._pending[:end].tolist(), self._pending[end:]
        return rows

    @staticmethod
    def _with_equal_identifiers(first: int, identifiers: pa.ChunkedArray) -> Iterator[int]:
        """A row and those after it that are fetched with it."""
        yield first
        for number in range(first + 1, len(identifiers)):
            if identifiers[number] != identifiers[first]:
                return
            yield number

    def is_blamed(self, row: Row) -> bool:
        """Whether processes died over this row, and it alone."""
        return row.number == self._suspects.blamed

    def begin(self) -> None:
        """One of its rows is requested: if that kills the process, it is to be known."""
        self._suspects.begin()

    def rest(self) -> None:
        """One of its rows waits after a failure."""
        self._suspects.rest()

    def settle_image(self, row: Row, record: ImageRecord, checksum_ok: Sequence[bool | None] = ()) -> None:
        """Record its input rows as successes."""
        self._journal.add_image(row.rows, record, checksum_ok)
        self._settle(row)

    def keep_held(self, row: Row) -> bool:
        """Record the picture of an earlier run, which has not changed; False if it cannot be read any more."""
        record = self._held.record(row.held) if row.held else None
        if record is None:
            row.held = None
            return False
        # A row whose list states a checksum is only linked to a picture with that checksum.
        self.settle_image(row, record, [True if one.checksum else None for one in row.listed])
        return True

    def settle_error(self, row: Row, record: ErrorRecord) -> None:
        """Record its input rows as errors."""
        self._journal.add_error(row.rows, record)
        self._settle(row)

    def _settle(self, row: Row) -> None:
        row.move(RowState.SETTLED)
        self.left -= len(row.rows.numbers)
        self._assigned -= len(row.rows.numbers)
        self._assigned_rows.pop(row.number, None)

    def split(self, row: Row) -> None:
        """Count a row that was taken out of another as one of the batch's own from now on."""
        self._assigned_rows[row.number] = row

    def learned(self, row: Row) -> dict[str, Any] | None:
        """What an earlier task learned about the row; returned only once."""
        return self._under_way.pop(row.number, None)

    def resume(self, row: Row, now_s: float, now_unix_s: float) -> str:
        """Let the row continue from what an earlier task learned about it, if any did; the URL to request next."""
        learned = self.learned(row)
        try:
            return row.resume(learned, now_s, now_unix_s) if learned else row.url
        except (KeyError, TypeError, ValueError, AttributeError):
            return row.url  # the file is damaged, and only saves requests

    @contextmanager
    def decoding(self, row: Row) -> Iterator[bool]:
        """Record which row is being decoded, in case that kills the process.

        Yields:
            Whether an earlier task died over this very row, so that it is to be decoded in a separate process.
        """
        if self._note is None:
            self._folder.path.mkdir(parents=True, exist_ok=True)
            self._note = CrashNote(self._note_file)
        number = str(row.number)
        self._note.begin(number)
        try:
            yield number == self._suspect
        finally:
            self._note.clear()

    @property
    def _note_file(self) -> Path:
        return self._folder.path / "_under_decode"

    def _close(self) -> None:
        self._journal.close()
        self._suspects.close(list(self._assigned_rows))
        if self._note is not None:
            self._note.close()

    def flush(self) -> None:
        """Make sure that a kill loses nothing that is settled so far."""
        self._journal.flush()

    def give_back(self, ready_in_s: float, now_s: float, now_unix_s: float) -> WorkItem:
        """Close the journal, keep what unsettled rows have learned, and return what is left."""
        self._close()
        learned = [row.progress(now_s, now_unix_s) for row in self._assigned_rows.values()]
        self._keep_under_way([*(known for known in learned if known), *self._under_way.values()])
        return WorkItem(self.batch, self.left, ready_in_s)

    @property
    def _under_way_file(self) -> Path:
        return self._folder.path / UNDER_WAY

    def _keep_under_way(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            write_text(self._under_way_file, json.dumps({"rows": rows}) + "\n", mode=PRIVATE)
        elif self._has_under_way_file:
            self._under_way_file.unlink(missing_ok=True)

    def _read_under_way(self) -> list[dict[str, Any]]:
        """What was kept; empty if it cannot be read, as it only saves requests."""
        try:
            rows: list[dict[str, Any]] = read_object(self._under_way_file)["rows"]
            return [known for known in rows if all(0 <= row < self.batch.rows for row in known["rows"])]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def publish(self) -> BatchCounts:
        """Finish the batch, all of whose rows are settled."""
        self._close()
        self._keep_under_way([])
        return self._folder.publish(read_batch(self._layout, self.batch), self._extra_columns)


def _listed(chunk: pa.Table) -> list[Listed]:
    """What is listed about the bytes for each row; empty if no row lists anything, as in most lists."""
    columns = [chunk.column("checksum"), chunk.column("size_bytes")]
    if all(column.null_count == chunk.num_rows for column in columns):
        return []
    return [Listed(*facts) for facts in zip(*(column.to_pylist() for column in columns), strict=True)]


def _under_way_first(rows: int, settled: Collection[int], under_way: Mapping[int, Mapping[str, Any]]) -> Iterator[int]:
    """Unsettled rows in the order in which they are assigned."""
    taken = dict.fromkeys(row for known in under_way.values() for row in known["rows"] if row not in settled)
    yield from taken
    yield from (row for row in range(rows) if row not in settled and row not in taken)
