"""Pictures of earlier runs are copied as they are linked; what is not there any more is said, and left to fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.output.journal import read_journal
from ray_downloader.output.parquet import picture_notes, write_parquet
from ray_downloader.output.reused import HeldPicture, HeldPictures, Taken, Taking, take
from ray_downloader.run_folder.schemas import success_schema
from tests.support.earlier_run import FETCHED_AT, image_of

NOTE = '{"image_size": 224}'


def url(number: int) -> str:
    return f"http://a.example/{number}.jpg"


def earlier(path: Path, numbers: list[int], **changed: Any) -> Path:
    """A table of an earlier run."""
    rows = []
    for number in numbers:
        image = image_of(url(number))
        values = {name: getattr(image, name) for name in image.__slots__ if name != "extra"}
        rows.append(
            {
                "uuid": f"old{number}", "source_id": str(number), "identifier": url(number), "title": "old",
                "place": "there", "phash": f"p{number}", **values, **changed,
            }
        )  # fmt: skip
    schema = success_schema(["place"], ["phash"])
    write_parquet(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)], [NOTE])
    return path


def listed(numbers: list[int], **columns: list[Any]) -> pa.Table:
    """Rows of a batch."""
    rows = {
        "uuid": [f"new{number}" for number in numbers], "source_id": [str(number) for number in numbers],
        "identifier": [url(number) for number in numbers], "title": ["new"] * len(numbers),
        "keep.place": ["here"] * len(numbers), "checksum": pa.nulls(len(numbers), pa.string()), **columns,
    }  # fmt: skip
    return pa.table(rows)


def links(*found: tuple[int, int, int]) -> pa.Table:
    names = ("number", "file", "row")
    return pa.table({name: pa.array([one[place] for one in found], pa.int32()) for place, name in enumerate(names)})


def journal(folder: Path) -> list[dict[str, Any]]:
    return [row for batch in read_journal(folder / "successes-base.arrows") for row in batch.to_pylist()]


def test_a_row_has_its_old_picture_and_what_the_list_says_now(tmp_path: Path) -> None:
    table = earlier(tmp_path / "old.parquet", [5, 6, 7])
    inputs = listed([7, 9, 5], checksum=pa.array(["md5:x", None, None]))
    taking = Taking(links((0, 0, 2), (2, 0, 0)), [table], ["phash", "reused"], is_held=False)
    assert take(tmp_path, inputs, taking) == Taken(2)
    rows = journal(tmp_path)
    assert [(one["row"], one["uuid"], one["identifier"]) for one in rows] == [(2, "new5", url(5)), (0, "new7", url(7))]
    assert [(one["title"], one["place"], one["phash"], one["reused"]) for one in rows] == [
        ("new", "here", "p5", "linked"),
        ("new", "here", "p7", "linked"),
    ]
    assert [one["checksum_ok"] for one in rows] == [None, True]
    image = image_of(url(7))
    assert (rows[1]["image"], rows[1]["etag"], rows[1]["fetched_at"]) == (image.image, image.etag, FETCHED_AT)
    assert (rows[1]["original_size"], rows[1]["resized_size"]) == ([300, 400], [168, 224])
    (first, *_) = read_journal(tmp_path / "successes-base.arrows")
    assert picture_notes(first.schema.metadata) == [NOTE]
    assert first.schema.names[-4:] == ["checksum_ok", "place", "phash", "reused"]


def test_files_are_read_one_after_the_other_and_groups_as_they_are(tmp_path: Path) -> None:
    many = earlier(tmp_path / "many.parquet", list(range(1200)))
    assert pq.read_metadata(many).num_row_groups == 2
    few = earlier(tmp_path / "few.parquet", [2000])
    numbers = [0, 999, 1000, 1199, 2000]
    found = [(place, int(number < 2000), number % 2000) for place, number in enumerate(numbers)]
    taken = take(tmp_path, listed(numbers), Taking(links(*found), [few, many], [], is_held=False))
    assert taken == Taken(5)
    assert {one["row"]: one["identifier"] for one in journal(tmp_path)} == {
        place: url(number) for place, number in enumerate(numbers)
    }


def test_a_frame_has_128_rows_and_one_of_held_pictures_eight(tmp_path: Path) -> None:
    table = earlier(tmp_path / "old.parquet", list(range(300)))
    every = links(*((number, 0, number) for number in range(300)))
    inputs = listed(list(range(300)))
    assert take(tmp_path, inputs, Taking(every, [table], [], is_held=False)).rows == 300
    assert [batch.num_rows for batch in read_journal(tmp_path / "successes-base.arrows")] == [128, 128, 44]
    assert take(tmp_path, inputs, Taking(every, [table], [], is_held=True)).rows == 300
    index = pq.read_table(tmp_path / "_held.parquet").to_pylist()
    assert [one["position"] for one in index[:10]] == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert len({one["offset"] for one in index}) == 38


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"identifier": "http://a.example/other.jpg"}, "1 rows are not there any more"),
        ({"source_id": "other"}, "1 rows are not there any more"),
        ({"source_id": None}, "1 rows are not there any more"),
        ({"image": None}, "1 rows are not there any more"),
    ],
    ids=["identifier", "source_id", "no source_id", "no image"],
)
def test_a_row_that_is_another_than_was_linked_is_left_out(tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    table = earlier(tmp_path / "old.parquet", [1], **changed)
    taken = take(tmp_path, listed([1]), Taking(links((0, 0, 0)), [table], [], is_held=False))
    assert taken == Taken(0, (f"{table}: {what}",))
    assert journal(tmp_path) == []


def test_rows_without_a_source_id_are_the_same(tmp_path: Path) -> None:
    table = earlier(tmp_path / "old.parquet", [1], source_id=None)
    inputs = listed([1], source_id=pa.nulls(1, pa.string()))
    assert take(tmp_path, inputs, Taking(links((0, 0, 0)), [table], [], is_held=False)) == Taken(1)


def test_a_table_that_is_damaged_or_gone_costs_its_rows_only(tmp_path: Path) -> None:
    whole, gone, torn = earlier(tmp_path / "whole.parquet", [1]), tmp_path / "gone.parquet", tmp_path / "torn.parquet"
    torn.write_bytes(whole.read_bytes()[:-9])
    taking = Taking(links((0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 2, 1)), [whole, gone, torn], [], is_held=False)
    taken = take(tmp_path, listed([1, 2, 3, 4]), taking)
    assert taken.rows == 1
    assert [problem.partition(" cannot be read (")[0] for problem in taken.problems] == [
        f"{gone}: 1 pictures",
        f"{torn}: 2 pictures",
    ]
    assert all("\n" not in problem for problem in taken.problems)


def test_pages_that_are_damaged_cost_their_group(tmp_path: Path) -> None:
    table = earlier(tmp_path / "old.parquet", [1])
    content = bytearray(table.read_bytes())
    place = content.index(image_of(url(1)).image[-20:])
    content[place] ^= 0xFF
    table.write_bytes(content)
    taken = take(tmp_path, listed([1]), Taking(links((0, 0, 0)), [table], [], is_held=False))
    assert taken.rows == 0
    assert taken.problems[0].startswith(f"{table}: 1 pictures cannot be read (")


def held(folder: Path, **changed: Any) -> dict[int, HeldPicture]:
    """What can be asked about of two rows, numbers 0 and 1, of which the second is the first of the table."""
    table = earlier(folder / "old.parquet", [8, 9], **changed)
    take(folder, listed([9, 8]), Taking(links((1, 0, 0), (0, 0, 1)), [table], ["phash"], is_held=True))
    return HeldPictures(folder).of([0, 1, 2])


def test_a_server_is_asked_with_what_it_said(tmp_path: Path) -> None:
    found = held(tmp_path)
    modified = {"If-Modified-Since": "Wed, 01 Jan 2020 00:00:00 GMT"}
    assert {number: (one.validators, one.final_url) for number, one in found.items()} == {
        number: ({"If-None-Match": image_of(at).etag, **modified}, at) for number, at in enumerate((url(9), url(8)))
    }
    assert HeldPictures(tmp_path).of([1]).keys() == {1}
    rows = pq.read_table(tmp_path / "_held.parquet")["row"].to_pylist()
    assert rows == [0, 1], "sorted, so that few pages are read"


@pytest.mark.parametrize(
    ("changed", "validators"),
    [
        ({"etag": None}, {"If-Modified-Since"}),
        ({"etag": ""}, {"If-Modified-Since"}),
        ({"etag": '"é"'}, {"If-Modified-Since"}),
        ({"etag": '"a"\n"b"'}, {"If-Modified-Since"}),
        ({"last_modified": None}, {"If-None-Match"}),
    ],
    ids=["no etag", "empty", "not ascii", "two lines", "no time"],
)
def test_what_cannot_be_sent_is_not_asked_with(tmp_path: Path, changed: dict[str, Any], validators: set[str]) -> None:
    assert all(one.validators.keys() == validators for one in held(tmp_path, **changed).values())


@pytest.mark.parametrize("changed", [{"etag": None, "last_modified": None}, {"final_url": None}], ids=["both", "url"])
def test_a_server_that_said_nothing_is_not_asked(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert held(tmp_path, **changed) == {}


def test_a_held_picture_is_what_was_stored_and_says_that_it_has_not_changed(tmp_path: Path) -> None:
    found, pictures = held(tmp_path), HeldPictures(tmp_path)
    for number, at in enumerate((url(9), url(8))):
        record, image = pictures.record(found[number]), image_of(at)
        assert record is not None
        assert (record.image, record.original_size, record.resized_size) == (image.image, (300, 400), (168, 224))
        assert (record.etag, record.fetched_at, record.final_url) == (image.etag, FETCHED_AT, at)
        assert record.extra["reused"] == "not_modified"
        assert record.extra["phash"] == f"p{9 - number}"
        assert "image" not in record.extra


def test_a_held_picture_that_is_damaged_or_gone_is_none(tmp_path: Path) -> None:
    found, pictures = held(tmp_path), HeldPictures(tmp_path)
    one = found[0]
    assert pictures.record(HeldPicture(one.offset + 1, one.position, {}, "")) is None
    assert pictures.record(HeldPicture(one.offset, 7, {}, "")) is None
    (tmp_path / "_held.parquet").write_bytes(b"damaged")
    assert HeldPictures(tmp_path).of([0]) == {}
    (tmp_path / "held-base.arrows").write_bytes(b"")
    assert pictures.record(one) is None
    (tmp_path / "held-base.arrows").unlink()
    assert pictures.record(one) is None
    assert HeldPictures(tmp_path).of([0]) == {}


def test_a_batch_of_which_nothing_was_left_has_an_empty_journal(tmp_path: Path) -> None:
    assert take(tmp_path, listed([1]), Taking(links(), [], [], is_held=True)) == Taken(0)
    assert HeldPictures(tmp_path).of([0]) == {}
    assert (tmp_path / "held-base.arrows").exists() and (tmp_path / "_held.parquet").exists()
