"""The journal of one batch: settled rows, appended as they come.

Each attempt at a batch writes two files, one for images and one for errors: Arrow's schema and record batches, each
in a frame with a checksum (`frames.py`). After SIGKILL, or on a bad disk, everything before the first frame that is
not whole can be read. Each row has its number in the batch. Rows that one request settled are in one record batch, so
either all of them are there or none.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from ray_downloader.output.frames import FrameWriter, read_frames
from ray_downloader.output.parquet import with_notes
from ray_downloader.run_folder.file_errors import require_damage
from ray_downloader.run_folder.schemas import (
    ERROR_SCHEMA,
    ErrorRecord,
    ImageRecord,
    kept_column,
    kept_names,
    success_schema,
)

ROW = pa.field("row", pa.int32(), nullable=False)
SUCCESS_JOURNALS = "successes-*.arrows"
ERROR_JOURNALS = "errors-*.arrows"
#: Pictures of an earlier run that are taken if their server answers 304 (`reused.py`), and where in that file each is.
HELD = "held-base.arrows"
HELD_INDEX = "_held.parquet"

#: The buffer is written when it reaches one of these, and the worker flushes ten times a second: a killed task loses no
#: more than that.
FLUSH_BYTES = 2 * 1024 * 1024
FLUSH_ROWS = 32
#: A picture of this size is not copied on its way into the journal, and is written at once.
_LARGE_BYTES = 8 * 1024 * 1024
#: How a journal of an earlier version begins: it is an Arrow stream without frames.
_ARROW_STREAM = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a batch that are settled together.

    Args:
        inputs: A table of input rows, which many instances share.
        places: The positions of these rows in that table.
        numbers: Their numbers in the batch.
    """

    inputs: pa.Table
    places: Sequence[int]
    numbers: Sequence[int]


class Journal:
    """Appends the results of one attempt at one batch.

    Args:
        folder: The batch's folder, created when the first row is written.
        attempt: A unique name of this attempt; two attempts never share a file.
        extra_columns: Optional columns of images (`image.extra_columns`).
        note: The settings with which its pictures are made, for the file that they end in.
    """

    def __init__(self, folder: Path, attempt: str, extra_columns: Sequence[str] = (), note: str = "") -> None:
        images, errors = (folder / pattern.replace("*", attempt) for pattern in (SUCCESS_JOURNALS, ERROR_JOURNALS))
        self._successes = _Stream(
            images,
            lambda urls: with_notes(success_schema(kept_names(urls), extra_columns), [note] if note else []),
            _columns_of(ImageRecord),
            extra_columns,
        )
        self._errors = _Stream(errors, lambda _: ERROR_SCHEMA, _columns_of(ErrorRecord))

    def add_image(self, rows: Rows, record: ImageRecord, checksum_ok: Sequence[bool | None] = ()) -> None:
        """Settle rows with one image.

        Args:
            checksum_ok: For each row, whether the bytes match what the list says; empty if it says nothing.
        """
        self._successes.add(rows, record, len(record.image), checksum_ok)

    def add_error(self, rows: Rows, record: ErrorRecord) -> None:
        """Settle rows with one error."""
        self._errors.add(rows, record, 0)

    def flush(self) -> None:
        """Pass everything added so far to the operating system."""
        self._successes.flush()
        self._errors.flush()

    def close(self) -> None:
        """Flush and close both streams."""
        self._successes.close()
        self._errors.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _columns_of(record: type[ImageRecord] | type[ErrorRecord]) -> list[str]:
    return [field.name for field in fields(record) if field.name != "extra"]


class _Stream:
    """One Arrow IPC stream: buffers records beside the rows they settle.

    Args:
        schema_of: Gives the schema of the published table for that of the input rows. The stream has the row number
            as an additional first column.
        columns: Columns that a record has; all others are copied from the input rows.
    """

    def __init__(
        self,
        path: Path,
        schema_of: Callable[[pa.Schema], pa.Schema],
        columns: Sequence[str],
        extra_columns: Sequence[str] = (),
    ) -> None:
        self._path = path
        self._schema_of = schema_of
        self._columns = columns
        self._extra_columns = extra_columns
        self._writer: FrameWriter | None = None
        self._schema = pa.schema([])
        self._clear()

    def _clear(self) -> None:
        self._numbers: list[int] = []
        self._records: list[ImageRecord | ErrorRecord] = []
        self._places: list[tuple[pa.Table, list[int]]] = []
        self._checksum_ok: list[bool | None] = []
        self._size_bytes = 0

    def add(
        self,
        rows: Rows,
        record: ImageRecord | ErrorRecord,
        size_bytes: int,
        checksum_ok: Sequence[bool | None] = (),
    ) -> None:
        if size_bytes * len(rows.numbers) >= _LARGE_BYTES and (self._numbers or len(rows.numbers) > 1):
            self._add_alone(rows, record, size_bytes, checksum_ok)
            return
        self._numbers.extend(rows.numbers)
        self._records.extend([record] * len(rows.numbers))
        self._checksum_ok.extend(checksum_ok or [None] * len(rows.numbers))
        if not self._places or self._places[-1][0] is not rows.inputs:
            self._places.append((rows.inputs, []))
        self._places[-1][1].extend(rows.places)
        self._size_bytes += size_bytes * len(rows.numbers)
        if self._size_bytes >= FLUSH_BYTES or len(self._numbers) >= FLUSH_ROWS:
            self.flush()

    def _add_alone(
        self, rows: Rows, record: ImageRecord | ErrorRecord, size_bytes: int, checksum_ok: Sequence[bool | None]
    ) -> None:
        """Add rows of a large picture one by one, so that it is in memory once; the journal has it for each row."""
        self.flush()
        for at, (place, number) in enumerate(zip(rows.places, rows.numbers, strict=True)):
            self.add(Rows(rows.inputs, [place], [number]), record, size_bytes, checksum_ok[at : at + 1])
            self.flush()

    def flush(self) -> None:
        if self._numbers:
            writer = self._writer or self._open()
            given = {
                "row": pa.array(self._numbers, ROW.type),
                "checksum_ok": pa.array(self._checksum_ok, pa.bool_()),
                **self._given_columns(),
            }
            columns = {**self._carried_columns([name for name in self._schema.names if name not in given]), **given}
            arrays = [columns[name] for name in self._schema.names]
            batch = pa.record_batch(arrays, schema=self._schema)
            self._clear()
            writer.write(*_message(batch))

    def _carried_columns(self, names: Sequence[str]) -> dict[str, pa.Array]:
        there = set(self._places[0][0].schema.names)
        columns = [kept_column(name) if kept_column(name) in there else name for name in names]
        tables = [table.select(columns).take(pa.array(places)) for table, places in self._places]
        carried = pa.concat_tables(tables).combine_chunks()
        return {name: carried.column(column).chunk(0) for name, column in zip(names, columns, strict=True)}

    def _given_columns(self) -> dict[str, pa.Array]:
        values = {name: [getattr(record, name) for record in self._records] for name in self._columns}
        for name in self._extra_columns:
            values[name] = [record.extra.get(name) for record in self._records if isinstance(record, ImageRecord)]
        return {name: _array(column, self._schema.field(name).type) for name, column in values.items()}

    def _open(self) -> FrameWriter:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        published = self._schema_of(self._places[0][0].schema)
        self._schema = pa.schema([ROW, *published], metadata=published.metadata)
        writer = FrameWriter(self._path)
        try:
            writer.write(self._schema.serialize())
        except OSError:
            writer.close()
            raise
        self._writer = writer
        return writer

    def close(self) -> None:
        self.flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """The values as a column; bytes that are alone are not copied."""
    if kind != pa.binary() or len(values) != 1 or values[0] is None:
        return pa.array(values, kind)
    offsets = pa.py_buffer(struct.pack("=ii", 0, len(values[0])))
    return pa.Array.from_buffers(kind, 1, [None, offsets, pa.py_buffer(values[0])])


class _Parts:
    """A file that keeps what is written to it, uncopied."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[memoryview] = []

    def write(self, data: Any) -> int:
        """Keep a piece."""
        self.parts.append(memoryview(data).cast("B"))
        return len(self.parts[-1])

    def flush(self) -> None:
        """Nothing to do."""


def _message(batch: pa.RecordBatch) -> Sequence[Any]:
    """What `serialize` gives, in parts, so that large pictures are not copied."""
    if batch.nbytes < _LARGE_BYTES:
        return (batch.serialize(),)
    file = _Parts()
    with pa.ipc.new_stream(pa.PythonFile(file, "w"), batch.schema) as stream:
        stream.write_batch(batch)
        parts = list(file.parts)
    size_bytes, begin = pa.ipc.get_record_batch_size(batch), len(parts)
    while size_bytes > 0:  # before it is the schema
        begin -= 1
        size_bytes -= len(parts[begin])
    assert size_bytes == 0
    return parts[begin:]


def read_journal(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The complete record batches of a journal, up to a torn end that a killed task left, or to a damaged one.

    Args:
        path: A file that a `Journal` wrote.
        columns: The columns to read; all by default.
    """
    batches = _read_stream(path) if _is_stream(path) else _read_framed(path)
    return (batch.select(columns) if columns else batch for batch in batches)


def _is_stream(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ARROW_STREAM)) == _ARROW_STREAM
    except OSError:  # `read_frames` meets it again, and knows what it means
        return False


def _read_framed(path: Path) -> Iterator[pa.RecordBatch]:
    payloads = read_frames(path)
    first = next(payloads, None)
    if first is not None:
        schema = pa.ipc.read_schema(pa.py_buffer(first))
        for payload in payloads:
            yield pa.ipc.read_record_batch(pa.py_buffer(payload), schema)


def _read_stream(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as source:
        try:
            yield from pa.ipc.open_stream(source)
        except (pa.ArrowException, OSError, ValueError) as error:
            require_damage(error, path)
