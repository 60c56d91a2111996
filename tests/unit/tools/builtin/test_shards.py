"""One shard: each picture once, under a name that its readers can take."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ray_downloader.tools.base import Unit
from ray_downloader.tools.builtin.shards import NAMES, Piece, Shard, write_shard
from ray_downloader.tools.context import finished_batches
from tests.support.stored import LEGACY_SCHEMA, StoredRun, received, row


def unit_of(run: StoredRun, target: Path) -> Unit:
    batches = tuple(finished_batches(run.layout.images))
    pieces = [
        Piece(batch, group, 0, metadata.row_group(group).num_rows)
        for batch in batches
        for metadata in [pq.read_metadata(batch.path)]
        for group in range(metadata.num_row_groups)
    ]
    shard = Shard(target, tuple(pieces), None, (), frozenset(), None)
    return Unit(run.root / "unit", batches, "stamp", shard)


def test_shards_are_named_as_their_readers_expect() -> None:
    assert NAMES["webdataset"].format(shard=7, shards=12) == "shards/000007.tar"
    assert NAMES["parquet"].format(shard=7, shards=12) == "data/train-00007-of-00012.parquet"
    assert NAMES["imagefolder"].format(shard=7, shards=12) == "train/000007"


@pytest.mark.parametrize("form", ["webdataset", "parquet", "imagefolder"])
def test_pictures_that_repeat_or_cannot_be_read_are_counted_and_left_out(
    run: StoredRun, tmp_path: Path, form: str
) -> None:
    raw = row("torn", received(4), encode="raw")
    run.add([row("a", received(1)), {**raw, "image": raw["image"][:-1]}, row("z", received(5))], "c.example")
    counts = write_shard(form, unit_of(run, tmp_path / "shard"))
    assert counts == {"images": 6, "repeated_uuids": 1, "not_readable": 1}


def test_a_key_has_no_dot_and_no_slash(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a/b.c", received(1)), row("é", received(1), encode="webp"), row("p", received(1), encode="png")])
    write_shard("webdataset", unit_of(run, tmp_path / "shard.tar"))
    with tarfile.open(tmp_path / "shard.tar") as tar:
        names = tar.getnames()
    assert names == ["a%2Fb%2Ec.jpg", "a%2Fb%2Ec.json", "%C3%A9.webp", "%C3%A9.json", "p.png", "p.json"]


@pytest.mark.stage
def test_a_long_shard_of_parquet_is_in_order_over_the_edges_of_its_groups(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    run.add([{**one, "uuid": f"u{number:04d}"} for number in range(600)])
    assert write_shard("parquet", unit_of(run, tmp_path / "shard.parquet")) == {"images": 600}
    table = pq.read_table(tmp_path / "shard.parquet")
    assert table["uuid"].to_pylist() == [f"u{number:04d}" for number in range(600)]
    assert table["image"][599].as_py() == {"bytes": one["image"], "path": "u0599.jpg"}


def test_raw_pixels_become_png_of_their_size_and_other_formats_stay_bytes(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("r", received(1), encode="raw")], schema=LEGACY_SCHEMA)
    stored = row("j", received(2))
    run.add([stored], partition_id=1)
    write_shard("imagefolder", unit_of(run, tmp_path / "shard"))
    png = (tmp_path / "shard" / "r.png").read_bytes()
    assert png[:4] == b"\x89PNG"
    assert int.from_bytes(png[16:20], "big") == 64
    assert (tmp_path / "shard" / "j.jpg").read_bytes() == stored["image"]


def test_a_folder_is_begun_anew_and_its_table_has_the_columns_there_are(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("r", received(1), encode="raw", title="Ä")], schema=LEGACY_SCHEMA)
    (tmp_path / "shard").mkdir()
    (tmp_path / "shard" / "stray.jpg").touch()
    write_shard("imagefolder", unit_of(run, tmp_path / "shard"))
    assert sorted(path.name for path in (tmp_path / "shard").iterdir()) == ["metadata.parquet", "r.png"]
    (line,) = pq.read_table(tmp_path / "shard" / "metadata.parquet").to_pylist()
    assert (line["file_name"], line["title"], line["final_url"]) == ("r.png", "Ä", None)
    assert list(line)[:3] == ["file_name", "uuid", "source_id"]


def test_a_shard_without_rows_is_a_shard(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([])
    assert write_shard("parquet", unit_of(run, tmp_path / "shard.parquet")) == {}
    assert pq.read_table(tmp_path / "shard.parquet").num_rows == 0
