"""Exports hold every image once, in the form that its readers expect."""

from __future__ import annotations

import io
import json
import tarfile

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
