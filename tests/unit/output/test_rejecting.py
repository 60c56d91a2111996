"""Rows move from a finished batch's images to its errors, and whatever was known of the others stays."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.output.batch_folder import BatchCounts, BatchFolder
from ray_downloader.output.parquet import picture_notes, write_parquet
from ray_downloader.output.rejecting import move_to_errors
from ray_downloader.run_folder.markers import find_marker, write_marker
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SERVER_NAME, SUCCESS_SCHEMA

AT = datetime(2026, 5, 1, tzinfo=timezone.utc)
POOLED = pa.schema([*SUCCESS_SCHEMA, SERVER_NAME])


def image(number: int, **columns: Any) -> dict[str, Any]:
    return {
        "uuid": f"u{number}", "source_id": f"s{number}", "identifier": f"http://a.example/{number}.jpg",
        "hashsum_resized": "0", "image": b"picture", "image_format": "jpeg", "retry_count": number % 3,
        "fetched_at": AT, **columns,
    }  # fmt: skip


def batch(
    folder: Path, rows: list[dict[str, Any]], servers: dict[str, dict[str, int]], schema: pa.Schema = SUCCESS_SCHEMA
) -> Path:
    """A finished batch with an error of its own."""
    folder.mkdir(parents=True)
    whole = pa.RecordBatch.from_pylist(rows, schema=schema)
    write_parquet(folder / "successes.parquet", schema, [whole], ['{"image_size": 64}'])
    write_marker(folder, BatchCounts(servers, {"ok": 9}, 4, reused={"linked": 2}, batch="x").to_json())
    return folder


def add_errors(folder: Path, count: int) -> None:
    gone = [
        {"uuid": f"gone{number}", "identifier": "http://a.example/gone", "error_kind": "dns"} for number in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(gone, schema=ERROR_SCHEMA), folder / "errors.parquet")


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    return list(pq.ParquetFile(folder / f"{name}.parquet").read().to_pylist())


def counts_of(folder: Path) -> BatchCounts:
    counts = BatchFolder(folder).counts()
    assert counts is not None
    return counts


def test_a_moved_row_keeps_what_both_tables_have_and_says_why(tmp_path: Path) -> None:
    folder = batch(tmp_path / "b", [image(n) for n in range(3)], {"a.example": {"dns": 2, "success": 3}})
    add_errors(folder, 2)
    move_to_errors(folder, [1], ErrorKind.NOT_IMAGE, "why")
    assert [one["uuid"] for one in read(folder, "successes")] == ["u0", "u2"]
    errors = read(folder, "errors")
    assert [one["uuid"] for one in errors] == ["gone0", "gone1", "u1"]
    assert errors[2] == {
        "uuid": "u1", "identifier": "http://a.example/1.jpg", "retry_count": 1, "error_code": -2, "error_msg": "why",
        "source_id": "s1", "error_kind": "not_image", "http_status": None, "retry_after_s": None, "fetched_at": AT,
    }  # fmt: skip


def test_what_the_marker_said_stays_as_far_as_it_is_true(tmp_path: Path) -> None:
    rows = [image(n, checksum_ok=[True, False, None, True][n]) for n in range(4)]
    folder = batch(
        tmp_path / "b", rows, {"a.example": {"dns": 1, "not_image": 1, "success": 4}, "b.example": {"dns": 1}}
    )
    add_errors(folder, 3)
    move_to_errors(folder, [0], ErrorKind.NOT_IMAGE, "")
    counts = counts_of(folder)
    assert counts.servers == {"a.example": {"dns": 1, "not_image": 2, "success": 3}, "b.example": {"dns": 1}}
    assert (counts.checksums, counts.retry, counts.reused, counts.batch) == (
        {"wrong": 1, "ok": 1},
        4,
        {"linked": 2},
        "x",
    )
    assert [(name, facts[0].rows) for name, facts in counts.files.items()] == [
        ("successes.parquet", 3),
        ("errors.parquet", 4),
    ]
    metadata = pq.read_metadata(folder / "successes.parquet").metadata
    assert picture_notes(metadata) == ['{"image_size": 64}']
    assert b"huggingface" in metadata


def test_the_new_tables_are_those_that_the_marker_confirms(tmp_path: Path) -> None:
    folder = batch(tmp_path / "server_name=a" / "partition_id=0", [image(0), image(1)], {"a": {"success": 2}})
    write_marker(folder, BatchCounts({"a": {"success": 2}}).to_json())
    move_to_errors(folder, {0, 1}, ErrorKind.NOT_IMAGE, "")
    assert BatchFolder(folder).problems() == BatchFolder(folder).verify() == []
    assert counts_of(folder).servers == {"a": {"not_image": 2}}
    assert (read(folder, "successes"), len(read(folder, "errors"))) == ([], 2)
    assert list(folder.glob(".*")) == [], "no temporary file stays"


def test_rows_are_numbered_over_the_pieces_in_which_a_table_is_read(tmp_path: Path) -> None:
    folder = batch(tmp_path / "b", [image(n) for n in range(600)], {"a.example": {"success": 600}})
    move_to_errors(folder, [0, 255, 256, 511, 599], ErrorKind.DECODE_FAILED, "")
    left = [one["uuid"] for one in read(folder, "successes")]
    assert left == [f"u{n}" for n in range(600) if n not in {0, 255, 256, 511, 599}]
    assert [one["uuid"] for one in read(folder, "errors")] == ["u0", "u255", "u256", "u511", "u599"]
    assert counts_of(folder).by_kind == {"decode_failed": 5, "success": 595}


def test_in_shared_files_each_row_counts_for_its_server(tmp_path: Path) -> None:
    names = ["a.example", "b.example", "b.example", "c.example"]
    rows = [image(n, server_name=name) for n, name in enumerate(names)]
    servers = {"a.example": {"success": 1}, "b.example": {"success": 2}, "c.example": {"success": 1}}
    folder = batch(tmp_path / "b", rows, servers, POOLED)
    move_to_errors(folder, [0, 2], ErrorKind.NOT_IMAGE, "")
    assert counts_of(folder).servers == {
        "a.example": {"not_image": 1}, "b.example": {"not_image": 1, "success": 1}, "c.example": {"success": 1},
    }  # fmt: skip
    assert [one["server_name"] for one in read(folder, "errors")] == ["a.example", "b.example"]
    assert [one["server_name"] for one in read(folder, "successes")] == ["b.example", "c.example"]


def test_a_table_of_an_earlier_version_has_fewer_columns(tmp_path: Path) -> None:
    schema = pa.schema([SUCCESS_SCHEMA.field(name) for name in ("uuid", "identifier", "hashsum_resized", "image")])
    folder = batch(tmp_path / "b", [image(0), image(1)], {"a.example": {"success": 2}}, schema)
    move_to_errors(folder, [1], ErrorKind.NOT_IMAGE, "")
    (error,) = read(folder, "errors")
    assert (error["uuid"], error["source_id"], error["retry_count"], error["fetched_at"]) == ("u1", None, None, None)
    assert counts_of(folder).checksums == {}


def test_a_batch_that_is_not_finished_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not finished"):
        move_to_errors(tmp_path, [0], ErrorKind.NOT_IMAGE, "")


def test_errors_take_their_place_first_and_the_marker_is_away_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = batch(tmp_path / "b", [image(0), image(1)], {"a.example": {"success": 2}})
    placed: list[tuple[str, bool]] = []
    replace = os.replace

    def noted(source: Any, target: Any, **options: Any) -> None:
        placed.append((Path(target).name, find_marker(folder) is not None))
        replace(source, target, **options)

    monkeypatch.setattr(os, "replace", noted)
    move_to_errors(folder, [0], ErrorKind.NOT_IMAGE, "")
    assert placed[:2] == [("errors.parquet", False), ("successes.parquet", False)]
    assert find_marker(folder) is not None
