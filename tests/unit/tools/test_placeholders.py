"""Pictures that a server sends for many links become errors, and every row is in one table, wherever a kill comes."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.output.batch_folder import BatchFolder
from ray_downloader.output.verify import verify
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import find_marker, write_marker
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SERVER_NAME, SUCCESS_SCHEMA
from ray_downloader.tools.placeholders import LEAST_ALIKE, reject_placeholders
from tests.support.stored import StoredRun, received, row, run_here

POOLED_SCHEMA = pa.schema([*SUCCESS_SCHEMA, SERVER_NAME])


def _finish(run: StoredRun, server: str, kinds: dict[str, dict[str, int]]) -> Path:
    """Give a batch the marker of a download."""
    folder = run.layout.batch_folder(server, 0)
    text = '{"servers": %s}' % str(kinds).replace("'", '"')  # noqa: UP031
    write_marker(folder, text)
    return folder


def _run(path: Path, alike: int = LEAST_ALIKE) -> StoredRun:
    run = StoredRun(path)
    run.layout.schedules.mkdir(parents=True)
    rows = [row("ok", received(1)), *(row(f"same{n}", received(2), checksum_ok=n > 0) for n in range(alike))]
    run.add(rows, "a.example")
    _finish(run, "a.example", {"a.example": {"success": 1 + alike, "http_4xx": 1}})
    gone = {"uuid": "gone", "identifier": "http://a.example/gone.jpg", "error_kind": "http_4xx", "http_status": 404}
    errors = run.layout.batch_folder("a.example", 0) / ERRORS
    pq.write_table(pa.Table.from_pylist([gone], schema=ERROR_SCHEMA), errors)
    return run


def _uuids(layout: RunLayout, name: str) -> list[str]:
    files = sorted(layout.images.glob(f"*/*/{name}"))
    return sorted(uuid for file in files for uuid in pq.ParquetFile(file).read(["uuid"])["uuid"].to_pylist())


def test_a_picture_that_a_server_sends_for_many_links_becomes_an_error(tmp_path: Path) -> None:
    run = _run(tmp_path / "out")
    same = [f"same{n}" for n in range(LEAST_ALIKE)]
    assert reject_placeholders(run.layout) == LEAST_ALIKE
    assert _uuids(run.layout, SUCCESSES) == ["ok"]
    assert _uuids(run.layout, ERRORS) == sorted([*same, "gone"])
    folder = run.layout.batch_folder("a.example", 0)
    errors = {one["uuid"]: one for one in pq.ParquetFile(folder / ERRORS).read().to_pylist()}
    assert errors["same3"] | {"error_msg": ""} == errors["same3"] | {
        "identifier": "http://a.example/same3.jpg", "source_id": "id-same3", "error_kind": "not_image",
        "error_code": -2, "error_msg": "", "http_status": None,
    }  # fmt: skip
    assert errors["same3"]["error_msg"].startswith("placeholder: the server sends the same picture")
    counts = BatchFolder(folder).final_counts()
    assert counts is not None and counts.servers == {
        "a.example": {"http_4xx": 1, "not_image": LEAST_ALIKE, "success": 1}
    }
    assert list(verify([folder])) == [[]]
    assert reject_placeholders(run.layout) == 0


def test_fewer_links_are_no_placeholder_unless_their_picture_is_known_to_be_one(tmp_path: Path) -> None:
    run = _run(tmp_path / "few", LEAST_ALIKE - 1)
    assert reject_placeholders(run.layout) == 0
    known = _run(tmp_path / "known")
    reject_placeholders(known.layout)
    known.add([row("later", received(2))], partition_id=1)
    write_marker(known.layout.batch_folder("a.example", 1), '{"servers": {"a.example": {"success": 1}}}')
    assert reject_placeholders(known.layout) == 1


def test_servers_are_told_apart_also_in_shared_files(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.layout.schedules.mkdir(parents=True)
    rows: list[dict[str, Any]] = [
        row(f"{server}{n}", received(2), server_name=f"{server}.example")
        for server, count in (("a", LEAST_ALIKE), ("b", LEAST_ALIKE - 1))
        for n in range(count)
    ]
    run.add(rows, "pooled", schema=POOLED_SCHEMA)
    folder = _finish(run, "pooled", {"a.example": {"success": LEAST_ALIKE}, "b.example": {"success": LEAST_ALIKE - 1}})
    assert reject_placeholders(run.layout) == LEAST_ALIKE
    counts = BatchFolder(folder).counts()
    assert counts is not None
    assert counts.servers == {"a.example": {"not_image": LEAST_ALIKE}, "b.example": {"success": LEAST_ALIKE - 1}}
    assert Counter(pq.ParquetFile(folder / ERRORS).read()["server_name"].to_pylist()) == {"a.example": LEAST_ALIKE}


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_leaves_every_row_in_one_table_or_counted_once(
    tmp_path: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(tmp_path / "out")
    folder = run.layout.batch_folder("a.example", 0)
    inputs = pa.table({"uuid": ["ok", "gone", *(f"same{n}" for n in range(LEAST_ALIKE))]})
    inputs = inputs.append_column(
        "identifier", pa.array([f"http://a.example/{uuid}.jpg" for uuid in inputs["uuid"].to_pylist()])
    )
    done, replace = [0], os.replace

    def killed(source: Any, target: Any, **options: Any) -> None:
        if Path(target).name in {SUCCESSES, ERRORS}:
            if done[0] == renames:
                raise KeyboardInterrupt
            done[0] += 1
        replace(source, target, **options)

    def killed_before_the_marker(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    monkeypatch.setattr("ray_downloader.output.rejecting.write_marker", killed_before_the_marker)
    with pytest.raises(KeyboardInterrupt):
        reject_placeholders(run.layout)
    monkeypatch.undo()
    assert find_marker(folder) is None
    settled = BatchFolder(folder).settled(inputs)
    assert len(settled) == inputs.num_rows
    kinds = Counter(settled.values())
    assert kinds["success"] == (1 if renames == 2 else 1 + LEAST_ALIKE)


def test_link_health_counts_what_was_rejected_as_replaced(tmp_path: Path) -> None:
    run = _run(tmp_path / "out")
    before = run_here(run.tool("link_health"))
    reject_placeholders(run.layout)
    after = run_here(run.tool("link_health"))
    assert before["replaced"] == after["replaced"] == LEAST_ALIKE
    assert after["no_image"] == 0


def test_a_run_without_images_has_no_placeholders_and_notes_none(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    assert reject_placeholders(run.layout) == 0
    assert not run.layout.placeholders_file.exists()


def test_what_was_found_is_kept_by_server_and_a_damaged_file_of_it_is_as_good_as_none(tmp_path: Path) -> None:
    run = _run(tmp_path / "out")
    run.layout.placeholders_file.write_text("[1]")
    reject_placeholders(run.layout)
    text = run.layout.placeholders_file.read_text("utf-8")
    ((server, hashsum),) = json.loads(text)
    assert text == json.dumps([[server, hashsum]], indent=1) + "\n"
    assert server == "a.example" and len(hashsum) == 32
    run.layout.placeholders_file.write_text(json.dumps([["z.example", "0"], [server, hashsum]]))
    before = run.layout.placeholders_file.read_text()
    assert reject_placeholders(run.layout) == 0
    assert run.layout.placeholders_file.read_text() == before, "nothing new was found"
