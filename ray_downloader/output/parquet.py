"""The parquet writer of batches and tools: tables that may hold pictures, written for those who read a part of them.

Row groups of 100 to 1,000 rows (fewer if pictures are so big that a group would not fit a worker's memory), a page
index and a bloom filter on `uuid` let a reader fetch one picture without all others. Pages end where the content says
so: stores that keep equal pieces once, such as the Hugging Face hub, find those of an earlier version again. Pictures
that are encoded are not compressed again.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.output.features import features_metadata
from ray_downloader.run_folder.schemas import RAW

MIN_GROUP_ROWS, MAX_GROUP_ROWS = 100, 1_000
#: A group is held in memory until it is written, next to a batch's other rows and within `cluster.worker_memory_mb`.
MAX_GROUP_BYTES = 32 * 2**20

#: A record batch takes 30 kB beside its rows while it is written (measured with the 24 columns of a batch), and the
#: journals of a slow server have one for each row. Those that are smaller than this are put together, so many at most.
SMALL_BATCH_BYTES = 64 * 2**10
JOINED_BATCHES = 64

#: The column with the pictures, as bytes or as a struct of `bytes` and `path`.
PICTURES = "image"
#: Key of the file's metadata under which the settings of its pictures are: a list, as they may have changed.
_NOTES = "ray_downloader.pictures"
#: The column by which single rows are looked up.
KEY = "uuid"
#: One row group in a hundred is read in vain; a filter then takes 1.2 bytes a row.
_BLOOM_FPP = 0.01
#: Options of the installed pyarrow: older ones know neither bloom filters nor content-defined chunks.
_SUPPORTED = inspect.signature(pq.ParquetWriter).parameters.keys()
#: zstd's cheapest level; text shrinks to a third, and higher levels cost more time than the disk saves.
_LEVEL = 1


def write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], notes: Iterable[str] = ()) -> None:
    """Write record batches as one file. The caller gives a temporary path and renames it.

    Args:
        path: Where to write.
        schema: The columns of the file. Those that a batch lacks, because an earlier run did not make them, are null.
        batches: In order; small ones are put together and large ones cut.
        notes: What is noted about the pictures (`picture_notes`); read when all batches are written.
    """
    groups = row_groups(_shaped(batch, schema) for batch in batches)
    first = next(groups, None)
    is_encoded = first is None or _is_encoded(first)
    columns = {leaf: column for column in schema for leaf in _leaves(column.name, column.type)}
    compressed = [leaf for leaf, column in columns.items() if not (is_encoded and column.name == PICTURES)]
    with pq.ParquetWriter(
        path,
        _described(schema, is_encoded),
        compression={leaf: "zstd" if leaf in compressed else "none" for leaf in columns},
        compression_level=dict.fromkeys(compressed, _LEVEL),
        use_dictionary=[leaf for leaf, column in columns.items() if column.type == pa.string()],
        write_statistics=[leaf for leaf, column in columns.items() if column.name != PICTURES],
        write_page_index=True,
        write_page_checksum=True,
        **_newer_options(schema),
    ) as writer:
        for group in chain([] if first is None else [first], groups):
            writer.write_table(group.cast(writer.schema), row_group_size=MAX_GROUP_ROWS)
        if known := list(notes):
            writer.add_key_value_metadata({_NOTES: json.dumps(known)})


def picture_notes(metadata: Mapping[bytes, bytes] | None) -> list[str]:
    """What is noted in a file's or schema's metadata about its pictures: the settings of each kind of them."""
    text = (metadata or {}).get(_NOTES.encode())
    return [str(note) for note in json.loads(text)] if text else []


def with_notes(schema: pa.Schema, notes: Iterable[str]) -> pa.Schema:
    """The schema with notes about its pictures."""
    return schema.with_metadata({**(schema.metadata or {}), _NOTES: json.dumps(list(notes))})


def _newer_options(schema: pa.Schema) -> dict[str, Any]:
    options: dict[str, Any] = {"use_content_defined_chunking": True}
    if KEY in schema.names:
        options["bloom_filter_options"] = {KEY: {"ndv": MAX_GROUP_ROWS, "fpp": _BLOOM_FPP}}
    return {name: value for name, value in options.items() if name in _SUPPORTED}


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in the same order, as tables of a row group each.

    Each has `MIN_GROUP_ROWS` to `MAX_GROUP_ROWS` rows, unless there are fewer in all, or fewer fill `MAX_GROUP_BYTES`.
    """
    held: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for piece in chain.from_iterable(map(_pieces, _joined(batches))):
        if held and size_bytes + piece.nbytes > MAX_GROUP_BYTES:
            yield from _cut(held, rows)
            held, rows, size_bytes = [], 0, 0
        held.append(piece)
        rows += piece.num_rows
        size_bytes += piece.nbytes
        if size_bytes >= MAX_GROUP_BYTES:  # a large picture: it is written before the next one is read
            del piece
            yield from _cut(held, rows)
            held, rows, size_bytes = [], 0, 0
        if rows >= MAX_GROUP_ROWS + MIN_GROUP_ROWS:  # so that what is left is a group, too, if nothing follows
            table = pa.Table.from_batches(held)
            yield table.slice(0, MAX_GROUP_ROWS)
            rest = table.slice(MAX_GROUP_ROWS)
            held, rows, size_bytes = rest.to_batches(), rest.num_rows, rest.nbytes
    yield from _cut(held, rows)


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in the same order, with small neighbours put together; large pictures are not copied."""
    small: list[pa.RecordBatch] = []
    for batch in batches:
        is_small = batch.nbytes < SMALL_BATCH_BYTES
        if small and (not is_small or len(small) == JOINED_BATCHES):
            yield from pa.Table.from_batches(small).combine_chunks().to_batches()
            small = []
        if is_small:
            small.append(batch)
        else:
            yield batch
            del batch  # it is written before the next one is read
    if small:
        yield from pa.Table.from_batches(small).combine_chunks().to_batches()


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch, in parts of which none is more than a row group."""
    parts = max(-(-batch.num_rows // MAX_GROUP_ROWS), -(-batch.nbytes // MAX_GROUP_BYTES))
    rows = -(-batch.num_rows // max(1, parts))
    return (batch.slice(start, rows) for start in range(0, batch.num_rows, max(1, rows)))


def _cut(held: list[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """One row group, or two of equal size if one would be too long."""
    if not held:
        return
    table = pa.Table.from_batches(held)
    length = rows if rows <= MAX_GROUP_ROWS else -(-rows // 2)
    for start in range(0, rows, length):
        yield table.slice(start, length)


def _shaped(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    present = set(batch.schema.names)
    arrays = [
        batch.column(field.name).cast(field.type) if field.name in present else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.record_batch(arrays, schema=schema.remove_metadata())


def _is_encoded(rows: pa.Table) -> bool:
    """Whether it holds pictures that do not compress any further, as raw pixels do."""
    if PICTURES not in rows.schema.names:
        return False
    has_names: bool = pa.types.is_struct(rows.schema.field(PICTURES).type)  # of files, so they are encoded
    if "image_format" not in rows.schema.names:  # the legacy project's files, which are raw
        return has_names
    return not {RAW, None} & set(rows.column("image_format").to_pylist())


def _described(schema: pa.Schema, is_encoded: bool) -> pa.Schema:
    """The schema, with the metadata that `datasets` needs if there are pictures."""
    plain = schema.remove_metadata()
    if PICTURES not in schema.names:
        return plain
    return plain.with_metadata(features_metadata(plain, PICTURES if is_encoded else None))


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    """Paths of the columns that parquet makes of one of Arrow's."""
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path
