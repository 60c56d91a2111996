"""One shard: each picture once, under a name that its readers can take."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.run_folder.schemas import success_schema
from ray_downloader.tools.base import Unit
from ray_downloader.tools.builtin import shards
from ray_downloader.tools.builtin.shards import NAMES, Piece, Shard, ending_of, key_of, write_shard
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
    for folder in (tmp_path / "shard", tmp_path / "train" / "000000"):
        if folder.name == "shard":
            folder.mkdir()
            (folder / "stray.jpg").touch()
        write_shard("imagefolder", unit_of(run, folder))
        assert sorted(path.name for path in folder.iterdir()) == ["metadata.parquet", "r.png"]
    (line,) = pq.read_table(tmp_path / "shard" / "metadata.parquet").to_pylist()
    assert (line["file_name"], line["title"], line["final_url"]) == ("r.png", "Ä", None)
    assert list(line)[:3] == ["file_name", "uuid", "source_id"]


def test_a_shard_without_rows_is_a_shard(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([])
    assert write_shard("parquet", unit_of(run, tmp_path / "shard.parquet")) == {}
    assert pq.read_table(tmp_path / "shard.parquet").num_rows == 0


def test_a_label_is_a_column_and_a_number_and_those_without_one_are_minus_one(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    rows = [row(name, received(1), place=place) for name, place in (("a", "2"), ("b", None), ("c", "1"))]
    run.add(rows, schema=success_schema(["place"]))
    unit = unit_of(run, tmp_path / "shard.tar")
    labelled = replace(unit, payload=replace(unit.payload, label="place", classes=("1", "2")))
    write_shard("webdataset", labelled)
    with tarfile.open(tmp_path / "shard.tar") as tar:
        members = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr] # files
    assert [members[f"{key}.cls"] for key in "abc"] == [b"1", b"-1", b"0"]
    told = [json.loads(members[f"{key}.json"]) for key in "abc"]
    assert [one["label"] for one in told] == ["2", "", "1"]
    assert "place" not in told[0]
    assert told[0]["uuid"] == "a"


@pytest.mark.parametrize("label", [None, "license"])
def test_a_table_has_a_column_of_labels_if_there_are_labels(run: StoredRun, tmp_path: Path, label: str | None) -> None:
    unit = unit_of(run, tmp_path / "shard.parquet")
    classes = ("CC BY 4.0",)
    write_shard("parquet", replace(unit, payload=replace(unit.payload, label=label, classes=classes if label else ())))
    assert ("label" in pq.read_schema(tmp_path / "shard.parquet").names) is (label is not None)


def test_a_tar_of_several_formats_has_one_ending(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1)), row("b", received(2), encode="png")])
    unit = unit_of(run, tmp_path / "shard.tar")
    write_shard("webdataset", replace(unit, payload=replace(unit.payload, ending="webp")))
    with tarfile.open(tmp_path / "shard.tar") as tar:
        assert tar.getnames() == ["a.webp", "a.json", "b.webp", "b.json"]


def test_a_seed_puts_the_pictures_of_a_shard_into_another_order(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    run.add([{**one, "uuid": name} for name in "abcdefgh"])
    unit = unit_of(run, tmp_path / "shard")
    orders = []
    for seed in ("1", "1", "2", None):
        write_shard("parquet", replace(unit, payload=replace(unit.payload, seed=seed)))
        orders.append("".join(pq.read_table(tmp_path / "shard")["uuid"].to_pylist()))
    assert orders[0] == orders[1]
    assert orders[3] == "abcdefgh"
    assert len(set(orders)) == 3
    assert {"".join(sorted(order)) for order in orders} == {"abcdefgh"}


def test_pieces_are_parts_of_row_groups_in_the_order_given(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    run.add([{**one, "uuid": name} for name in "abcdef"])  # groups of two
    (batch,) = finished_batches(run.layout.images)
    pieces = (Piece(batch, 2, 0, 1), Piece(batch, 0, 1, 1), Piece(batch, 1, 0, 2))
    write_shard("parquet", Unit(tmp_path, (batch,), "", Shard(tmp_path / "s", pieces, None, (), frozenset(), None)))
    assert pq.read_table(tmp_path / "s")["uuid"].to_pylist() == list("ebcd")


@pytest.mark.parametrize(
    ("uuid", "repeated", "key"),
    [
        ("a", (), "a"),
        ("a.b", (), "a%2Eb"),
        ("__a", (), "%5F_a"),
        ("_a", (), "_a"),
        ("x" * 80, (), "x" * 80),
        ("x" * 81, (), f"{'x' * 40}-4d1f7bb876c6aae0"),
        ("%" * 30, (), f"{'%25' * 13}-b728931b2fb3dac9"),
        (None, (), "93e96c2c25a600d2"),
        ("", ("",), "93e96c2c25a600d2"),
        ("a", ("a",), "a-93e96c2c25a600d2"),
        ("a", ("b",), "a"),
    ],
    ids=range(11),
)
def test_a_key_is_short_and_tells_pictures_apart(uuid: str | None, repeated: tuple[str, ...], key: str) -> None:
    assert key_of(uuid, "http://a/1", repeated) == key


@pytest.mark.parametrize("uuid", [None, "", "a"])
def test_a_picture_without_a_url_has_a_key_too(uuid: str | None) -> None:
    assert key_of(uuid, None, ("a",)) == key_of(uuid, "", ("a",)) != key_of(uuid, "http://a/1", ("a",))


def test_a_part_of_a_lance_dataset_has_the_bytes_of_its_pictures(
    run: StoredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[Path, pa.Table]] = []

    def write_fragments(target: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        written.append((target, pa.Table.from_batches(batches, schema)))

    monkeypatch.setattr(shards, "write_fragments", write_fragments)
    assert write_shard("lance", unit_of(run, tmp_path / "part.json"))["images"] == 5
    ((target, table),) = written
    assert target == tmp_path / "part.json"
    assert table.schema.field("image").type == pa.binary()
    assert dict(zip(table["uuid"].to_pylist(), table["image"].to_pylist(), strict=True)) == {
        uuid: stored["image"] for uuid, stored in run.images().items()
    }


def test_files_end_as_their_format_usually_does() -> None:
    endings = {one: ending_of(one) for one in ("jpeg", "png", "webp", "gif", "raw")}
    assert endings == {"jpeg": "jpg", "png": "png", "webp": "webp", "gif": "gif", "raw": "png"}
