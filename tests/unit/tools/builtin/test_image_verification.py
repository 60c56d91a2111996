"""Each kind of damage is found, and sound images are not accused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.stored import OLDER_SCHEMA, StoredRun, md5, received, row, rows_of, run_here

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


def test_raw_images_of_the_older_project_are_read(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    cut = row("cut", received(2), encode="raw")
    cut["image"] = cut["image"][:-1]
    cut["hashsum_resized"] = md5(cut["image"])
    run.add([row("sound", received(1), encode="raw"), cut], schema=OLDER_SCHEMA)
    errors = found(run)
    assert list(errors) == ["cut"]
    assert "raw bytes are not 48 x 64 x 3" in errors["cut"]
