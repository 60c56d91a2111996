"""Each kind of damage is found, and sound images are not accused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.stored import LEGACY_SCHEMA, StoredRun, md5, received, row, rows_of, run_here

GARBAGE = b"\xff\xd8\xff\xe0 no picture"


def found(run: StoredRun, **parameters: Any) -> dict[str, str]:
    run_here(run.tool("image_verification", **parameters))
    rows = rows_of(run.layout.tools / "image_verification" / "filter_table" / "rows.csv")
    return {one["uuid"]: one["error"] for one in rows}


def test_sound_images_pass(run: StoredRun) -> None:
    assert found(run) == {}


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ({"image": GARBAGE}, "hashsum_resized is not the MD5"),
        ({"image": GARBAGE, "hashsum_resized": md5(GARBAGE)}, "not readable"),
        ({"resized_size": [64, 48]}, "the image is 48 x 64, resized_size says 64 x 48"),
        ({"hashsum_original": "0"}, "hashsum_original is not an MD5"),
        ({"hashsum_original": None}, "hashsum_original is not an MD5"),
        ({"original_size": [10, 12]}, "original_size [10, 12] is smaller"),
        ({"original_size": []}, "original_size is []"),
    ],
)
def test_each_damage_is_named(run: StoredRun, damage: dict[str, Any], error: str) -> None:
    run.add([row("sound", received(4)), row("hurt", received(1), **damage)], partition_id=1)
    errors = found(run)
    assert list(errors) == ["hurt"]
    assert error in errors["hurt"]


def test_images_stored_as_received_have_one_hash(run: StoredRun) -> None:
    run.add([row("r", received(1), encode="original"), row("s", received(2), encode="jpeg")], partition_id=1)
    errors = found(run, image={"encode": "original"})
    assert "r" not in errors
    assert errors["s"] == "hashsum_original is not the MD5 of the image"


def test_raw_images_of_the_legacy_project_are_read(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    cut = row("cut", received(2), encode="raw")
    cut["image"] = cut["image"][:-1]
    cut["hashsum_resized"] = md5(cut["image"])
    run.add([row("sound", received(1), encode="raw"), cut], schema=LEGACY_SCHEMA)
    errors = found(run)
    assert list(errors) == ["cut"]
    assert "raw bytes are not 48 x 64 x 3" in errors["cut"]


@pytest.mark.parametrize(
    ("original", "error"),
    [
        ([48, 64], ""),
        ([47, 64], "is smaller than resized_size [48, 64]"),
        ([48, 63], "is smaller than resized_size [48, 64]"),
        ([1, 1], "is smaller"),
        ([90, 120, 3], "original_size is [90, 120, 3]"),
        ([90], "original_size is [90]"),
        ([90, 0], "original_size is [90, 0]"),
        (None, "original_size is None"),
    ],
)
def test_an_original_size_is_two_sides_not_smaller_than_the_pictures(
    tmp_path: Path, original: list[int] | None, error: str
) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("one", received(1), original_size=original)])
    assert error in found(run).get("one", "")
    assert bool(error) == bool(found(run))


def test_a_padded_picture_may_be_larger_than_the_original(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("one", received(1), original_size=[1, 1]), row("two", received(1), original_size=[0, 1])])
    assert list(found(run, image={"resize": "border"})) == ["two"]


def test_each_row_is_found_by_its_number_past_the_first_chunk(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    rows = [{**one, "uuid": f"u{number}"} for number in range(300)]
    for number in (0, 255, 256, 299):
        rows[number]["hashsum_original"] = None
    run.add(rows)
    assert run_here(run.tool("image_verification")) == {"images": 300, "corrupted": 4}
    listed = rows_of(run.layout.tools / "image_verification" / "filter_table" / "rows.csv")
    assert [(one["uuid"], one["row"]) for one in listed] == [
        ("u0", "0"), ("u255", "255"), ("u256", "256"), ("u299", "299"),
    ]  # fmt: skip
    assert listed[0] == {
        "uuid": "u0", "source_id": "id-x", "server_name": "a.example", "partition_id": "0", "row": "0",
        "error": "hashsum_original is not an MD5",
    }  # fmt: skip


def test_a_batch_is_read_again_where_the_run_stores_otherwise(run: StoredRun) -> None:
    tools = [run.tool("image_verification", **{"image": image}) for image in ({}, {"encode": "original"})]
    stamps = [{unit.stamp for unit in tool.work().units} for tool in tools]
    assert not stamps[0] & stamps[1]
    padded = run.tool("image_verification", image={"resize": "border"})
    assert not stamps[0] & {unit.stamp for unit in padded.work().units}


def test_only_32_hex_digits_are_an_md5(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    good = row("x", received(1))["hashsum_original"]
    odd = {"upper": good.upper(), "long": good + "0", "short": good[:-1], "good": good}
    run.add([row(name, received(1), hashsum_original=value) for name, value in odd.items()])
    assert sorted(found(run)) == ["long", "short", "upper"]
