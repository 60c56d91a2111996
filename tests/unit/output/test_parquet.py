"""The one parquet writer: sizes of row groups, what is compressed, and what readers of a part of a file rely on."""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_downloader.output import parquet
from ray_downloader.output.parquet import (
    JOINED_BATCHES,
    MAX_GROUP_BYTES,
    MAX_GROUP_ROWS,
    MIN_GROUP_ROWS,
    SMALL_BATCH_BYTES,
    picture_notes,
    row_groups,
    with_notes,
    write_parquet,
)

SCHEMA = pa.schema(
    [
        ("uuid", pa.string()),
        ("size", pa.list_(pa.uint32())),
        ("image", pa.binary()),
        ("image_format", pa.string()),
        ("at", pa.timestamp("ms", tz="UTC")),
    ]
)


def rows(start: int, count: int, image_bytes: int = 10, image_format: str | None = "jpeg") -> pa.RecordBatch:
    names = [f"uuid-{row:06d}" for row in range(start, start + count)]
    columns = [names, [[3, 4]] * count, [b"x" * image_bytes] * count, [image_format] * count, [0] * count]
    return pa.record_batch(columns, schema=SCHEMA)


def batches_of(counts: list[int], image_bytes: int = 10) -> list[pa.RecordBatch]:
    starts = [sum(counts[:index]) for index in range(len(counts))]
    return [rows(start, count, image_bytes) for start, count in zip(starts, counts, strict=True)]


def group_rows(path: Path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 2_500), min_size=1, max_size=12))
def test_groups_hold_100_to_1000_rows_in_order_however_the_rows_come(counts: list[int]) -> None:
    groups = list(row_groups(batches_of(counts)))
    total = sum(counts)
    assert [name for group in groups for name in group["uuid"].to_pylist()] == [
        f"uuid-{row:06d}" for row in range(total)
    ]
    sizes = [group.num_rows for group in groups]
    assert max(sizes) <= 1_000
    assert min(sizes) >= min(100, total)


def test_a_filter_tells_which_row_group_may_have_a_uuid(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_parquet(path, SCHEMA, batches_of([3_000]))
    if "bloom_filter_options" not in inspect.signature(pq.ParquetWriter).parameters:
        pytest.skip("this pyarrow writes no bloom filters")
    probe = "SELECT list(bloom_filter_excludes ORDER BY row_group_id) FROM parquet_bloom_probe(?, 'uuid', ?)"
    assert duckdb.execute(probe, [str(path), "uuid-001500"]).fetchall() == [([True, False, True],)]


def test_pages_of_the_same_pictures_are_the_same_wherever_they_stand(tmp_path: Path) -> None:
    """A store that keeps equal chunks once has most of a file already when rows were added at its start."""
    pictures = [random.Random(row).randbytes(20_000) for row in range(300)]
    starts = []
    for first in (0, 1):
        table = pa.table({"uuid": [f"{row}" for row in range(first, 300)], "image": pictures[first:]})
        write_parquet(tmp_path / f"{first}.parquet", table.schema, table.to_batches())
        starts.append(first_of_pages((tmp_path / f"{first}.parquet").read_bytes(), pictures))
    if "use_content_defined_chunking" not in inspect.signature(pq.ParquetWriter).parameters:
        pytest.skip("this pyarrow does not choose where pages end")
    assert len(starts[0]) > 3
    assert len(set(starts[0]) & set(starts[1])) > 0.8 * len(starts[0])


def first_of_pages(file: bytes, pictures: list[bytes]) -> list[str]:
    """The pictures that begin a page, each as the hash of its first bytes: only page headers stand between them."""
    starts = [file.find(picture[:64]) for picture in pictures]
    ends = [start + len(picture) for start, picture in zip(starts, pictures, strict=True)]
    return [
        picture[:8].hex()
        for start, end, picture in zip(starts[1:], ends[:-1], pictures[1:], strict=True)
        if start - end > 4  # more than the length that precedes each value
    ]


@pytest.mark.parametrize("counts", [[7] * 200, [1_400], [1_099], [1_000], [1_001, 1]])
def test_a_file_has_those_row_groups(tmp_path: Path, counts: list[int]) -> None:
    write_parquet(tmp_path / "x.parquet", SCHEMA, batches_of(counts))
    sizes = group_rows(tmp_path / "x.parquet")
    assert sum(sizes) == sum(counts)
    assert all(100 <= size <= 1_000 for size in sizes)


def test_a_group_of_big_pictures_is_as_long_as_memory_allows(tmp_path: Path) -> None:
    # 32 MiB hold 83 of 400 kB.
    write_parquet(tmp_path / "x.parquet", SCHEMA, batches_of([10] * 20, image_bytes=400_000))
    assert group_rows(tmp_path / "x.parquet") == [80, 80, 40]
    one = list(row_groups([rows(0, 300, image_bytes=400_000)]))
    assert sum(group.num_rows for group in one) == 300
    assert max(group.nbytes for group in one) <= MAX_GROUP_BYTES


def columns_of(path: Path) -> dict[str, pq.ColumnChunkMetaData]:
    group = pq.read_metadata(path).row_group(0)
    return {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}


@pytest.mark.parametrize(
    ("image_format", "codec"), [("jpeg", "UNCOMPRESSED"), ("webp", "UNCOMPRESSED"), ("raw", "ZSTD"), (None, "ZSTD")]
)
def test_only_raw_pixels_are_compressed_once_more(tmp_path: Path, image_format: str | None, codec: str) -> None:
    write_parquet(tmp_path / "x.parquet", SCHEMA, [rows(0, 3, image_format=image_format)])
    columns = columns_of(tmp_path / "x.parquet")
    assert columns["image"].compression == codec
    assert {column.compression for name, column in columns.items() if name != "image"} == {"ZSTD"}


def test_every_column_has_a_page_index_and_pictures_have_no_statistics(tmp_path: Path) -> None:
    write_parquet(tmp_path / "x.parquet", SCHEMA, [rows(0, 3)])
    columns = columns_of(tmp_path / "x.parquet")
    assert all(column.has_offset_index for column in columns.values())
    assert columns["uuid"].statistics.max == "uuid-000002"
    assert not columns["image"].is_stats_set, "the first and last picture of each page would be in the footer"


def test_hugging_face_is_told_the_type_of_each_column(tmp_path: Path) -> None:
    write_parquet(tmp_path / "x.parquet", SCHEMA, [rows(0, 3)])
    assert json.loads(pq.read_schema(tmp_path / "x.parquet").metadata[b"huggingface"])["info"]["features"] == {
        "uuid": {"dtype": "string", "_type": "Value"},
        "size": {"feature": {"dtype": "uint32", "_type": "Value"}, "_type": "Sequence"},
        "image": {"_type": "Image"},
        "image_format": {"dtype": "string", "_type": "Value"},
        "at": {"dtype": "timestamp[ms, tz=UTC]", "_type": "Value"},
    }


def test_raw_pixels_are_no_image_to_hugging_face(tmp_path: Path) -> None:
    write_parquet(tmp_path / "x.parquet", SCHEMA, [rows(0, 3, image_format="raw")])
    features = json.loads(pq.read_schema(tmp_path / "x.parquet").metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"dtype": "binary", "_type": "Value"}


def test_metadata_of_the_file_that_was_read_is_replaced(tmp_path: Path) -> None:
    stale = SCHEMA.with_metadata({"huggingface": "{}", "pandas": "{}"})
    write_parquet(tmp_path / "x.parquet", stale, [rows(0, 3).cast(stale)])
    metadata = pq.read_schema(tmp_path / "x.parquet").metadata
    assert set(metadata) == {b"huggingface"}
    assert metadata[b"huggingface"] != b"{}"


def test_columns_that_a_batch_lacks_are_null_and_the_order_is_the_schemas(tmp_path: Path) -> None:
    fewer = rows(0, 2).select(["image", "uuid"])
    write_parquet(tmp_path / "x.parquet", SCHEMA, [fewer])
    assert pq.read_schema(tmp_path / "x.parquet").equals(SCHEMA)
    assert pq.read_table(tmp_path / "x.parquet").to_pylist()[1] == {
        "uuid": "uuid-000001", "size": None, "image": b"x" * 10, "image_format": None, "at": None,
    }  # fmt: skip


def test_a_file_without_rows_has_the_schema(tmp_path: Path) -> None:
    write_parquet(tmp_path / "x.parquet", SCHEMA, [])
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 0
    assert pq.read_schema(tmp_path / "x.parquet").equals(SCHEMA)


def test_a_table_without_pictures_has_no_metadata(tmp_path: Path) -> None:
    plain = pa.record_batch([["a"]], names=["uuid"])
    write_parquet(tmp_path / "x.parquet", plain.schema, [plain])
    assert pq.read_schema(tmp_path / "x.parquet").metadata is None


def test_words_are_kept_in_dictionaries_and_numbers_and_pictures_are_not(tmp_path: Path) -> None:
    write_parquet(tmp_path / "x.parquet", SCHEMA, [rows(0, 3)])
    columns = columns_of(tmp_path / "x.parquet")
    assert {name for name, column in columns.items() if any("DICT" in kind for kind in column.encodings)} == {
        "uuid", "image_format",
    }  # fmt: skip
    assert {name for name, column in columns.items() if column.is_stats_set} == set(columns) - {"image"}


def test_groups_are_bounded_by_what_a_worker_can_hold() -> None:
    assert (MIN_GROUP_ROWS, MAX_GROUP_ROWS, MAX_GROUP_BYTES) == (100, 1_000, 33_554_432)


def test_leaves_of_nested_pictures_are_treated_as_their_column(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("boxes", pa.list_(pa.struct([("name", pa.string()), ("at", pa.list_(pa.int32()))]))),
        ]
    )
    row = {"image": {"bytes": b"x", "path": "a.jpg"}, "boxes": [{"name": "n", "at": [1, 2]}]}
    write_parquet(tmp_path / "x.parquet", schema, [pa.RecordBatch.from_pylist([row] * 3, schema=schema)])
    columns = columns_of(tmp_path / "x.parquet")
    assert {name: one.compression for name, one in columns.items()} == {
        "image.bytes": "UNCOMPRESSED", "image.path": "UNCOMPRESSED",
        "boxes.list.element.name": "ZSTD", "boxes.list.element.at.list.element": "ZSTD",
    }  # fmt: skip
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == [row] * 3


@pytest.mark.parametrize("counts", [[1000], [1099], [1100], [1101], [100, 1000], [2100], [999, 1], [1, 999, 100, 1]])
def test_groups_at_the_edges_of_their_length(counts: list[int]) -> None:
    groups = list(row_groups(batches_of(counts)))
    names = [name for group in groups for name in group.column("uuid").to_pylist()]
    assert names == [f"uuid-{row:06d}" for row in range(sum(counts))]
    assert all(100 <= group.num_rows <= 1_000 for group in groups)


def test_a_picture_as_large_as_a_group_is_written_before_the_next_is_read() -> None:
    """Of several such pictures only one is held."""
    read: list[int] = []

    def pictures() -> Iterator[pa.RecordBatch]:
        for number in range(3):
            read.append(number)
            yield rows(number, 1, image_bytes=MAX_GROUP_BYTES)

    for number, group in enumerate(row_groups(pictures())):
        assert (group.num_rows, read) == (1, list(range(number + 1)))


def test_small_rows_before_and_after_a_large_one_are_groups_of_their_own() -> None:
    batches = [rows(0, 5), rows(5, 1, image_bytes=MAX_GROUP_BYTES), rows(6, 5)]
    assert [group.num_rows for group in row_groups(batches)] == [5, 1, 5]


def test_rows_that_come_one_by_one_are_put_together_before_they_fill_memory() -> None:
    """A record batch takes 30 kB beside its row: 1,000 of them took 30 MB, which the allocator kept for each thread."""
    (group,) = row_groups(batches_of([1] * 1_000))
    assert group.column("uuid").num_chunks == -(-1_000 // JOINED_BATCHES)
    assert group.column("uuid").to_pylist() == [f"uuid-{row:06d}" for row in range(1_000)]


def test_large_pictures_are_not_copied_to_put_them_together() -> None:
    batches = batches_of([1, 1, 1, 1, 1], image_bytes=SMALL_BATCH_BYTES)
    batches[1:1] = batches_of([2])
    (group,) = row_groups(batches)
    images = [batch.column("image") for batch in batches]
    assert [image.buffers()[2].address for image in group.column("image").chunks] == [
        image.buffers()[2].address for image in images
    ]


def test_notes_about_pictures_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert picture_notes(None) == picture_notes({}) == []
    schema = with_notes(pa.schema([("a", pa.int64())], metadata={"mine": "x"}), ["one", "two"])
    assert picture_notes(schema.metadata) == ["one", "two"]
    assert schema.metadata[b"mine"] == b"x"
    for notes in ([], ["one"]):
        write_parquet(tmp_path / "x.parquet", SCHEMA, [rows(0, 1)], notes)
        metadata = pq.read_metadata(tmp_path / "x.parquet").metadata
        assert picture_notes(metadata) == notes
        assert (b"ray_downloader.pictures" in metadata) is bool(notes)


def test_a_group_that_is_full_to_the_byte_is_one_whatever_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (rows(number, 1, image_bytes) for number, image_bytes in enumerate((100, 1000, 50)))
    monkeypatch.setattr(parquet, "MAX_GROUP_BYTES", second.nbytes + third.nbytes)
    monkeypatch.setattr(parquet, "SMALL_BATCH_BYTES", 0)
    lengths = [table.num_rows for table in row_groups([first, second, third, second, third])]
    assert lengths == [1, 2, 2], "the first and the second together would be too large"
