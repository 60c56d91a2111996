"""Exports hold every image once, in the form that its readers expect."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path

import cv2
import pyarrow.parquet as pq
import pytest
import yaml

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.schemas import success_schema
from ray_downloader.tools.base import TOOLS, Tool
from ray_downloader.tools.builtin import export, shards
from ray_downloader.tools.context import ToolContext
from tests.support.stored import LEGACY_SCHEMA, StoredRun, received, row, run_here

pytestmark = pytest.mark.stage


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
    run_here(run.tool("export", export_format="imagefolder", shard_rows=2))
    folder = run.layout.tools / "export" / "imagefolder" / "train"
    assert sorted(path.name for path in folder.iterdir()) == ["000000", "000001", "000002"]
    rows = [one for shard in sorted(folder.iterdir()) for one in pq.read_table(shard / "metadata.parquet").to_pylist()]
    assert [one["file_name"] for one in rows] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert (folder / "000002" / "e.jpg").read_bytes() == run.images()["e"]["image"]
    assert rows[0]["original_size"] == [90, 120]


def test_an_export_that_is_cut_otherwise_leaves_no_old_shards(run: StoredRun) -> None:
    run_here(run.tool("export", export_format="parquet", shard_rows=1))
    run_here(run.tool("export", export_format="parquet"))
    folder = run.layout.tools / "export" / "parquet" / "data"
    assert [path.name for path in folder.iterdir()] == ["train-00000-of-00001.parquet"]


def test_raw_images_become_png_and_repeated_uuids_one_picture(run: StoredRun) -> None:
    rows = [row("r.1", received(4), encode="raw"), row("r.1", received(4), encode="raw")]
    run.add(rows, partition_id=9, schema=LEGACY_SCHEMA)
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


@pytest.mark.parametrize(("rows", "shards"), [(1, [1] * 6), (3, [3, 3]), (4, [4, 2]), (5, [5, 1]), (6, [6]), (7, [6])])
def test_a_shard_has_as_many_rows_as_were_asked_for(run: StoredRun, rows: int, shards: list[int]) -> None:
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
    run.add([row("n", received(9))], "b.example:8080", 7)
    run_here(run.tool("export", shard_rows=1))
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert before["000000.tar"] == after["000000.tar"]
    assert len(after) == len(before) + 1


def test_folders_of_an_export_that_was_cut_otherwise_are_gone(run: StoredRun) -> None:
    run_here(run.tool("export", export_format="imagefolder", shard_rows=1))
    run_here(run.tool("export", export_format="imagefolder"))
    folder = run.layout.tools / "export" / "imagefolder"
    assert [path.name for path in (folder / "train").iterdir()] == ["000000"]
    assert pq.read_table(folder / "train" / "000000" / "metadata.parquet").num_rows == 5
    assert [path.name for path in (folder / ".units").iterdir()] == ["000000"], "their markers, too"


def test_batches_without_rows_make_no_shard_of_their_own(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([])
    assert run_here(run.tool("export"))["format"] == "webdataset"
    assert not (run.layout.tools / "export" / "webdataset" / "shards").exists()


def _keys(run: StoredRun, form: str = "webdataset") -> list[list[str]]:
    shards = sorted((run.layout.tools / "export" / form / "shards").iterdir())
    keys = []
    for shard in shards:
        with tarfile.open(shard) as tar:
            keys.append([name.partition(".")[0] for name in tar.getnames()[::2]])
    return keys


def _labelled(tmp_path: Path) -> StoredRun:
    run = StoredRun(tmp_path / "out")
    schema = success_schema(["species"])
    for batch in range(3):
        names = [f"u{batch}{number}" for number in range(5)]
        rows = [row(name, received(1), species=["Bus", "Aus", None][int(name[-1]) % 3]) for name in names]
        run.add(rows, partition_id=batch, schema=schema)
    return run


def _export(run: StoredRun, form: str = "webdataset", *, label: str | None = None, shuffle: int | None = None) -> Tool:
    values = {
        "path_to_input": "",
        "path_to_output": run.root,
        "tools_parameters": {"export_format": form, "shard_rows": 4},
        "export": {"label": label, "shuffle": shuffle},
    }
    return TOOLS.get("export")(ToolContext("export", Settings.from_config(values)))


def test_a_seed_shuffles_images_over_files_and_shards_always_alike(tmp_path: Path) -> None:
    run = _labelled(tmp_path)
    run_here(_export(run))
    plain = _keys(run)
    run_here(_export(run, shuffle=7))
    shuffled = _keys(run)
    assert [len(keys) for keys in plain] == [len(keys) for keys in shuffled] == [4, 4, 4, 3]
    assert sorted(chain(*plain)) == sorted(chain(*shuffled))
    assert plain != shuffled
    assert len({key[1] for key in shuffled[0]}) > 1, "a shard has images of several files"
    shutil.rmtree(run.layout.tools / "export")
    run_here(_export(run, shuffle=7))
    assert _keys(run) == shuffled


def test_a_label_is_a_column_a_class_and_a_table_in_the_card(tmp_path: Path) -> None:
    run = _labelled(tmp_path)
    for form in ("webdataset", "parquet", "imagefolder"):
        run_here(_export(run, form, label="species"))
    folder = run.layout.tools / "export"
    assert (folder / "parquet" / "classes.txt").read_text() == "Aus\nBus\n"
    with tarfile.open(folder / "webdataset" / "shards" / "000000.tar") as tar:
        members = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr] # files
    assert members["u00.cls"] == b"1"
    assert json.loads(members["u01.json"])["label"] == "Aus"
    assert members["u02.cls"] == b"-1"
    table = pq.read_table(folder / "parquet" / "data" / "train-00000-of-00004.parquet")
    assert table.column("label").to_pylist() == ["Bus", "Aus", None, "Bus"]
    rows = pq.read_table(folder / "imagefolder" / "train" / "000000" / "metadata.parquet")
    assert rows.column("label").to_pylist() == ["Bus", "Aus", None, "Bus"]
    card = (folder / "parquet" / "README.md").read_text("utf-8")
    assert "| label (species) | images |" in card
    assert "| Aus | 6 |" in card
    assert "| (none) | 15 |" in card, "no image states a licence"
    header = card.split("---\n")[1]
    assert yaml.safe_load(header)["configs"][0]["data_files"] == "data/*.parquet"
    run_here(_export(run, "parquet", label="title"))
    assert (folder / "parquet" / "README.md").read_text("utf-8").split("---\n")[1] != header, (
        "readers keep what they read"
    )
    sheet = cv2.imread(str(folder / "parquet" / "contact_sheet.jpg"))
    assert sheet is not None
    assert sheet.shape == (256, 1024, 3)


@pytest.mark.parametrize(
    ("label", "classes", "numbers"),
    [
        ("odd", ["a b", "Äpfel/é"], [1, 0, 0, -1, -1, -1]),
        ("is_license_full", ["false"], [0] * 6),
        ("resized_size", ["[48, 64]"], [0] * 6),
        ("fetched_at", ["2026-11-28 12:00:00+00:00"], [0] * 6),
    ],
)
def test_any_column_can_be_the_label_and_a_class_is_a_line(
    tmp_path: Path, label: str, classes: list[str], numbers: list[int]
) -> None:
    """Booleans ended the export; a label of two lines moved the numbers of those after it; spaces were a class."""
    run = StoredRun(tmp_path / "out")
    odd, at = ["Äpfel/é", "a\nb", " a b ", "", "  ", None], datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
    rows = [row(f"u{number}", received(1), odd=value, fetched_at=at) for number, value in enumerate(odd)]
    run.add(rows, schema=success_schema(["odd"]))
    run_here(_export(run, label=label))
    folder = run.layout.tools / "export" / "webdataset"
    assert (folder / "classes.txt").read_text("utf-8").splitlines() == classes
    found = []
    for shard in sorted(folder.glob("shards/*.tar")):
        with tarfile.open(shard) as tar:
            found += [int(tar.extractfile(name).read()) for name in tar.getnames() if name.endswith(".cls")]  # type: ignore[union-attr] # files
    assert found == numbers


def test_a_label_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"export\.label=genus is not a column of the images; those are: .*species"):
        _export(_labelled(tmp_path), label="genus").work()


def test_keys_are_legal_and_unique_whatever_the_uuid(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    uuids = ["a/b.c", "a" * 300, "ä ö", "same", "same", "", "twice", "twice"]
    rows = [row(uuid, received(n), identifier=f"http://a/{min(n, 6)}.jpg") for n, uuid in enumerate(uuids)]
    run.add([*rows, row("none", received(9)) | {"uuid": None}])
    counts = run_here(_export(run))
    keys = list(chain(*_keys(run)))
    assert len(keys) == len(set(keys)) == 8
    assert (counts["images"], counts["repeated_uuids"]) == (8, 1), "a row that is twice in the list is one picture"
    assert all(re.fullmatch(r"[A-Za-z0-9%_~-]{1,80}", key) for key in keys)


def test_no_reader_skips_a_key_or_takes_two_for_one(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    uuids = ["__key__", "__", "_one", "Case", "case"]
    run.add([row(uuid, received(n), identifier=f"http://a/{n}.jpg") for n, uuid in enumerate(uuids)])
    run_here(_export(run))
    keys = list(chain(*_keys(run)))
    assert not [key for key in keys if key.startswith("__")], "readers of tars skip such names"
    assert len({key.lower() for key in keys}) == 5, "some file systems ignore case"


def test_members_of_a_tar_have_one_ending_if_formats_are_mixed(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1)), row("b", received(2)), row("c", received(3), encode="png")])
    run_here(run.tool("export"))
    (shard,) = (run.layout.tools / "export" / "webdataset" / "shards").iterdir()
    with tarfile.open(shard) as tar:
        assert tar.getnames()[::2] == ["a.jpg", "b.jpg", "c.jpg"]


def test_lance_that_is_not_installed_is_one_sentence_before_anything_is_written(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray_downloader.tools.builtin.lance_dataset.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"export_format=lance needs the package pylance: pip install"):
        run.tool("export", export_format="lance").work()
    assert not (run.layout.tools / "export" / "lance").exists()


@pytest.mark.parametrize("is_written", [True, False])
def test_what_was_written_before_a_lance_dataset_that_is_gone_is_written_again(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    monkeypatch.setattr("ray_downloader.tools.builtin.lance_dataset.find_spec", lambda name: name)
    folder = run.layout.tools / "export" / "lance"
    kept = folder / ".units" / "000000.json"
    kept.mkdir(parents=True)
    if is_written:
        (folder / "images.lance" / "_versions").mkdir(parents=True)
    (unit,) = run.tool("export", export_format="lance").work().units
    assert unit.payload.target == folder / "fragments" / "000000.json"
    assert kept.exists() is is_written


def test_the_parts_of_a_lance_dataset_become_visible_together_and_are_written_again_if_it_is_gone(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    committed: list[list[str]] = []

    def write_fragments(target: Path, schema: object, batches: object) -> None:
        written.append(target.name)
        write_text(target, "{}")

    monkeypatch.setattr(export, "require_lance", lambda: None)
    monkeypatch.setattr(export, "commit", lambda _, parts: committed.append([path.name for path in parts]))
    monkeypatch.setattr(shards, "write_fragments", write_fragments)
    parts = ["000000.json", "000001.json", "000002.json"]
    for is_there, count in ((False, 3), (True, 3), (False, 6)):
        monkeypatch.setattr(export, "is_there", lambda _, it=is_there: it)
        run_here(run.tool("export", export_format="lance", shard_rows=2))
        assert committed.pop() == parts, "in order, and only once all of them are there"
        assert len(written) == count, "what is there is not written again"
