"""Moves rows of a finished batch from its images to its errors.

A kill at any point loses nothing: both tables are written before the marker is removed, and the errors take their place
first. Rows that are in both tables until then count as images, so that the move is made again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import ErrorKind, error_code
from ray_downloader.output.batch_folder import SUCCESS, BatchCounts, BatchFolder
from ray_downloader.output.parquet import picture_notes, write_parquet
from ray_downloader.output.stored_file import FileFacts
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.run_folder.markers import remove_marker, write_marker
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SERVER_NAME

_CHUNK_ROWS = 256


def move_to_errors(folder: Path, rows: Collection[int], kind: ErrorKind, message: str) -> None:
    """Make errors of images.

    Args:
        folder: A finished batch.
        rows: Their numbers in `successes.parquet`, from 0.
        kind: What they end as.
        message: Why, in words.
    """
    counts = BatchFolder(folder).counts()
    if counts is None:
        raise ValueError(f"{folder} is not finished")
    moved: list[pa.RecordBatch] = []
    with replacing(folder / SUCCESSES) as images, replacing(folder / ERRORS) as errors:
        with pq.ParquetFile(folder / SUCCESSES) as source:
            schema, notes = source.schema_arrow, picture_notes(source.metadata.metadata)
            write_parquet(images, schema.remove_metadata(), _others(source, frozenset(rows), moved), notes)
        own = [SERVER_NAME] if SERVER_NAME.name in schema.names else []
        made = [_errors_of(batch, kind, message, own) for batch in moved]
        write_parquet(errors, pa.schema([*ERROR_SCHEMA, *own]), chain(_existing(folder / ERRORS), made))
        counts = _recounted(counts, moved, str(kind))
        with pq.ParquetFile(images) as file:
            counts = replace(counts, checksums=_checksums(file))
            successes = file.metadata.num_rows
        failed = counts.by_kind.total() - successes
        files = {SUCCESSES: (FileFacts.of(images, successes),), ERRORS: (FileFacts.of(errors, failed),)}
        remove_marker(folder)
    write_marker(folder, replace(counts, files=files).to_json())


def _others(source: pq.ParquetFile, rows: frozenset[int], moved: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows that stay; those that do not are added to `moved`, without their pictures."""
    start = 0
    for batch in source.iter_batches(_CHUNK_ROWS):
        leaves = [start + index in rows for index in range(batch.num_rows)]
        start += batch.num_rows
        if any(leaves):
            left_out = [name for name in batch.schema.names if name != "image"]
            moved.append(batch.filter(pa.array(leaves)).select(left_out))
            batch = batch.filter(pa.array([not leaves_it for leaves_it in leaves]))  # noqa: PLW2901
        yield batch


def _existing(path: Path) -> Iterator[pa.RecordBatch]:
    if path.exists():
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(_CHUNK_ROWS)


def _errors_of(images: pa.RecordBatch, kind: ErrorKind, message: str, own: list[pa.Field]) -> pa.RecordBatch:
    stated = {"error_code": error_code(kind, None), "error_msg": message, "error_kind": str(kind)}
    columns = []
    for field in [*ERROR_SCHEMA, *own]:
        if field.name in stated:
            columns.append(pa.array([stated[field.name]] * images.num_rows, field.type))
        elif field.name in images.schema.names:
            columns.append(images.column(field.name).cast(field.type))
        else:
            columns.append(pa.nulls(images.num_rows, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema([*ERROR_SCHEMA, *own]))


def _recounted(counts: BatchCounts, moved: list[pa.RecordBatch], kind: str) -> BatchCounts:
    servers = {server: Counter(kinds) for server, kinds in counts.servers.items()}
    for batch in moved:
        named = SERVER_NAME.name in batch.schema.names
        names = batch.column(SERVER_NAME.name).to_pylist() if named else [next(iter(servers))] * batch.num_rows
        for name, rows in Counter(names).items():
            servers[name].update({SUCCESS: -rows, kind: rows})
    return replace(counts, servers={server: dict(sorted((+kinds).items())) for server, kinds in servers.items()})


def _checksums(images: pq.ParquetFile) -> dict[str, int]:
    """How many checksums are those of the list, as `BatchCounts.checksums` has it."""
    if "checksum_ok" not in images.schema_arrow.names:
        return {}
    column = images.read(["checksum_ok"]).column("checksum_ok")
    found = Counter("ok" if value else "wrong" for value in column.to_pylist() if value is not None)
    return dict(found)
