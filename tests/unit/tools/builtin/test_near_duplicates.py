"""Images that look alike are grouped; the best of a group stays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ray_downloader.errors import UserError
from ray_downloader.run_folder.schemas import success_schema
from ray_downloader.tools.builtin import near_duplicates
from tests.support.stored import LEGACY_SCHEMA, StoredRun, received, row, rows_of, run_here

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
    run.add(rows, schema=LEGACY_SCHEMA)
    assert found(run) == {"b": ("a", 0)}


def stored(uuid: str, phash: int, **columns: object) -> dict[str, object]:
    """A row whose hash the run stored."""
    return {**row(uuid, received(1)), "phash": f"{phash & (1 << 64) - 1:016x}", **columns}


def with_hashes(tmp_path: Path, *batches: list[dict[str, object]]) -> StoredRun:
    run = StoredRun(tmp_path / "out")
    for number, rows in enumerate(batches):
        run.add(rows, f"{number}.example", schema=success_schema(extra_columns=["phash"]))
    return run


def test_hashes_that_the_run_stored_are_taken_as_they_are(tmp_path: Path) -> None:
    run = with_hashes(tmp_path, [stored("a", 0), stored("b", 0b1111), stored("c", -1)])
    assert found(run, max_distance=4) == {"b": ("a", 4)}
    assert found(run, max_distance=3) == {}


def test_a_chain_of_close_pairs_is_one_group_and_the_rest_is_told_apart(tmp_path: Path) -> None:
    """Over the sign bit, too: 64 bits are stored as signed numbers."""
    far = 0x0F0F_0F0F_0F0F_0F0F
    run = with_hashes(
        tmp_path,
        [stored("a", 1 << 63), stored("b", 1 << 63 | 0b11), stored("x", far)],
        [stored("c", 1 << 63 | 0b1111), stored("d", 0b1111), stored("y", far ^ 1), stored("z", 0xFF << 20)],
    )
    assert found(run, max_distance=2) == {"b": ("a", 2), "c": ("a", 4), "d": ("a", 5), "y": ("x", 1)}


def test_the_one_that_stays_has_its_licence_then_is_the_largest_then_the_first(tmp_path: Path) -> None:
    run = with_hashes(
        tmp_path,
        [
            stored("b", 5), stored("a", 5),
            stored("d", 1 << 40, original_size=[10, 10]), stored("c", 1 << 40, original_size=[10, 9]),
            stored("e", 1 << 60 | 7 << 20), stored("f", 1 << 60 | 7 << 20, is_license_full=True, original_size=[1, 1]),
        ],
    )  # fmt: skip
    assert found(run, max_distance=0) == {"b": ("a", 0), "c": ("d", 0), "e": ("f", 0)}


def test_the_list_and_the_summary_say_what_was_found(tmp_path: Path) -> None:
    run = with_hashes(tmp_path, [stored("a", 7)], [stored("b", 6)])
    summary = run_here(run.tool("near_duplicates", max_distance=1))
    assert summary == {"hashed": 2, "not_readable": 0, "max_distance": 1, "near_duplicates": 1}
    (one,) = rows_of(run.layout.tools / "near_duplicates" / "filter_table" / "rows.csv")
    assert one == {
        "uuid": "b", "source_id": "id-b", "server_name": "1.example", "partition_id": "0", "row": "0",
        "uuid_main": "a", "server_name_main": "0.example", "partition_id_main": "0", "row_main": "0", "distance": "1",
    }  # fmt: skip


def test_rows_past_the_first_chunk_have_their_own_hashes(tmp_path: Path) -> None:
    rows = [stored(f"u{number:03d}", 1 << 30 | number << 8) for number in range(300)]
    rows[299]["phash"] = rows[10]["phash"]
    run = with_hashes(tmp_path, rows)
    assert found(run, max_distance=0) == {"u299": ("u010", 0)}


def test_images_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1)), row("b", received(2), image=b"\xff\xd8garbage")])
    summary = run_here(run.tool("near_duplicates"))
    assert (summary["hashed"], summary["not_readable"], summary["near_duplicates"]) == (1, 1, 0)


def test_without_its_library_the_tool_says_what_to_install(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "find_spec", lambda _name: None)
    with pytest.raises(UserError, match=r"pip install 'ray-downloader\[phash\]'"):
        run.tool("near_duplicates").work()
