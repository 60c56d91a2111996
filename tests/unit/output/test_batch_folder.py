"""A batch's folder after kills at every point: each row once, an image before an error, the newest error."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import md5
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.dataset import dataset

from ray_downloader.errors import ErrorKind
from ray_downloader.output.batch_folder import SUCCESS, BatchCounts, BatchFolder, with_shown_identifiers
from ray_downloader.output.journal import SUCCESS_JOURNALS, Journal, Rows
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.run_folder.markers import COMPLETED
from ray_downloader.run_folder.retry_order import RetryOrder
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SUCCESS_SCHEMA, URL_SCHEMA, ErrorRecord, ImageRecord

DNS_AGAIN = RetryOrder(1, (ErrorKind.DNS,), is_finished=False)
PICTURE = b"pixels" * 50
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
IMAGE = ImageRecord(
    "a" * 32,
    md5(b"pixels" * 50).hexdigest(),
    (30, 40),
    (3, 4),
    b"pixels" * 50,
    "jpeg",
    "png",
    0,
    "http://x/",
    None,
    None,
    NOW,
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
    folder.publish(inputs)
    assert folder.final_counts() is not None
    retried = BatchFolder(folder.path, DNS_AGAIN)
    assert retried.final_counts() is None
    assert set(retried.settled(inputs)) == {0, 1, 2}
    settle(folder, inputs, DNS_AGAIN.attempt_name("two"), images=[3])
    assert folder.final_counts() is None, "its journals are to be published"
    assert set(retried.settled(inputs)) == {0, 1, 2, 3}
    assert retried.publish(inputs).by_kind == {SUCCESS: 2, "http_4xx": 2}
    assert published_rows(folder) == (["uuid-0", "uuid-3"], ["uuid-1", "uuid-2"])


def test_a_row_that_fails_again_is_not_tried_a_third_time_by_the_same_order(folder: BatchFolder) -> None:
    inputs = batch_inputs(3)
    settle(folder, inputs, "one", images=[0], errors=[1, 2], record=error("dns", None))
    folder.publish(inputs)
    retried = BatchFolder(folder.path, DNS_AGAIN)
    settle(folder, inputs, DNS_AGAIN.attempt_name("two"), errors=[1], record=error("dns", None))
    assert set(retried.settled(inputs)) == {0, 1}, "the order goes on with the row that it did not get to"
    settle(folder, inputs, DNS_AGAIN.attempt_name("three"), errors=[2], record=error("dns", None))
    retried.publish(inputs)
    assert retried.final_counts() is not None
    assert set(retried.settled(inputs)) == {0, 1, 2}
    later = BatchFolder(folder.path, replace(DNS_AGAIN, number=2))
    assert later.final_counts() is None
    assert set(later.settled(inputs)) == {0}


def test_errors_of_an_unfinished_batch_are_retried_too(folder: BatchFolder) -> None:
    inputs = batch_inputs(3)
    settle(folder, inputs, "one", images=[0], errors=[1], record=error("dns", None))
    assert set(BatchFolder(folder.path, DNS_AGAIN).settled(inputs)) == {0}


def test_an_order_that_has_ended_leaves_its_errors_alone(folder: BatchFolder) -> None:
    inputs = batch_inputs(2)
    settle(folder, inputs, "one", images=[0], errors=[1], record=error("dns", None))
    folder.publish(inputs)
    assert BatchFolder(folder.path, replace(DNS_AGAIN, is_finished=True)).final_counts() is not None


def test_a_kill_while_a_retry_is_published_tries_nothing_again(folder: BatchFolder) -> None:
    inputs = batch_inputs(2)
    settle(folder, inputs, "one", images=[0], errors=[1], record=error("dns", None))
    folder.publish(inputs)
    settle(folder, inputs, DNS_AGAIN.attempt_name("two"), errors=[1], record=error("dns", None))
    (journal,) = folder.path.glob("*.arrows")
    kept = journal.read_bytes()
    retried = BatchFolder(folder.path, DNS_AGAIN)
    retried.publish(inputs)
    (folder.path / COMPLETED).unlink()
    journal.write_bytes(kept)
    assert set(retried.settled(inputs)) == {0, 1}


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


def kinds_published(folder: BatchFolder) -> dict[str, str]:
    table = pq.read_table(folder.path / ERRORS, columns=["uuid", "error_kind"])
    return dict(zip(table["uuid"].to_pylist(), table["error_kind"].to_pylist(), strict=True))


def test_a_marker_says_rows_and_servers_and_is_read_again() -> None:
    counts = BatchCounts.of(["x", "y", "x", "x"], {0: SUCCESS, 1: "dns", 2: "dns", 3: SUCCESS})
    assert counts == BatchCounts({"x": {"dns": 1, SUCCESS: 2}, "y": {"dns": 1}})
    servers = {"x": {"dns": 1, "success": 2}, "y": {"dns": 1}}
    assert json.loads(counts.to_json()) == {"rows": 4, "servers": servers, "crc32": "0e7e562e"}
    assert counts.to_json().endswith("}\n")
    assert BatchCounts.parse(counts.to_json()) == counts
    assert counts.by_kind == {SUCCESS: 2, "dns": 2}


def test_a_batch_has_errors_of_the_kinds_that_any_of_its_servers_has() -> None:
    counts = BatchCounts({"x": {SUCCESS: 1}, "y": {"dns": 1}})
    assert counts.has_errors_of([ErrorKind.TIMEOUT, ErrorKind.DNS])
    assert not counts.has_errors_of([ErrorKind.TIMEOUT])
    assert not counts.has_errors_of([])
    assert not BatchCounts({"x": {SUCCESS: 3}}).has_errors_of([ErrorKind.DNS])


def test_a_batch_has_work_left_until_it_is_finished_and_while_it_has_journals(folder: BatchFolder) -> None:
    inputs = batch_inputs(1)
    assert folder.final_counts() is None
    settle(folder, inputs, "one", errors=[0])
    assert folder.final_counts() is None, "it was never finished"
    folder.publish(inputs)
    assert folder.final_counts() == folder.counts(), "its journals are in its tables"
    settle(folder, inputs, "two", errors=[0])
    assert folder.final_counts() is None


def test_a_batch_is_not_finished_while_it_is_published_anew(folder: BatchFolder) -> None:
    inputs = batch_inputs(2)
    settle(folder, inputs, "one", errors=[0, 1])
    folder.publish(inputs)
    with pytest.raises(RuntimeError, match="1 rows are not settled"):
        folder.publish(pa.concat_tables([inputs, batch_inputs(3).slice(2)]))
    assert folder.counts() is None
    assert len(folder.settled(inputs)) == 2, "what was published is as it was"


def test_the_newest_journal_of_errors_counts_whatever_its_name(folder: BatchFolder) -> None:
    inputs = batch_inputs(2)
    for at_s, (attempt, kind) in enumerate((("b", "dns"), ("c", "timeout"), ("a", "reset"))):
        settle(folder, inputs, attempt, errors=[0], record=error(kind, None))
        os.utime(folder.path / f"errors-{attempt}.arrows", ns=(0, 1_000_000 + at_s))
    settle(folder, inputs, "d", images=[1])
    assert folder.settled(inputs) == {0: "reset", 1: SUCCESS}
    folder.publish(inputs)
    assert kinds_published(folder) == {"uuid-0": "reset"}


def test_a_row_published_as_an_error_is_an_image_once_it_has_one(folder: BatchFolder) -> None:
    inputs = batch_inputs(2)
    settle(folder, inputs, "one", errors=[0, 1])
    folder.publish(inputs)
    settle(folder, inputs, "two", images=[1], errors=[1])
    assert folder.settled(inputs) == {0: "http_4xx", 1: SUCCESS}
    assert folder.publish(inputs).by_kind == {"http_4xx": 1, SUCCESS: 1}
    assert published_rows(folder) == (["uuid-1"], ["uuid-0"])


def test_batches_longer_than_a_chunk_are_merged_row_by_row(folder: BatchFolder) -> None:
    """Published tables are read by chunks of 256 rows; journals are written by 200."""
    inputs = batch_inputs(1000)
    settle(folder, inputs, "one", images=range(0, 1000, 2), errors=range(1, 1000, 2))
    folder.publish(inputs)
    retried = [1, 255, 257, 511, 513, 999]
    settle(folder, inputs, "two", images=retried)
    settle(folder, inputs, "three", errors=[3, 601], record=error("dns", None))
    counts = folder.publish(inputs)
    assert counts.by_kind == {SUCCESS: 506, "http_4xx": 492, "dns": 2}
    images, errors = published_rows(folder)
    assert images == sorted(f"uuid-{row}" for row in {*range(0, 1000, 2), *retried})
    assert errors == sorted({f"uuid-{row}" for row in range(1000)} - set(images))
    assert {uuid for uuid, kind in kinds_published(folder).items() if kind == "dns"} == {"uuid-3", "uuid-601"}


@pytest.mark.parametrize("ending", ["images", "errors"])
def test_equal_rows_are_each_there_even_over_a_chunks_edge(folder: BatchFolder, ending: str) -> None:
    """The same uuid and URL, many times: one request settles them all, and which of them is which does not matter."""
    inputs = pa.concat_tables([batch_inputs(2), *([batch_inputs(1)] * 598)])
    settle(folder, inputs, "one", images=[1])
    settle(folder, inputs, "two", **{ending: [0, *range(2, 600)]})
    for _ in range(2):
        assert folder.publish(inputs).by_kind == {SUCCESS: 600} if ending == "images" else {SUCCESS: 1, "http_4xx": 599}
        assert len(folder.settled(inputs)) == 600


def test_rows_alike_in_one_of_uuid_and_url_are_different_rows(folder: BatchFolder) -> None:
    inputs = batch_inputs(2).set_column(0, URL_SCHEMA.field("uuid"), [["same", "same"]])
    settle(folder, inputs, "one", images=[1], errors=[0])
    folder.publish(inputs)
    assert folder.settled(inputs) == {0: "http_4xx", 1: SUCCESS}


def test_columns_that_an_earlier_run_did_not_ask_for_are_null_and_come_with_the_next(folder: BatchFolder) -> None:
    inputs = batch_inputs(3)
    settle(folder, inputs, "one", images=[0, 1], errors=[2])
    folder.publish(inputs)
    with Journal(folder.path, "two", ["exif"]) as journal:
        journal.add_image(Rows(inputs, [2], [2]), replace(IMAGE, extra={"exif": "{}"}))
    folder.publish(inputs, ["exif"])
    table = pq.read_table(folder.path / SUCCESSES, columns=["uuid", "exif"])
    assert dict(zip(table["uuid"].to_pylist(), table["exif"].to_pylist(), strict=True)) == {
        "uuid-0": None, "uuid-1": None, "uuid-2": "{}",
    }  # fmt: skip
    assert pq.read_schema(folder.path / SUCCESSES).names == [*SUCCESS_SCHEMA.names, "exif"]


def test_images_are_published_in_the_order_in_which_they_were_settled(folder: BatchFolder) -> None:
    inputs = batch_inputs(500)
    settle(folder, inputs, "one", images=range(500))
    folder.publish(inputs)
    assert pq.read_table(folder.path / SUCCESSES)["uuid"].to_pylist() == [f"uuid-{row}" for row in range(500)]


def test_a_folder_of_batches_is_read_as_one_table_by_those_who_read_folders(tmp_path: Path) -> None:
    images = tmp_path / "images"
    for number in range(2):
        folder = BatchFolder(images / "server_name=x" / f"partition_id={number}")
        settle(folder, batch_inputs(3), "one", images=range(3))
        folder.publish(batch_inputs(3))
        (folder.path / ERRORS).unlink()  # a table of another kind, which a reader leaves out by its name
    assert dataset(images, partitioning="hive").to_table().num_rows == 6
    assert pq.read_table(images).num_rows == 6
    assert len(pd.read_parquet(images)) == 6
    assert duckdb.sql(f"SELECT count(*) FROM '{images}/**/successes.parquet'").fetchall() == [(6,)]


def test_each_row_of_shared_files_names_its_server(tmp_path: Path) -> None:
    inputs = batch_inputs(4)
    folder = BatchFolder(tmp_path / "server_name=pooled" / "partition_id=0")
    settle(folder, inputs, "one", images=[0, 1], errors=[2, 3])
    folder.publish(inputs)
    folder.publish(inputs)  # once more, from the files alone
    for name, servers in {SUCCESSES: {"0": "y", "1": "x"}, ERRORS: {"2": "y", "3": "x"}}.items():
        rows = pq.ParquetFile(folder.path / name).read(["identifier", "server_name"]).to_pylist()
        assert {row["identifier"][len("http://x/")]: row["server_name"] for row in rows} == servers
    assert pq.read_table(tmp_path / "server_name=pooled").num_rows == pd.read_parquet(tmp_path).shape[0] == 4


def test_results_name_rows_without_the_passwords_in_their_urls() -> None:
    plain = pa.table({"uuid": ["1"], "identifier": ["http://a.org/1.jpg"]})
    assert with_shown_identifiers(plain) is plain
    secret = pa.table({"uuid": ["1", "2"], "identifier": ["http://me:secret@a.org/1.jpg", "http://a.org/@2.jpg"]})
    shown = with_shown_identifiers(secret)
    assert shown.column_names == ["uuid", "identifier"]
    assert shown["identifier"].to_pylist() == ["http://a.org/1.jpg", "http://a.org/@2.jpg"]
    assert shown.schema == secret.schema


def test_a_journal_of_another_batch_settles_nothing(folder: BatchFolder, tmp_path: Path) -> None:
    inputs, others = batch_inputs(4), batch_inputs(8).slice(3)
    settle(folder, others, "foreign", images=[0, 1], errors=[2, 3, 4])
    settle(folder, inputs, "own", images=[1], errors=[2])
    assert folder.settled(inputs) == {1: SUCCESS, 2: "http_4xx"}
    settle(folder, inputs, "own more", images=[0, 3])
    folder.publish(inputs)
    assert published_rows(folder) == (["uuid-0", "uuid-1", "uuid-3"], ["uuid-2"])


def test_a_journal_under_the_name_of_the_other_kind_settles_nothing(folder: BatchFolder) -> None:
    inputs = batch_inputs(2)
    settle(folder, inputs, "one", images=[0], errors=[1])
    for old, new in (("successes-one", "errors-two"), ("errors-one", "successes-one"), ("errors-two", "errors-one")):
        (folder.path / f"{old}.arrows").rename(folder.path / f"{new}.arrows")
    assert folder.settled(inputs) == {}
    settle(folder, inputs, "again", images=[0], errors=[1])
    folder.publish(inputs)
    assert published_rows(folder) == (["uuid-0"], ["uuid-1"])


def test_a_batch_in_the_place_of_another_is_named_and_its_rows_are_left_to_do(tmp_path: Path) -> None:
    inputs, others = batch_inputs(4), batch_inputs(8).slice(4)
    first, second = (BatchFolder(tmp_path / "server_name=x" / f"partition_id={number}") for number in (0, 1))
    settle(first, inputs, "one", images=[0, 1, 2], errors=[3])
    first.publish(inputs)
    shutil.copytree(first.path, second.path)
    assert second.final_counts() is None and first.final_counts() is not None
    assert second.problems() == [f"{second.path}/_completed is that of server_name=x/partition_id=0"]
    assert second.settled(others) == {} and len(second.settled(inputs)) == 4
    settle(second, others, "two", images=[0, 1, 2, 3])
    second.publish(others)
    assert second.final_counts() is not None and published_rows(second) == ([f"uuid-{n}" for n in range(4, 8)], [])


@pytest.mark.parametrize("name", [SUCCESSES, ERRORS, COMPLETED, "successes-one.arrows", "errors-one.arrows"])
@pytest.mark.parametrize("is_finished", [True, False], ids=["finished", "under way"])
def test_what_is_not_a_file_is_named_and_makes_way(folder: BatchFolder, name: str, is_finished: bool) -> None:
    inputs = batch_inputs(4)
    settle(folder, inputs, "one", images=[0, 1, 2], errors=[3])
    if is_finished:
        folder.publish(inputs)
    (folder.path / name).unlink(missing_ok=True)
    (folder.path / name).mkdir()
    (folder.path / name / "something").touch()
    assert folder.final_counts() is None
    assert folder.problems() == [f"{folder.path / name} is damaged, as it is not a file"]
    before = folder.settled(inputs)
    folder.set_odd_aside()
    assert folder.settled(inputs) == before and not any("not a file" in problem for problem in folder.problems())
    settle(folder, inputs, "two", images={0, 1, 2} - before.keys(), errors={3} - before.keys())
    folder.publish(inputs)
    assert published_rows(folder) == (["uuid-0", "uuid-1", "uuid-2"], ["uuid-3"])
    assert folder.final_counts() is not None and (folder.path / f"damaged-{name}" / "something").exists()


@pytest.mark.parametrize("name", [SUCCESSES, ERRORS])
@pytest.mark.parametrize(
    "other", [pa.table({"a": [1]}), pa.table({"uuid": [1], "identifier": ["x"]})], ids=["no", "odd"]
)
def test_a_table_of_another_kind_has_no_rows(folder: BatchFolder, name: str, other: pa.Table) -> None:
    inputs = batch_inputs(4)
    settle(folder, inputs, "one", images=[0, 1, 2], errors=[3])
    folder.publish(inputs)
    pq.write_table(other, folder.path / name)
    assert len(folder.settled(inputs)) == (1 if name == SUCCESSES else 3)
    (folder.path / COMPLETED).unlink()
    assert len(folder.settled(inputs)) == (1 if name == SUCCESSES else 3)
    assert folder.verify() == []


@pytest.mark.parametrize("name", [SUCCESSES, ERRORS])
def test_a_table_that_is_not_as_it_was_written_is_found_and_its_batch_is_not_finished(
    folder: BatchFolder, name: str
) -> None:
    inputs = batch_inputs(4)
    assert folder.verify() == [], "nothing was published yet"
    settle(folder, inputs, "one", images=[0, 1, 2], errors=[3])
    folder.publish(inputs)
    assert folder.verify() == []
    assert folder.final_counts() is not None
    path = folder.path / name
    path.write_bytes(path.read_bytes()[:-3])
    (problem,) = folder.verify()
    assert problem.startswith(str(path))
    assert folder.counts() is None
