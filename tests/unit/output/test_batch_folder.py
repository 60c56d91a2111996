"""A batch's folder after kills at every point: each row once, an image before an error, the newest error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.output.batch_folder import SUCCESS, BatchCounts, BatchFolder
from ray_downloader.output.journal import SUCCESS_JOURNALS, Journal, Rows
from ray_downloader.run_folder.layout import COMPLETED, ERRORS, SUCCESSES
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SUCCESS_SCHEMA, URL_SCHEMA, ErrorRecord, ImageRecord

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
IMAGE = ImageRecord(
    "a" * 32, "b" * 32, (30, 40), (3, 4), b"pixels" * 50, "jpeg", "png", 0, "http://x/", None, None, NOW
)


def error(kind: str = "http_4xx", status: int | None = 404) -> ErrorRecord:
    return ErrorRecord(0, status or -1, "why", kind, status, None, NOW)


def batch_inputs(rows: int) -> pa.Table:
    return pa.table(
        {
            "uuid": [f"uuid-{row}" for row in range(rows)],
            "source_id": [f"id-{row}" for row in range(rows)],
            "identifier": [f"http://x/{row}.jpg" for row in range(rows)],
            "server_name": ["x" if row % 2 else "y" for row in range(rows)],
            "is_license_full": [True] * rows,
            "license": ["CC0"] * rows,
            "source": ["museum"] * rows,
            "title": [None] * rows,
            "creator": [None] * rows,
            "mirrors": [None] * rows,
            "license_from": ["media"] * rows,
            "checksum": [None] * rows,
            "size_bytes": [None] * rows,
        },
        schema=URL_SCHEMA,
    )


def settle(
    folder: BatchFolder, inputs: pa.Table, attempt: str, images: Iterable[int] = (), errors: Iterable[int] = (),
    record: ErrorRecord | None = None,
) -> None:  # fmt: skip
    with Journal(folder.path, attempt) as journal:
        for row in images:
            journal.add_image(Rows(inputs, [row], [row]), IMAGE)
        for row in errors:
            journal.add_error(Rows(inputs, [row], [row]), record or error())


def published_rows(folder: BatchFolder) -> tuple[list[str], list[str]]:
    return tuple(
        sorted(pq.read_table(folder.path / name, columns=["uuid"])["uuid"].to_pylist()) for name in (SUCCESSES, ERRORS)
    )


@pytest.fixture
def folder(tmp_path: Path) -> BatchFolder:
    return BatchFolder(tmp_path / "partition_id=0")


def test_a_published_batch_has_the_contract_schemas_and_counts_by_server(folder: BatchFolder) -> None:
    inputs = batch_inputs(4)
    settle(folder, inputs, "one", images=[0, 1, 2], errors=[3])
    counts = folder.publish(inputs)
    assert counts == BatchCounts({"x": {"http_4xx": 1, SUCCESS: 1}, "y": {SUCCESS: 2}})
    assert folder.counts() == counts
    assert pq.read_schema(folder.path / SUCCESSES).equals(SUCCESS_SCHEMA)
    assert pq.read_schema(folder.path / ERRORS).equals(ERROR_SCHEMA)
    assert pq.read_table(folder.path / SUCCESSES)["original_size"].to_pylist() == [[30, 40]] * 3
    assert sorted(path.name for path in folder.path.iterdir()) == [COMPLETED, ERRORS, SUCCESSES]


@pytest.mark.parametrize(("image_format", "codec"), [("jpeg", "UNCOMPRESSED"), ("raw", "ZSTD")])
def test_only_raw_pixels_are_compressed_once_more(folder: BatchFolder, image_format: str, codec: str) -> None:
    inputs = batch_inputs(2)
    with Journal(folder.path, "attempt") as journal:
        for row in range(2):
            journal.add_image(Rows(inputs, [row], [row]), replace(IMAGE, image_format=image_format))
    folder.publish(inputs)
    columns = pq.read_metadata(folder.path / SUCCESSES).row_group(0)
    codecs = {columns.column(at).path_in_schema: columns.column(at).compression for at in range(columns.num_columns)}
    assert codecs["image"] == codec
    assert codecs["identifier"] == "ZSTD"


def test_a_torn_journal_is_read_to_its_last_whole_record_batch(folder: BatchFolder) -> None:
    inputs = batch_inputs(600)
    settle(folder, inputs, "one", images=range(600))
    journal = next(folder.path.glob(SUCCESS_JOURNALS))
    journal.write_bytes(journal.read_bytes()[:-1000])
    settled = folder.settled(inputs)
    assert 0 < len(settled) < 600
    settle(folder, inputs, "two", images=[row for row in range(600) if row not in settled])
    folder.publish(inputs)
    assert published_rows(folder) == (sorted(f"uuid-{row}" for row in range(600)), [])


def test_rows_settled_by_two_attempts_are_published_once_and_an_image_beats_an_error(folder: BatchFolder) -> None:
    inputs = batch_inputs(3)
    settle(folder, inputs, "one", images=[0], errors=[1, 2])
    settle(folder, inputs, "two", images=[0, 1])
    folder.publish(inputs)
    assert published_rows(folder) == (["uuid-0", "uuid-1"], ["uuid-2"])


def test_a_batch_with_an_unsettled_row_is_not_marked(folder: BatchFolder) -> None:
    inputs = batch_inputs(2)
    settle(folder, inputs, "one", images=[0])
    with pytest.raises(RuntimeError, match="1 rows are not settled"):
        folder.publish(inputs)
    assert folder.counts() is None
    assert folder.settled(inputs) == {0: SUCCESS}


def test_only_the_named_kinds_are_retried_and_what_succeeds_moves_over(folder: BatchFolder) -> None:
    inputs = batch_inputs(4)
    settle(folder, inputs, "one", images=[0], errors=[1, 2])
    settle(folder, inputs, "dns", errors=[3], record=error("dns", None))
    assert folder.publish(inputs).has_errors_of([ErrorKind.DNS])
    assert set(folder.settled(inputs, [ErrorKind.DNS])) == {0, 1, 2}
    settle(folder, inputs, "two", images=[3])
    assert folder.is_reopened()
    assert set(folder.settled(inputs, [ErrorKind.DNS])) == {0, 1, 2, 3}
    assert folder.publish(inputs).by_kind == {SUCCESS: 2, "http_4xx": 2}
    assert published_rows(folder) == (["uuid-0", "uuid-3"], ["uuid-1", "uuid-2"])


def test_a_kill_between_the_two_renames_of_a_retry_loses_and_doubles_nothing(folder: BatchFolder) -> None:
    inputs = batch_inputs(3)
    settle(folder, inputs, "one", images=[0], errors=[1, 2])
    folder.publish(inputs)
    old_errors = (folder.path / ERRORS).read_bytes()
    settle(folder, inputs, "two", images=[1])
    journal = next(folder.path.glob(SUCCESS_JOURNALS))
    kept = journal.read_bytes()
    folder.publish(inputs)
    (folder.path / COMPLETED).unlink()
    (folder.path / ERRORS).write_bytes(old_errors)
    journal.write_bytes(kept)
    folder.publish(inputs)
    assert published_rows(folder) == (["uuid-0", "uuid-1"], ["uuid-2"])


def test_the_newest_error_of_a_retried_row_is_kept(folder: BatchFolder) -> None:
    inputs = batch_inputs(1)
    settle(folder, inputs, "one", errors=[0], record=error("dns", None))
    folder.publish(inputs)
    settle(folder, inputs, "two", errors=[0], record=error("http_5xx", 503))
    assert folder.settled(inputs) == {0: "http_5xx"}
    folder.publish(inputs)
    assert pq.read_table(folder.path / ERRORS)["error_code"].to_pylist() == [503]
