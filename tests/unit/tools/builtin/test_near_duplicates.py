"""Images that look alike are grouped; the best of a group stays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.stored import OLDER_SCHEMA, StoredRun, received, row, rows_of, run_here

pytest.importorskip("imagehash")


def recompressed(body: bytes, quality: int, scale: float = 1.0) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def found(run: StoredRun, **parameters: int) -> dict[str, tuple[str, int]]:
    run_here(run.tool("near_duplicates", **parameters))
    rows = rows_of(run.layout.tools / "near_duplicates" / "filter_table" / "rows.csv")
    return {one["uuid"]: (one["uuid_main"], int(one["distance"])) for one in rows}


def test_another_quality_and_size_of_a_picture_is_found_and_the_largest_stays(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", recompressed(received(1), 40)), row("b", received(2))])
    run.add([row("c", recompressed(received(1), 90, 0.6)), row("d", received(1))], partition_id=1)
    near = found(run, max_distance=8)
    assert {name: main for name, (main, _) in near.items()} == {"c": "a", "d": "a"}
    assert all(distance <= 8 for _, distance in near.values())


def test_with_distance_0_only_equal_hashes_count(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1)), row("b", received(1)), row("c", received(2))])
    assert found(run, max_distance=0) == {"b": ("a", 0)}


def test_raw_and_broken_images_are_no_obstacle(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    rows = [row("a", received(1), encode="raw"), row("b", received(1), encode="raw"), row("c", received(3), image=b"")]
    run.add(rows, schema=OLDER_SCHEMA)
    assert found(run) == {"b": ("a", 0)}
