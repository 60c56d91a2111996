"""The journal of one batch: settled rows, appended as they come.

Two Arrow IPC streams a task attempt, one for images and one for errors, each a whole number of record batches: after
SIGKILL everything up to the last whole record batch can be read. Each row carries its number in the batch.
Rows that one request settled go into one record batch, so they are all there or none is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from ray_downloader.records import ERROR_SCHEMA, SUCCESS_SCHEMA, ErrorRecord, ImageRecord

ROW = pa.field("row", pa.int32(), nullable=False)
SUCCESS_JOURNAL_SCHEMA = pa.schema([ROW, *SUCCESS_SCHEMA])
ERROR_JOURNAL_SCHEMA = pa.schema([ROW, *ERROR_SCHEMA])
SUCCESS_JOURNALS = "successes-*.arrows"
ERROR_JOURNALS = "errors-*.arrows"

#: A buffer is written when it holds this much, so at most this much is lost with a killed task.
FLUSH_BYTES = 2 * 1024 * 1024
FLUSH_ROWS = 200


class Journal:
    """Appends the results of one task attempt at one batch.

    Args:
        folder: The batch's folder; made when the first row is written.
        attempt: Unique name of this attempt; two attempts never share a file.
    """

    def __init__(self, folder: Path, attempt: str) -> None:
        self._successes = _Stream(folder / SUCCESS_JOURNALS.replace("*", attempt), SUCCESS_JOURNAL_SCHEMA, ImageRecord)
        self._errors = _Stream(folder / ERROR_JOURNALS.replace("*", attempt), ERROR_JOURNAL_SCHEMA, ErrorRecord)

    def add_image(self, inputs: pa.Table, rows: Sequence[int], record: ImageRecord) -> None:
        """Settle `rows` of the batch, whose input columns are `inputs` (same order), with one image."""
        self._successes.add(inputs, rows, record, len(record.image))

    def add_error(self, inputs: pa.Table, rows: Sequence[int], record: ErrorRecord) -> None:
        """Settle `rows` of the batch, whose input columns are `inputs` (same order), with one error."""
        self._errors.add(inputs, rows, record, 0)

    def flush(self) -> None:
        """Hand everything added so far to the operating system."""
        self._successes.flush()
        self._errors.flush()

    def close(self) -> None:
        """Flush and end both streams."""
        self._successes.close()
        self._errors.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Stream:
    """One Arrow IPC stream: buffers records beside the input rows they settle."""

    def __init__(self, path: Path, schema: pa.Schema, record: type[ImageRecord] | type[ErrorRecord]) -> None:
        self._path = path
        self._schema = schema
        self._columns = [field.name for field in fields(record)]
        self._carried = [name for name in schema.names if name not in {"row", *self._columns}]
        self._file: pa.OSFile | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._clear()

    def _clear(self) -> None:
        self._rows: list[int] = []
        self._inputs: list[pa.Table] = []
        self._records: list[ImageRecord | ErrorRecord] = []
        self._size_bytes = 0

    def add(self, inputs: pa.Table, rows: Sequence[int], record: ImageRecord | ErrorRecord, size_bytes: int) -> None:
        self._rows.extend(rows)
        self._inputs.append(inputs)
        self._records.extend([record] * len(rows))
        self._size_bytes += size_bytes * len(rows)
        if self._size_bytes >= FLUSH_BYTES or len(self._rows) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        if not self._rows:
            return
        carried = pa.concat_tables([table.select(self._carried) for table in self._inputs])
        columns = {"row": self._rows, **{name: carried.column(name) for name in self._carried}}
        for name in self._columns:
            columns[name] = [getattr(record, name) for record in self._records]
        arrays = [_array(columns[field.name], field.type) for field in self._schema]
        self._open().write_batch(pa.record_batch(arrays, schema=self._schema))
        self._clear()

    def _open(self) -> pa.RecordBatchStreamWriter:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_stream(self._file, self._schema)
        return self._writer

    def close(self) -> None:
        self.flush()
        if self._writer is not None and self._file is not None:
            self._writer.close()
            self._file.close()
            self._writer = self._file = None


def _array(values: pa.ChunkedArray | list[object], kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    return pa.array(values, type=kind)


def read_journal(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The whole record batches of a journal; a torn end, as a killed task leaves it, ends the reading.

    Args:
        path: One stream written by a `Journal`.
        columns: Read only these.
    """
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_stream(source)
            for batch in reader:
                yield batch.select(columns) if columns else batch
        except (pa.ArrowInvalid, OSError):
            return
