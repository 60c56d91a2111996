"""Exports hold every image once, in the form that its readers expect."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.stored import OLDER_SCHEMA, StoredRun, received, row, rows_of, run_here


def test_a_tar_holds_picture_and_columns_side_by_side(run: StoredRun) -> None:
    run_here(run.tool("export"))
    (shard,) = (run.layout.tools / "export" / "webdataset" / "shards").iterdir()
    with tarfile.open(shard) as tar:
        names = tar.getnames()
        assert names == [f"{key}.{ending}" for key in "abcde" for ending in ("jpg", "json")]
        image, columns = (tar.extractfile(name) for name in ("d.jpg", "d.json"))
        assert image is not None
        assert columns is not None
        assert image.read() == run.images()["d"]["image"]
        assert json.loads(columns.read())["license"] == "CC BY 4.0"


def test_parquet_is_marked_as_pictures(run: StoredRun) -> None:
    run_here(run.tool("export", export_format="parquet"))
    (shard,) = (run.layout.tools / "export" / "parquet" / "data").iterdir()
    assert shard.name == "train-00000-of-00001.parquet"
    table = pq.read_table(shard)
    assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["image"] == {"_type": "Image"}
    assert table.column("uuid").to_pylist() == list("abcde")
    assert table.column("image")[1].as_py() == {"bytes": run.images()["b"]["image"], "path": "b.jpg"}


def test_a_folder_has_a_table_of_its_pictures(run: StoredRun) -> None:
    run_here(run.tool("export", export_format="imagefolder", shard_rows=1))
    folder = run.layout.tools / "export" / "imagefolder" / "train"
    assert sorted(path.name for path in folder.iterdir()) == ["000000", "000001"]
    rows = [one for shard in sorted(folder.iterdir()) for one in rows_of(shard / "metadata.csv")]
    assert [one["file_name"] for one in rows] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert (folder / "000001" / "e.jpg").read_bytes() == run.images()["e"]["image"]


def test_an_export_that_is_cut_otherwise_leaves_no_old_shards(run: StoredRun) -> None:
    run_here(run.tool("export", export_format="parquet", shard_rows=1))
    run_here(run.tool("export", export_format="parquet"))
    folder = run.layout.tools / "export" / "parquet" / "data"
    assert [path.name for path in folder.iterdir()] == ["train-00000-of-00001.parquet"]


def test_raw_images_become_png_and_repeated_uuids_one_picture(run: StoredRun) -> None:
    rows = [row("r.1", received(4), encode="raw"), row("r.1", received(4), encode="raw")]
    run.add(rows, partition_id=9, schema=OLDER_SCHEMA)
    counts = run_here(run.tool("export"))
    assert (counts["images"], counts["repeated_uuids"]) == (6, 1)
    (shard,) = (run.layout.tools / "export" / "webdataset" / "shards").iterdir()
    with tarfile.open(fileobj=io.BytesIO(shard.read_bytes())) as tar:
        image = tar.extractfile("r%2E1.png")
        assert image is not None
        assert image.read(4) == b"\x89PNG"


@pytest.mark.parametrize("form", ["webdataset", "parquet", "imagefolder"])
def test_what_cannot_be_exported_is_said_where_it_is_applied(run: StoredRun, form: str) -> None:
    tool = run.tool("export", export_format=form)
    with pytest.raises(Exception, match="changes no images"):
        tool.staged()


def test_parquet_has_each_pictures_texts_and_no_numbers(run: StoredRun) -> None:
    run_here(run.tool("export", export_format="parquet"))
    (shard,) = (run.layout.tools / "export" / "parquet" / "data").iterdir()
    table = pq.read_table(shard)
    assert table.schema.names == [
        "image", "uuid", "source_id", "identifier", "license", "source", "title", "hashsum_original", "final_url",
    ]  # fmt: skip
    assert table.column("license").to_pylist() == [None, None, None, "CC BY 4.0", None]
    assert table.column("source_id").to_pylist() == [f"id-{uuid}" for uuid in "abcde"]


def test_equal_images_make_equal_tars(run: StoredRun) -> None:
    run_here(run.tool("export"))
    (shard,) = (run.layout.tools / "export" / "webdataset" / "shards").iterdir()
    with tarfile.open(shard) as tar:
        for member in tar.getmembers():
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
    assert shard.name == "000000.tar"


def test_a_text_beside_a_picture_is_readable(run: StoredRun) -> None:
    run.add([row("m", received(6), title="Müller")], "c.example")
    run_here(run.tool("export"))
    (shard,) = (run.layout.tools / "export" / "webdataset" / "shards").iterdir()
    with tarfile.open(shard) as tar:
        columns = tar.extractfile("m.json")
        assert columns is not None
        assert "Müller" in columns.read().decode("utf-8")


@pytest.mark.parametrize(
    ("rows", "shards"), [(1, [3, 2, 1]), (3, [3, 3]), (4, [5, 1]), (5, [5, 1]), (6, [6]), (7, [6])]
)
def test_a_shard_holds_whole_batches_until_it_has_enough_rows(run: StoredRun, rows: int, shards: list[int]) -> None:
    run.add([row("f", received(6))], "c.example")
    counts = run_here(run.tool("export", export_format="parquet", shard_rows=rows))
    files = sorted((run.layout.tools / "export" / "parquet" / "data").iterdir())
    assert [pq.read_metadata(file).num_rows for file in files] == shards
    assert [file.name for file in files] == [f"train-{n:05d}-of-{len(shards):05d}.parquet" for n in range(len(shards))]
    assert counts["images"] == 6
    assert counts["folder"] == str(run.layout.tools / "export" / "parquet")
    assert counts["format"] == "parquet"


def test_a_shard_is_written_once_while_its_batches_are_the_same(run: StoredRun) -> None:
    run_here(run.tool("export", shard_rows=1))
    folder = run.layout.tools / "export" / "webdataset" / "shards"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    run.add([row("n", received(9))], "b.example:8080", 3)
    run_here(run.tool("export", shard_rows=1))
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert before["000000.tar"] == after["000000.tar"]
    assert before["000001.tar"] != after["000001.tar"]


def test_folders_of_an_export_that_was_cut_otherwise_are_gone(run: StoredRun) -> None:
    run_here(run.tool("export", export_format="imagefolder", shard_rows=1))
    run_here(run.tool("export", export_format="imagefolder"))
    folder = run.layout.tools / "export" / "imagefolder"
    assert [path.name for path in (folder / "train").iterdir()] == ["000000"]
    assert len(rows_of(folder / "train" / "000000" / "metadata.csv")) == 5
    assert [path.name for path in (folder / ".units").iterdir()] == ["000000"], "their markers, too"


def test_batches_without_rows_make_no_shard_of_their_own(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([])
    assert run_here(run.tool("export"))["format"] == "webdataset"
    assert not (run.layout.tools / "export" / "webdataset" / "shards").exists()
