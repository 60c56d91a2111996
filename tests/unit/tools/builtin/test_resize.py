"""Resized images: sizes, hashes, formats, also of files that the legacy project wrote."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from ray_downloader.run_folder.schemas import SUCCESS_SCHEMA
from tests.support.stored import LEGACY_SCHEMA, StoredRun, md5, received, row, rows_of, run_here


def resized(run: StoredRun) -> dict[str, dict[str, object]]:
    files = sorted((run.layout.tools / "resize" / "images").rglob("successes.parquet"))
    return {one["uuid"]: one for file in files for one in pq.ParquetFile(file).read().to_pylist()}


@pytest.mark.parametrize("encode", ["jpeg", "png", "webp", "raw"])
def test_the_columns_tell_what_the_new_image_is(tmp_path: Path, encode: str) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1), encode=encode)])
    run_here(run.tool("resize", new_resize_size=32))
    old, new = run.images()["a"], resized(run)["a"]
    image = new["image"]
    assert isinstance(image, bytes)
    assert new["resized_size"] == [24, 32]
    assert new["hashsum_resized"] == md5(image)
    assert new["image_format"] == encode
    changed = {"image", "resized_size", "hashsum_resized"}
    assert {key: new[key] for key in new.keys() - changed} == {key: old[key] for key in old.keys() - changed}
    if encode != "raw":
        assert cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR).shape == (24, 32, 3)


def test_images_are_never_enlarged_nor_encoded_again_for_nothing(run: StoredRun) -> None:
    run_here(run.tool("resize", new_resize_size=500))
    assert {name: new["image"] for name, new in resized(run).items()} == {
        name: old["image"] for name, old in run.images().items()
    }


def test_raw_images_of_the_legacy_project_stay_raw_unless_a_format_is_asked_for(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1), encode="raw")], schema=LEGACY_SCHEMA)
    run_here(run.tool("resize", new_resize_size=32))
    raw = resized(run)["a"]
    assert (len(raw["image"]), list(raw)) == (24 * 32 * 3, LEGACY_SCHEMA.names)  # type: ignore[arg-type]
    run_here(run.tool("resize", image={"encode": "png"}, new_resize_size=32))
    png = resized(run)["a"]
    assert png["image_format"] == "png"
    pixels = cv2.imdecode(np.frombuffer(png["image"], np.uint8), cv2.IMREAD_COLOR)  # type: ignore[call-overload]
    assert pixels.tobytes() == raw["image"]


def test_what_cannot_be_read_is_left_out_and_listed(run: StoredRun) -> None:
    run.add([row("x", received(1), image=b"\xff\xd8garbage"), row("y", received(2))], partition_id=1)
    summary = run_here(run.tool("resize", new_resize_size=32))
    assert (summary["images"], summary["failed"]) == (6, 1)
    (failed,) = rows_of(run.layout.tools / "resize" / "failed.csv")
    assert (failed["uuid"], failed["partition_id"], failed["row"]) == ("x", "1", "0")
    assert "x" not in resized(run)


def test_a_unit_is_done_once_and_again_where_its_images_or_the_size_change(run: StoredRun) -> None:
    def done() -> set[int]:
        files = (run.layout.tools / "resize" / "images").rglob("successes.parquet")
        return {file.stat().st_mtime_ns for file in files}

    run_here(run.tool("resize", new_resize_size=32))
    first = done()
    run_here(run.tool("resize", new_resize_size=32))
    assert done() == first
    run.add([row("n", received(9))])
    run_here(run.tool("resize", new_resize_size=32))
    assert len(done() & first) == 1
    run_here(run.tool("resize", new_resize_size=16))
    assert not done() & first
    assert {tuple(new["resized_size"]) for new in resized(run).values()} == {(12, 16), (11, 16)}  # type: ignore[arg-type]


def test_the_schema_is_the_runs(run: StoredRun) -> None:
    run_here(run.tool("resize", new_resize_size=32))
    for file in (run.layout.tools / "resize" / "images").rglob("successes.parquet"):
        assert pq.ParquetFile(file).schema_arrow.equals(SUCCESS_SCHEMA)


def test_a_format_that_is_asked_for_counts_and_otherwise_each_image_keeps_its_own(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("j", received(1)), row("p", received(1), encode="png"), row("r", received(1), encode="raw")])
    run_here(run.tool("resize", new_resize_size=32))
    assert {name: new["image_format"] for name, new in resized(run).items()} == {"j": "jpeg", "p": "png", "r": "raw"}
    run_here(run.tool("resize", new_resize_size=32, image={"encode": "webp"}))
    assert {new["image_format"] for new in resized(run).values()} == {"webp"}
    run_here(run.tool("resize", new_resize_size=32, image={"encode": "original"}))
    assert {new["image_format"] for new in resized(run).values()} == {"jpeg"}, "there is no original of a new size"


def test_an_image_in_a_format_that_is_not_written_becomes_what_the_runs_are(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    one = row("g", received(1))
    pixels = cv2.imdecode(np.frombuffer(one["image"], np.uint8), cv2.IMREAD_COLOR)
    bmp = bytes(cv2.imencode(".bmp", pixels)[1].tobytes())
    run.add([{**one, "image": bmp, "image_format": "bmp"}])
    run_here(run.tool("resize", new_resize_size=32))
    assert resized(run)["g"]["image_format"] == "jpeg"


def test_raw_of_the_legacy_project_asked_for_as_raw_keeps_its_columns(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1), encode="raw")], schema=LEGACY_SCHEMA)
    run_here(run.tool("resize", new_resize_size=32, image={"encode": "raw"}))
    assert list(resized(run)["a"]) == LEGACY_SCHEMA.names


def test_failed_rows_past_the_first_chunk_are_known_by_their_number(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    rows = [{**one, "uuid": f"u{number}"} for number in range(300)]
    for number in (0, 256, 299):
        rows[number]["image"] = b"\xff\xd8garbage"
    run.add(rows, "b.example", 2)
    summary = run_here(run.tool("resize", new_resize_size=8))
    assert summary == {"new_resize_size": 8, "images": 297, "failed": 3}
    listed = rows_of(run.layout.tools / "resize" / "failed.csv")
    assert [(one["uuid"], one["row"]) for one in listed] == [("u0", "0"), ("u256", "256"), ("u299", "299")]
    assert (listed[0]["server_name"], listed[0]["partition_id"]) == ("b.example", "2")
    assert listed[0]["error"]
    assert list(resized(run)) == [f"u{number}" for number in range(300) if number not in (0, 256, 299)]


def test_a_batch_of_which_nothing_can_be_read_is_empty(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("x", received(1), image=b"\xff\xd8garbage")])
    assert run_here(run.tool("resize"))["images"] == 0
    assert resized(run) == {}


def test_what_is_published_are_the_results_themselves(run: StoredRun) -> None:
    assert run.tool("resize").staged() is None
