"""Pictures of earlier runs (`base=`) in the journals of a run.

What an earlier run has of a batch is copied into the batch's folder: as a journal, so that these rows are settled and
published like fetched ones; or, if servers are to be asked whether the pictures have changed, as a file of held
pictures, from which the worker takes those for which the answer is 304. Either file appears complete or not at all, and
says by being there that its batch is done. Nothing is needed of the earlier run afterwards. What is damaged there, or
is not the row that it was taken for, is left out, and fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ray_downloader.errors import RunFolderError
from ray_downloader.output.batch_folder import with_shown_identifiers
from ray_downloader.output.frames import FrameWriter, read_frame
from ray_downloader.output.journal import HELD, HELD_INDEX, ROW
from ray_downloader.output.parquet import picture_notes, with_notes
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.base_runs import LINKED, NOT_MODIFIED, REUSED
from ray_downloader.run_folder.schemas import ImageRecord, kept_column, kept_names, success_schema
from ray_downloader.run_folder.small_tables import opened, read_small_table, write_small_table

#: A journal of successes, by its name, of rows that are settled.
TAKEN = "successes-base.arrows"
#: Where each held picture is, and with what its server is asked.
_INDEX_SCHEMA = pa.schema(
    [
        ROW,
        pa.field("offset", pa.int64()),
        pa.field("position", pa.int32()),
        pa.field("etag", pa.string()),
        pa.field("last_modified", pa.string()),
        pa.field("final_url", pa.string()),
    ]
)
#: Rows of a frame that is written whole; one of held pictures is read for each 304, so it has few.
_TAKEN_ROWS, _HELD_ROWS = 128, 8
#: The columns of a result that come from the picture, and not from the list.
_OF_PICTURE = [field.name for field in fields(ImageRecord) if field.name != "extra"]


@dataclass(frozen=True, slots=True)
class Taking:
    """What a batch takes.

    Args:
        links: Rows of the batch (`number`), and where their pictures are: `file`, and `row` in it.
        files: The tables of earlier runs, by number.
        extra_columns: Optional columns of images.
        is_held: Whether servers are asked before a picture counts.
    """

    links: pa.Table
    files: Sequence[Path]
    extra_columns: Sequence[str]
    is_held: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken: the number of rows, and what is wrong with files of earlier runs, in sentences."""

    rows: int
    problems: tuple[str, ...] = ()


def take(folder: Path, inputs: pa.Table, taking: Taking) -> Taken:
    """Copy the pictures that earlier runs have of a batch into its folder.

    Args:
        inputs: The batch's input rows.
    """
    shown = with_shown_identifiers(inputs)
    problems: list[str] = []
    rows = 0
    index: list[pa.Table] = []
    with replacing(folder / (HELD if taking.is_held else TAKEN)) as temp:
        writer: FrameWriter | None = None
        schema = pa.schema([])
        for number, file in _by_file(taking.links):
            path = taking.files[number]
            for found, notes in _found(path, file, shown, problems):
                if writer is None:
                    published = success_schema(kept_names(inputs.schema), taking.extra_columns)
                    schema = with_notes(pa.schema([ROW, *published]), notes)
                    writer = _begin(temp, schema)
                for piece in _pieces(_results(found, schema), _HELD_ROWS if taking.is_held else _TAKEN_ROWS):
                    offset = writer.write(piece.serialize())
                    index.append(_index(piece, offset))
                    rows += piece.num_rows
        if writer is None:
            _begin(temp, pa.schema([ROW, *success_schema()])).close()
        else:
            writer.close()
        if taking.is_held:
            held = pa.concat_tables([_INDEX_SCHEMA.empty_table(), *index]).sort_by("row")
            write_small_table(folder / HELD_INDEX, held)
    return Taken(rows, tuple(problems))


def _by_file(links: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    for number in pc.unique(links.column("file")).to_pylist():
        yield number, links.filter(pc.equal(links.column("file"), number)).sort_by("row")


def _begin(path: Path, schema: pa.Schema) -> FrameWriter:
    writer = FrameWriter(path)
    writer.write(schema.serialize())
    return writer


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of an earlier run, and those of the list that they are, in the same order."""

    pictures: pa.Table
    inputs: pa.Table
    numbers: pa.Array


def _found(path: Path, links: pa.Table, inputs: pa.Table, problems: list[str]) -> Iterator[tuple[_Found, list[str]]]:
    """The rows that a file still has as they are linked, a row group at a time."""
    try:
        with opened(path) as file:
            notes = picture_notes(file.metadata.metadata)
            first = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                within = pc.and_(
                    pc.greater_equal(links.column("row"), first), pc.less(links.column("row"), first + rows)
                )
                here = links.filter(within)
                if here.num_rows:
                    try:
                        found = _same(file.read_row_group(group), here, first, inputs)
                    except (pa.ArrowException, OSError, ValueError) as error:
                        problems.append(f"{path}: {here.num_rows} pictures cannot be read ({_line(error)})")
                    else:
                        if found.numbers:
                            yield found, notes
                        if len(found.numbers) < here.num_rows:
                            problems.append(f"{path}: {here.num_rows - len(found.numbers)} rows are not there any more")
                first += rows
    except (pa.ArrowException, OSError, ValueError) as error:
        problems.append(f"{path}: {links.num_rows} pictures cannot be read ({_line(error)})")


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _same(group: pa.Table, links: pa.Table, first: int, inputs: pa.Table) -> _Found:
    """The linked rows whose names are those of the list."""
    pictures = group.take(pc.subtract(links.column("row"), pa.scalar(first, links.column("row").type)))
    numbers = links.column("number").combine_chunks()
    listed = inputs.take(numbers)
    is_same = pc.equal(pictures.column("identifier"), listed.column("identifier"))
    theirs, ours = (pc.fill_null(table.column("source_id").cast(pa.string()), "\x00") for table in (pictures, listed))
    is_same = pc.and_(is_same, pc.equal(theirs, ours))
    is_same = pc.and_(is_same, pc.is_valid(pictures.column("image")))
    return _Found(pictures.filter(is_same), listed.filter(is_same), numbers.filter(is_same.combine_chunks()))


def _results(found: _Found, schema: pa.Schema) -> pa.RecordBatch:
    """Results with what the list says now, and the pictures as they were stored."""
    own = set(found.pictures.schema.names)
    listed = set(found.inputs.schema.names)
    rows = len(found.numbers)
    columns: list[pa.Array] = []
    for field in schema:
        if field.name == ROW.name:
            column = found.numbers
        elif field.name == REUSED:
            column = pa.array([LINKED] * rows, field.type)
        elif field.name == "checksum_ok":  # a row whose list states a checksum is only linked if it is that of the file
            column = pc.if_else(pc.is_valid(found.inputs.column("checksum")), True, pa.scalar(None, pa.bool_()))
        elif kept_column(field.name) in listed:
            column = found.inputs.column(kept_column(field.name))
        elif field.name in listed and field.name not in _OF_PICTURE:
            column = found.inputs.column(field.name)
        elif field.name in own:
            column = found.pictures.column(field.name)
        else:
            column = pa.nulls(rows, field.type)
        column = column.cast(field.type)
        columns.append(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    return pa.record_batch(columns, schema=schema)


def _pieces(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    return (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))


def _index(piece: pa.RecordBatch, offset: int) -> pa.Table:
    rows = piece.num_rows
    columns = {
        "offset": pa.array([offset] * rows, pa.int64()),
        "position": pa.array(range(rows), pa.int32()),
        **{name: piece.column(name) for name in (ROW.name, "etag", "last_modified", "final_url")},
    }
    return pa.Table.from_arrays([columns[name] for name in _INDEX_SCHEMA.names], schema=_INDEX_SCHEMA)


@dataclass(frozen=True, slots=True)
class HeldPicture:
    """A picture that counts if its server answers that it has not changed.

    Args:
        offset: Where its frame is in the file.
        position: Its row there.
        validators: Headers that ask about it.
        final_url: The URL whose answer it was.
    """

    offset: int
    position: int
    validators: Mapping[str, str]
    final_url: str


def _is_sendable(value: str) -> bool:
    """Whether a server's own header can be sent back; one that was sent several times has several lines."""
    return value.isascii() and value.isprintable()


class HeldPictures:
    """The held pictures of one batch.

    Args:
        folder: The batch's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file, self._index = folder / HELD, folder / HELD_INDEX
        self._is_there = self._file.exists() and self._index.exists()

    def of(self, numbers: Sequence[int]) -> dict[int, HeldPicture]:
        """Those of some rows of the batch for which a server can be asked, by number."""
        if not self._is_there:
            return {}
        try:
            table = read_small_table(self._index, _INDEX_SCHEMA.names)
        except (RunFolderError, FileNotFoundError):
            return {}
        wanted = table.filter(pc.is_in(table.column("row"), pa.array(numbers, ROW.type)))
        held = {}
        for row in wanted.to_pylist():
            named = {"If-None-Match": row["etag"], "If-Modified-Since": row["last_modified"]}
            validators = {name: value for name, value in named.items() if value and _is_sendable(value)}
            if validators and row["final_url"]:
                held[row["row"]] = HeldPicture(row["offset"], row["position"], validators, row["final_url"])
        return held

    def record(self, picture: HeldPicture) -> ImageRecord | None:
        """What is stored of a picture that has not changed; None if the file is damaged."""
        try:
            schema = read_frame(self._file, 0)
            frame = read_frame(self._file, picture.offset)
            if schema is None or frame is None:
                return None
            batch = pa.ipc.read_record_batch(pa.py_buffer(frame), pa.ipc.read_schema(pa.py_buffer(schema)))
            values = batch.slice(picture.position, 1).to_pylist()[0]
        except (pa.ArrowException, OSError, IndexError):
            return None
        known: dict[str, Any] = {name: values[name] for name in _OF_PICTURE}
        for name in ("original_size", "resized_size"):
            known[name] = tuple(known[name])
        others = {name: value for name, value in values.items() if name not in known and isinstance(value, str)}
        return ImageRecord(**known, extra={**others, REUSED: NOT_MODIFIED})
