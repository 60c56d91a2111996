"""One image is found by its uuid, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import DamagedFileError, UserError
from ray_downloader.tools.image_index import ImageIndex
from tests.support.stored import LEGACY_SCHEMA, StoredRun, received, row, run_here


def index(run: StoredRun) -> ImageIndex:
    return ImageIndex(run.layout.tools / "lookup", run.layout.images)


def test_every_image_is_found_in_its_row_group(run: StoredRun) -> None:
    run_here(run.tool("lookup"))
    found = index(run)
    for uuid, stored in run.images().items():
        assert found.get(uuid) == stored
    place = found.find("c")
    assert place is not None
    assert (place.row_group, place.row) == (1, 0), "row groups hold two rows here"
    assert found.get("nobody") is None


def test_named_images_are_brought_as_files(run: StoredRun) -> None:
    run.add([row("../odd/name", received(4), encode="raw")], partition_id=7, schema=LEGACY_SCHEMA)
    summary = run_here(run.tool("lookup", uuids=["b", "../odd/name"]))
    assert Path(summary["b"]).read_bytes() == run.images()["b"]["image"]
    raw = Path(summary["../odd/name"])
    assert raw.parent == run.layout.tools / "lookup" / "found"
    assert raw.read_bytes().startswith(b"\x89PNG")


def test_an_unknown_uuid_is_named(run: StoredRun) -> None:
    with pytest.raises(UserError, match="no image nobody"):
        run_here(run.tool("lookup", uuids="nobody"))


def test_the_index_follows_the_images(run: StoredRun) -> None:
    with pytest.raises(UserError, match="run tool=lookup first"):
        index(run)
    run_here(run.tool("lookup"))
    run.add([row("new", received(8))])
    with pytest.raises(UserError, match="changed after it was indexed"):
        index(run).get("a")
    assert run_here(run.tool("lookup"))["images"] == 3
    assert index(run).get("new") is not None


def test_an_index_that_is_up_to_date_is_kept(run: StoredRun) -> None:
    assert run_here(run.tool("lookup")) == {"images": 5}
    path = run.layout.tools / "lookup" / "index.parquet"
    written = path.stat().st_mtime_ns
    assert run_here(run.tool("lookup")) == {"images": 5}
    assert path.stat().st_mtime_ns == written
    run.add([row("new", received(8))], "c.example")
    assert run_here(run.tool("lookup")) == {"images": 6}
    assert path.stat().st_mtime_ns != written


def test_the_table_is_sorted_and_says_where_each_image_is(run: StoredRun) -> None:
    run_here(run.tool("lookup"))
    rows = pq.read_table(run.layout.tools / "lookup" / "index.parquet").to_pylist()
    first = "server_name=a.example/partition_id=0/successes.parquet"
    second = "server_name=b.example%3A8080/partition_id=3/successes.parquet"
    assert [tuple(one.values()) for one in rows] == [
        ("a", first, 0, 0), ("b", first, 0, 1), ("c", first, 1, 0), ("d", second, 0, 0), ("e", second, 0, 1),
    ]  # fmt: skip


def test_all_that_are_missing_are_named_and_the_others_are_there(run: StoredRun) -> None:
    with pytest.raises(UserError, match="this run has no image x, y"):
        run_here(run.tool("lookup", uuids=["x", "b", "y"]))
    assert (run.layout.tools / "lookup" / "found" / "b.jpeg").read_bytes() == run.images()["b"]["image"]


def test_a_raw_image_becomes_a_png_of_its_size(run: StoredRun) -> None:
    run.add([row("raw", received(4), encode="raw"), row("w", received(4), encode="webp")], "c.example")
    summary = run_here(run.tool("lookup", uuids=["raw", "w"]))
    png = Path(summary["raw"]).read_bytes()
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == (64, 48)
    assert Path(summary["w"]).read_bytes()[8:12] == b"WEBP"


@pytest.mark.parametrize("uuid", ["\u00e9" * 112, "x" * 300, "..", "a\0b", "new\nline", "__a", "a/../b"], ids=ascii)
def test_a_file_has_a_name_that_every_file_system_takes(run: StoredRun, uuid: str) -> None:
    run.add([row(uuid, received(4))], partition_id=7)
    file = Path(run_here(run.tool("lookup", uuids=[uuid]))[uuid])
    assert file.parent == run.layout.tools / "lookup" / "found"
    assert len(file.name) <= 100
    assert file.read_bytes() == run.images()[uuid]["image"]


@pytest.mark.parametrize("name", ["index.parquet", "index.parquet.stamp"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"x" * 9000], ids=["empty", "short", "long"])
def test_a_damaged_index_is_written_anew(run: StoredRun, name: str, content: bytes) -> None:
    run_here(run.tool("lookup"))
    (run.layout.tools / "lookup" / name).write_bytes(content)
    if name == "index.parquet":
        with pytest.raises(DamagedFileError):
            index(run)
    assert run_here(run.tool("lookup")) == {"images": 5}
    assert index(run).get("c") == run.images()["c"]
