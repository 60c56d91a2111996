"""What a task has settled is on the disk soon, and is read again whole after any kind of end."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from ray_downloader.errors import RunFolderError
from ray_downloader.output import journal as journal_module
from ray_downloader.output.journal import ERROR_JOURNALS, SUCCESS_JOURNALS, Journal, Rows, read_journal
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SUCCESS_SCHEMA, URL_SCHEMA, ErrorRecord, ImageRecord
from tests.support.out_of_reach import no_more_files

pytestmark = pytest.mark.stage

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
IMAGE = ImageRecord("a" * 32, "b" * 32, (30, 40), (3, 4), b"pixels", "jpeg", "png", 0, "http://x/", None, None, NOW)
ERROR = ErrorRecord(2, 404, "not found", "http_4xx", 404, 1.5, NOW)


def inputs(rows: int, first: int = 0) -> pa.Table:
    numbers = range(first, first + rows)
    values = {
        "uuid": [f"uuid-{n}" for n in numbers],
        "source_id": [f"id-{n}" for n in numbers],
        "identifier": [f"http://x/{n}.jpg" for n in numbers],
        "server_name": ["x"] * rows,
        "is_license_full": [True] * rows,
        "license": ["CC0"] * rows,
    }
    nulls = {name: [None] * rows for name in URL_SCHEMA.names if name not in values}
    return pa.table({**values, **nulls}, schema=URL_SCHEMA)


def images(folder: Path) -> list[dict[str, object]]:
    (path,) = folder.glob(SUCCESS_JOURNALS)
    return [row for batch in read_journal(path) for row in batch.to_pylist()]


def errors(folder: Path) -> list[dict[str, object]]:
    (path,) = folder.glob(ERROR_JOURNALS)
    return [row for batch in read_journal(path) for row in batch.to_pylist()]


def test_a_settled_row_is_its_input_with_what_the_download_adds_and_its_number(tmp_path: Path) -> None:
    table = inputs(3)
    with Journal(tmp_path, "one") as written:
        written.add_image(Rows(table, [1], [11]), IMAGE)
        written.add_error(Rows(table, [2], [12]), ERROR)
    (image,), (error,) = images(tmp_path), errors(tmp_path)
    assert image == {
        "row": 11, "uuid": "uuid-1", "source_id": "id-1", "identifier": "http://x/1.jpg", "is_license_full": True,
        "license": "CC0", "source": None, "title": None, "hashsum_original": "a" * 32, "hashsum_resized": "b" * 32,
        "original_size": [30, 40], "resized_size": [3, 4], "image": b"pixels", "image_format": "jpeg",
        "original_format": "png", "retry_count": 0, "final_url": "http://x/", "etag": None, "last_modified": None,
        "fetched_at": NOW,
    } | {name: image[name] for name in SUCCESS_SCHEMA.names[19:]}  # fmt: skip
    assert error == {
        "row": 12, "uuid": "uuid-2", "identifier": "http://x/2.jpg", "retry_count": 2, "error_code": 404,
        "error_msg": "not found", "source_id": "id-2", "error_kind": "http_4xx", "http_status": 404,
        "retry_after_s": 1.5, "fetched_at": NOW,
    }  # fmt: skip


def test_a_journal_begins_with_the_row_number_and_has_the_columns_of_its_table(tmp_path: Path) -> None:
    with Journal(tmp_path, "one", ["exif"]) as written:
        written.add_image(Rows(inputs(1), [0], [0]), replace(IMAGE, extra={"exif": "{}"}))
        written.add_error(Rows(inputs(1), [0], [0]), ERROR)
    (image_journal,), (error_journal,) = tmp_path.glob(SUCCESS_JOURNALS), tmp_path.glob(ERROR_JOURNALS)
    assert (image_journal.name, error_journal.name) == ("successes-one.arrows", "errors-one.arrows")
    (batch,) = read_journal(image_journal)
    assert batch.schema.names == ["row", *SUCCESS_SCHEMA.names, "exif"]
    assert batch.schema.field("row") == pa.field("row", pa.int32(), nullable=False)
    assert batch.to_pylist()[0]["exif"] == "{}"
    (batch,) = read_journal(error_journal)
    assert batch.schema.names == ["row", *ERROR_SCHEMA.names]


def test_an_optional_column_that_a_picture_lacks_is_null(tmp_path: Path) -> None:
    with Journal(tmp_path, "one", ["exif", "phash"]) as written:
        for number, extra in enumerate(({"exif": "a"}, {}, {"phash": "b"})):
            written.add_image(Rows(inputs(3), [number], [number]), replace(IMAGE, extra=extra))
    assert [(row["exif"], row["phash"]) for row in images(tmp_path)] == [("a", None), (None, None), (None, "b")]


def test_rows_of_several_tables_keep_their_own_columns_and_order(tmp_path: Path) -> None:
    first, second = inputs(3), inputs(3, first=100)
    with Journal(tmp_path, "one") as written:
        for table, place, number in ((first, 2, 0), (second, 1, 1), (second, 0, 2), (first, 0, 3), (first, 1, 4)):
            written.add_image(Rows(table, [place], [number]), IMAGE)
    assert [(row["row"], row["uuid"]) for row in images(tmp_path)] == [
        (0, "uuid-2"), (1, "uuid-101"), (2, "uuid-100"), (3, "uuid-0"), (4, "uuid-1"),
    ]  # fmt: skip


def test_rows_of_many_tables_that_are_chunked_are_found_by_their_place(tmp_path: Path) -> None:
    chunked = pa.concat_tables([inputs(2), inputs(2, first=2), inputs(2, first=4)])
    assert chunked.column("uuid").num_chunks == 3
    with Journal(tmp_path, "one") as written:
        written.add_error(Rows(chunked, [5, 0, 3], [5, 0, 3]), ERROR)
    assert [(row["row"], row["uuid"]) for row in errors(tmp_path)] == [(5, "uuid-5"), (0, "uuid-0"), (3, "uuid-3")]


def test_rows_that_one_request_settled_are_all_there_or_none_is(tmp_path: Path) -> None:
    table = inputs(450)
    written = Journal(tmp_path, "one")
    written.add_image(Rows(table, range(450), range(450)), IMAGE)
    (path,) = tmp_path.glob(SUCCESS_JOURNALS)
    assert [batch.num_rows for batch in read_journal(path)] == [450]
    written.close()


def in_file(folder: Path, pattern: str = SUCCESS_JOURNALS) -> int:
    """Rows that a reader finds while the writer goes on."""
    return sum(batch.num_rows for path in folder.glob(pattern) for batch in read_journal(path))


def test_thirty_two_rows_are_written_by_themselves_and_not_one_sooner(tmp_path: Path) -> None:
    table = inputs(65)
    written = Journal(tmp_path, "one")
    seen = []
    for row in range(65):
        written.add_error(Rows(table, [row], [row]), ERROR)
        seen.append(in_file(tmp_path, ERROR_JOURNALS))
    assert (seen[30], seen[31], seen[62], seen[63], seen[64]) == (0, 32, 32, 64, 64)
    written.close()
    assert in_file(tmp_path, ERROR_JOURNALS) == 65


def test_two_megabytes_of_pictures_are_written_by_themselves_and_not_a_byte_sooner(tmp_path: Path) -> None:
    table = inputs(9)
    written = Journal(tmp_path, "one")
    half = replace(IMAGE, image=bytes(1024 * 1024))
    almost = replace(IMAGE, image=bytes(1024 * 1024 - 1))
    sizes = []
    for row, image in enumerate((half, almost, replace(IMAGE, image=b"x"), half, half)):
        written.add_image(Rows(table, [row], [row]), image)
        sizes.append(in_file(tmp_path))
    assert sizes == [0, 0, 3, 3, 5]
    written.add_image(Rows(table, [6, 7], [6, 7]), half)
    assert in_file(tmp_path) == 7, "a picture counts once for each row it settles"
    written.close()


def test_flush_hands_over_images_and_errors(tmp_path: Path) -> None:
    written = Journal(tmp_path, "one")
    written.add_image(Rows(inputs(1), [0], [0]), IMAGE)
    written.add_error(Rows(inputs(1), [0], [1]), ERROR)
    assert (in_file(tmp_path), in_file(tmp_path, ERROR_JOURNALS)) == (0, 0)
    written.flush()
    assert (in_file(tmp_path), in_file(tmp_path, ERROR_JOURNALS)) == (1, 1)
    written.flush()
    assert (in_file(tmp_path), in_file(tmp_path, ERROR_JOURNALS)) == (1, 1)
    written.close()


def test_without_a_row_nothing_is_made_and_close_may_come_twice(tmp_path: Path) -> None:
    folder = tmp_path / "server_name=x" / "partition_id=0"
    with Journal(folder, "none"):
        pass
    assert not folder.exists()
    with Journal(folder, "one") as written:
        written.add_error(Rows(inputs(1), [0], [0]), ERROR)
    written.close()
    assert [path.name for path in folder.iterdir()] == ["errors-one.arrows"]


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    with Journal(tmp_path, "one") as written:
        written.add_image(Rows(inputs(2), [0, 1], [0, 1]), IMAGE)
    (path,) = tmp_path.glob(SUCCESS_JOURNALS)
    (batch,) = read_journal(path, ["row", "uuid"])
    assert batch.to_pydict() == {"row": [0, 1], "uuid": ["uuid-0", "uuid-1"]}


@pytest.mark.parametrize("columns", [None, ["row"]])
def test_a_torn_end_ends_the_reading_wherever_it_is(tmp_path: Path, columns: list[str] | None) -> None:
    written = Journal(tmp_path, "one")
    written.add_image(Rows(inputs(1), [0], [0]), IMAGE)
    written.flush()
    (path,) = tmp_path.glob(SUCCESS_JOURNALS)
    first = path.stat().st_size
    written.add_image(Rows(inputs(1), [0], [1]), IMAGE)
    written.close()
    whole = path.read_bytes()
    for size in (0, 3, 100, first - 1, first, first + 3, first + 200, len(whole)):
        path.write_bytes(whole[:size])
        rows = [row for batch in read_journal(path, columns) for row in batch.column("row").to_pylist()]
        assert rows == [0, 1][: (size >= first) + (size == len(whole))], size


def test_a_journal_of_an_earlier_version_is_read_to_its_last_whole_record_batch(tmp_path: Path) -> None:
    with Journal(tmp_path, "one") as written:
        for row in range(64):
            written.add_error(Rows(inputs(64), [row], [row]), ERROR)
    (path,) = tmp_path.glob(ERROR_JOURNALS)
    batches = list(read_journal(path))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batches[0].schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    assert in_file(tmp_path, ERROR_JOURNALS) == 64
    path.write_bytes(path.read_bytes()[:-100])
    assert in_file(tmp_path, ERROR_JOURNALS) == 32


def some_journal(folder: Path) -> tuple[Path, bytes, list[dict[str, object]]]:
    """A journal of images in five record batches."""
    table = inputs(10)
    with Journal(folder, "one") as written:
        for row in range(10):
            written.add_image(Rows(table, [row], [row]), replace(IMAGE, image=bytes([row]) * 40))
            if row % 2:
                written.flush()
    (path,) = folder.glob(SUCCESS_JOURNALS)
    return path, path.read_bytes(), images(folder)


@pytest.mark.parametrize("damage", ["flip", "zero", "cut_out", "doubled"])
def test_what_is_read_of_a_damaged_journal_is_the_beginning_of_what_was_written(tmp_path: Path, damage: str) -> None:
    """All along the file: no changed row, no error, and no crash of the process."""
    path, whole, rows = some_journal(tmp_path)
    assert len(rows) == 10
    lengths: set[int] = set()
    for place in range(0, len(whole), 3 if damage == "flip" else 17):
        head, byte, tail = whole[:place], whole[place : place + 1], whole[place + 1 :]
        damaged = {
            "flip": head + bytes([byte[0] ^ (1 << place % 8)]) + tail,
            "zero": head + bytes(min(512, len(whole) - place)) + whole[place + 512 :],
            "cut_out": head + tail,
            "doubled": head + byte + byte + tail,
        }[damage]
        path.write_bytes(damaged)
        found = images(tmp_path)
        assert found == rows[: len(found)], place
        lengths.add(len(found))
    assert lengths - {10} == {0, 2, 4, 6, 8}, "10 where zeros were set to zero, or something was added at the end"
    assert damage != "flip" or 10 not in lengths


def test_noise_is_no_journal(tmp_path: Path) -> None:
    path, whole, _ = some_journal(tmp_path)
    for seed in range(200):
        noise = random.Random(seed)
        start = noise.randrange(len(whole))
        path.write_bytes(whole[:start] + noise.randbytes(noise.randrange(2_000)))
        assert len(images(tmp_path)) in {0, 2, 4, 6, 8}


def test_a_large_picture_is_not_copied_and_its_rows_are_written_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = replace(IMAGE, image=bytes(range(256)) * 40_000)
    table = inputs(4)
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    with monkeypatch.context() as patched, Journal(tmp_path, "one") as written:
        written.add_image(Rows(table, [0], [0]), IMAGE)
        patched.setattr(journal_module, "_LARGE_BYTES", 2**20)
        before = pa.default_memory_pool()
        pa.set_memory_pool(pool)
        written.add_image(Rows(table, [1, 2], [1, 2]), large, [True, False])
        pa.set_memory_pool(before)
        assert (pool.max_memory() or 0) < 2**20
        written.add_image(Rows(table, [3], [3]), IMAGE)
    (path,) = tmp_path.glob(SUCCESS_JOURNALS)
    batches = list(read_journal(path))
    assert [batch.column("row").to_pylist() for batch in batches] == [[0], [1], [2], [3]]
    found = [row for batch in batches for row in batch.to_pylist()]
    assert [row["image"] == large.image for row in found] == [False, True, True, False]
    assert [row["checksum_ok"] for row in found] == [None, True, False, None]
    assert [row["uuid"] for row in found] == [f"uuid-{n}" for n in range(4)]


@pytest.mark.parametrize("numbers", [[0, 1], [0, 1, 2]])
def test_rows_that_are_large_together_are_written_one_by_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: list[int]
) -> None:
    monkeypatch.setattr(journal_module, "_LARGE_BYTES", 2**20)
    with Journal(tmp_path, "one") as written:
        written.add_image(Rows(inputs(3), numbers, numbers), replace(IMAGE, image=bytes(2**19)))
        (path,) = tmp_path.glob(SUCCESS_JOURNALS)
        assert [batch.column("row").to_pylist() for batch in read_journal(path)] == [[number] for number in numbers]


def test_a_closed_journal_holds_no_file_open(tmp_path: Path) -> None:
    def held_open() -> int:
        return sum(Path(file.path).is_relative_to(tmp_path) for file in psutil.Process().open_files())

    with Journal(tmp_path, "one") as written:
        written.add_image(Rows(inputs(1), [0], [0]), IMAGE)
        written.add_error(Rows(inputs(1), [0], [1]), ERROR)
        written.flush()
        assert held_open() == 2
    assert held_open() == 0


def test_a_journal_out_of_reach_is_not_taken_for_one_without_rows(tmp_path: Path) -> None:
    path, _, _ = some_journal(tmp_path)
    with no_more_files(), pytest.raises(RunFolderError, match="too many files are open"):
        list(read_journal(path))


@pytest.mark.parametrize(("number", "is_damage"), [(errno.EIO, True), (errno.ESTALE, False)])
def test_a_stream_of_an_earlier_version_ends_at_a_bad_block_but_not_with_its_file_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_damage: bool
) -> None:
    path = tmp_path / "stream"
    batch = pa.record_batch({"row": [1, 2]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batch.schema) as stream:
        stream.write_batch(batch)
    assert [found.to_pydict() for found in read_journal(path)] == [{"row": [1, 2]}]

    def failing(_: object) -> Iterator[pa.RecordBatch]:
        yield batch
        raise OSError(number, "no longer")

    monkeypatch.setattr(pa.ipc, "open_stream", failing)
    batches = read_journal(path)
    assert next(batches) == batch
    with nullcontext() if is_damage else pytest.raises(RunFolderError):
        assert next(batches, None) is None
