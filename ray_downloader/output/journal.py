"""The journal of one batch: settled rows, appended as they come.

Each attempt at a batch writes two Arrow IPC streams, one for images and one for errors. After SIGKILL, everything up to
the last complete record batch can be read. Each row has its number in the batch. Rows that one request settled are in
one record batch, so either all of them are there or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType

import pyarrow as pa

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

#: The buffer is written when it reaches one of these, so a killed task loses at most this much.
FLUSH_BYTES = 2 * 1024 * 1024
FLUSH_ROWS = 200


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
    """

    def __init__(self, folder: Path, attempt: str, extra_columns: Sequence[str] = ()) -> None:
        images, errors = (folder / pattern.replace("*", attempt) for pattern in (SUCCESS_JOURNALS, ERROR_JOURNALS))
        self._successes = _Stream(
            images,
            lambda urls: success_schema(kept_names(urls), extra_columns),
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
        self._file: pa.OSFile | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None
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
        self._numbers.extend(rows.numbers)
        self._records.extend([record] * len(rows.numbers))
        self._checksum_ok.extend(checksum_ok or [None] * len(rows.numbers))
        if not self._places or self._places[-1][0] is not rows.inputs:
            self._places.append((rows.inputs, []))
        self._places[-1][1].extend(rows.places)
        self._size_bytes += size_bytes * len(rows.numbers)
        if self._size_bytes >= FLUSH_BYTES or len(self._numbers) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._numbers:
            schema = self._schema_of(self._places[0][0].schema)
            given = {"checksum_ok": pa.array(self._checksum_ok, pa.bool_()), **self._given_columns(schema)}
            carried = self._carried_columns([name for name in schema.names if name not in given])
            columns = {"row": pa.array(self._numbers, ROW.type), **carried, **given}
            schema = pa.schema([ROW, *schema])
            arrays = [columns[name] for name in schema.names]
            self._open(schema).write_batch(pa.record_batch(arrays, schema=schema))
            self._clear()

    def _carried_columns(self, names: Sequence[str]) -> dict[str, pa.Array]:
        there = set(self._places[0][0].schema.names)
        columns = [kept_column(name) if kept_column(name) in there else name for name in names]
        tables = [table.select(columns).take(pa.array(places)) for table, places in self._places]
        carried = pa.concat_tables(tables).combine_chunks()
        return {name: carried.column(column).chunk(0) for name, column in zip(names, columns, strict=True)}

    def _given_columns(self, schema: pa.Schema) -> dict[str, pa.Array]:
        values = {name: [getattr(record, name) for record in self._records] for name in self._columns}
        for name in self._extra_columns:
            values[name] = [record.extra.get(name) for record in self._records if isinstance(record, ImageRecord)]
        return {name: pa.array(column, schema.field(name).type) for name, column in values.items()}

    def _open(self, schema: pa.Schema) -> pa.RecordBatchStreamWriter:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_stream(self._file, schema)
        return self._writer

    def close(self) -> None:
        self.flush()
        if self._writer is not None and self._file is not None:
            self._writer.close()
            self._file.close()
            self._writer = self._file = None


def read_journal(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The complete record batches of a journal, up to the torn end that a killed task may leave.

    Args:
        path: A stream that a `Journal` wrote.
        columns: The columns to read; all by default.
    """
    # A memory map only touches the pages of these columns; for whole batches it would count as memory of the process.
    with pa.memory_map(str(path)) if columns else pa.OSFile(str(path)) as source:
        try:
            reader = pa.ipc.open_stream(source)
            for batch in reader:
                yield batch.select(columns) if columns else batch
        except (pa.ArrowInvalid, OSError):
            return
