"""Whether a run is finished is read from its folder: markers, and journals where there is none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import md5
from pathlib import Path

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.output.batch_folder import SUCCESS, BatchCounts, BatchFolder
from ray_downloader.output.journal import Journal, Rows
from ray_downloader.partition.batches import Batch, load_batches, read_batch
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import RetryOrder
from ray_downloader.run_folder.schemas import ErrorRecord, ImageRecord
from ray_downloader.schedule.run_status import RunStatus, scan
from ray_downloader.status import status_of
from tests.support.partitioned import partitioned_run

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
IMAGE = ImageRecord(
    "a" * 32, md5(b"pixels").hexdigest(), (30, 40), (3, 4), b"pixels", "jpeg", "png", 0, "http://x/", None, None, NOW
)


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    """Twelve rows of a, twelve of b, and two of servers that share a batch."""
    urls = [f"http://{host}.org/{number}.jpg" for host in "ab" for number in range(12)]
    return partitioned_run(tmp_path, [*urls, "http://c.org/0.jpg", "http://d.org/0.jpg"])[1]


def batch_of(layout: RunLayout, server: str) -> Batch:
    (batch,) = (batch for batch in load_batches(layout) if batch.server_name == server)
    return batch


def settle(
    layout: RunLayout, batch: Batch, images: int, errors: int = 0, kind: str = "dns", attempt: str = "1"
) -> None:
    """The first rows of a batch as images, the next ones as errors."""
    inputs = read_batch(layout, batch)
    with Journal(layout.batch_folder(batch.server_name, batch.partition_id), attempt) as journal:
        for row in range(images):
            journal.add_image(Rows(inputs, [row], [row]), IMAGE)
        for row in range(images, images + errors):
            journal.add_error(Rows(inputs, [row], [row]), ErrorRecord(0, -1, "why", kind, None, None, NOW))


def publish(layout: RunLayout, batch: Batch) -> None:
    BatchFolder(layout.batch_folder(batch.server_name, batch.partition_id)).publish(read_batch(layout, batch))


def order(*kinds: ErrorKind) -> RetryOrder:
    return RetryOrder(1, kinds, "2026-01-01", is_finished=False)


def left(status: RunStatus) -> dict[str, int]:
    """Rows of the batches that are work, by server."""
    return {item.batch.server_name: item.left for item in status.work}


def test_of_a_run_that_has_not_begun_everything_is_left(layout: RunLayout) -> None:
    status = scan(layout, load_batches(layout))
    assert left(status) == {"a.org": 12, "b.org": 12, "pooled": 2}
    assert status.rows_left == {"a.org": 12, "b.org": 12, "pooled": 2}
    assert (status.settled_rows, status.by_kind, status.settled) == (0, Counter(), {})


def test_a_finished_batch_is_no_work_and_its_rows_count_by_server(layout: RunLayout) -> None:
    pooled = batch_of(layout, "pooled")
    settle(layout, pooled, images=1, errors=1)
    publish(layout, pooled)
    status = scan(layout, load_batches(layout))
    assert left(status) == {"a.org": 12, "b.org": 12}
    assert "pooled" not in status.rows_left
    assert status.settled == {"c.org": {SUCCESS: 1}, "d.org": {"dns": 1}}
    assert (status.by_kind, status.settled_rows) == ({SUCCESS: 1, "dns": 1}, 2)


def test_a_batch_under_way_is_work_with_what_its_journals_leave(layout: RunLayout) -> None:
    settle(layout, batch_of(layout, "a.org"), images=4, errors=3)
    status = scan(layout, load_batches(layout))
    assert left(status) == {"a.org": 5, "b.org": 12, "pooled": 2}
    assert status.rows_left["a.org"] == 5
    assert status.settled == {"a.org": {SUCCESS: 4, "dns": 3}}


def test_a_batch_of_which_all_is_settled_is_work_until_it_is_published(layout: RunLayout) -> None:
    batch = batch_of(layout, "a.org")
    settle(layout, batch, images=12)
    status = scan(layout, [batch])
    assert left(status) == {"a.org": 0}
    publish(layout, batch)
    assert scan(layout, [batch]).work == []


def test_errors_that_are_to_be_tried_again_are_left_and_others_are_not(layout: RunLayout) -> None:
    batch = batch_of(layout, "a.org")
    settle(layout, batch, images=9, errors=3)
    publish(layout, batch)
    assert scan(layout, [batch], order(ErrorKind.TIMEOUT)).work == []
    status = scan(layout, [batch], order(ErrorKind.TIMEOUT, ErrorKind.DNS))
    assert left(status) == {"a.org": 3}
    assert status.settled == {"a.org": {SUCCESS: 9}}


def test_a_batch_whose_retry_was_begun_stays_work_whatever_is_asked_for(layout: RunLayout) -> None:
    batch = batch_of(layout, "a.org")
    settle(layout, batch, images=9, errors=3)
    publish(layout, batch)
    settle(layout, batch, images=10, attempt="2")
    status = scan(layout, [batch])
    assert left(status) == {"a.org": 0}
    assert status.by_kind == {SUCCESS: 10, "dns": 2}


@pytest.mark.parametrize("damage", ["", "{", "[]"], ids=["missing", "half", "other"])
def test_the_status_is_counted_from_results_where_the_files_that_sum_them_up_are_lost(
    layout: RunLayout, damage: str
) -> None:
    settle(layout, batch_of(layout, "a.org"), 10, 2)
    publish(layout, batch_of(layout, "a.org"))
    settle(layout, batch_of(layout, "b.org"), 3)
    if damage:
        layout.logs.mkdir()
        layout.progress_file.write_text(damage, "utf-8")
        layout.summary_file.write_text(damage, "utf-8")
    found = status_of(layout)
    assert found["state"] == "stopped"
    assert found["rows"] == {"input": 26, "rejected": 0, "successes": 13, "errors": 2, "left": 11}
    assert found["errors_by_kind"] == {"dns": 2}


def test_a_marker_that_counts_other_rows_than_its_batch_has_is_not_believed(layout: RunLayout) -> None:
    batch = batch_of(layout, "a.org")
    settle(layout, batch, images=9, errors=3)
    publish(layout, batch)
    assert scan(layout, [batch]).work == []
    marker = layout.batch_folder(batch.server_name, batch.partition_id) / "_completed"
    counts = BatchCounts.parse(marker.read_text())
    marker.write_text(replace(counts, servers={"a.org": {SUCCESS: 9, "dns": 2}}).to_json())
    status = scan(layout, [batch])
    assert left(status) == {"a.org": 0} and status.by_kind == {SUCCESS: 9, "dns": 3}
    assert status.problems == [f"the marker of {marker.parent} is not its own"]


def test_what_batches_count_adds_up() -> None:
    status = RunStatus()
    counts = BatchCounts({"a.org": {SUCCESS: 3, "dns": 1}}, {"ok": 2, "wrong": 1}, reused={"linked": 2})
    for _ in range(2):
        status.add(counts)
    status.add(BatchCounts({"b.org": {SUCCESS: 1}}, reused={"not_modified": 1}))
    assert status.settled == {"a.org": {SUCCESS: 6, "dns": 2}, "b.org": {SUCCESS: 1}}
    assert status.by_kind == {SUCCESS: 7, "dns": 2} and status.settled_rows == 9
    assert status.checksums == {"ok": 4, "wrong": 2}
    assert status.reused == {"linked": 4, "not_modified": 1}
