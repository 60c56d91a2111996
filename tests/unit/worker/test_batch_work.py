"""A batch assigns every unsettled row once, keeps what rows learned, and is published when all are settled."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.partition.batches import load_batches
from ray_downloader.run_folder.layout import ERRORS, RunLayout
from ray_downloader.run_folder.schemas import ErrorRecord
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.batch_work import ASSIGNED_ROWS, CHUNK_ROWS, UNDER_WAY, BatchOptions, BatchWork
from ray_downloader.worker.request_policy import Failure
from ray_downloader.worker.row import Row, RowState
from tests.support.partitioned import partitioned_run

GONE = Failure(ErrorKind.HTTP_4XX, "HTTP status 404", 404)
TORN = Failure(ErrorKind.TRUNCATED, "torn", 200)


def gone(kind: ErrorKind = ErrorKind.HTTP_4XX, at: datetime | None = None) -> ErrorRecord:
    return Failure(kind, "HTTP status 404", 404).record(0, at or datetime(2026, 11, 27, tzinfo=timezone.utc))


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    urls = [f"http://a.example/{number:04d}.jpg" for number in range(700)]
    urls[:0] = [urls[511]] * 2  # with itself three rows of one URL, over the edge of a chunk
    return partitioned_run(tmp_path, urls)[1]


def open_work(layout: RunLayout, name: str = "task", **options: Any) -> BatchWork:
    (batch,) = load_batches(layout)
    return BatchWork(layout, WorkItem(batch, batch.rows), name, BatchOptions(**options))


def numbers(rows: list[Row]) -> list[int]:
    return [number for row in rows for number in row.rows.numbers]


def test_chunks_hold_every_row_once_and_never_split_equal_urls(layout: RunLayout) -> None:
    work = open_work(layout)
    first = list(work.next_rows())
    assert numbers(first) == list(range(514)), "512, and the two more that have the URL of the last"
    assert list(first[-1].rows.numbers) == [511, 512, 513]
    assert not work.wants_chunk
    assert numbers(list(work.next_rows())) == list(range(514, 702))
    assert not work.wants_chunk
    assert work.left == 702


def test_the_next_chunk_is_wanted_when_a_quarter_is_left(layout: RunLayout) -> None:
    work = open_work(layout)
    assert work.wants_chunk
    rows = list(work.next_rows())
    unsettled = 514
    for row in rows:
        assert work.wants_chunk is (unsettled < 128)
        row.move(RowState.IN_FLIGHT)
        work.settle_error(row, gone())
        unsettled -= len(row.rows.numbers)
    assert work.left == 702 - 514


@pytest.mark.parametrize(("batches", "chunk"), [(1, 512), (32, 512), (64, 256), (200, 81), (256, 64), (10_000, 64)])
def test_many_batches_in_a_task_assign_less_each(batches: int, chunk: int) -> None:
    assert BatchOptions(batches=batches).chunk_rows == chunk


def test_the_documented_bounds() -> None:
    assert (ASSIGNED_ROWS, CHUNK_ROWS) == (16_384, (64, 512))


def test_only_batches_of_several_servers_take_a_further_chunk_while_rows_wait(
    tmp_path: Path, layout: RunLayout
) -> None:
    _, pooled = partitioned_run(tmp_path / "pooled", [f"http://h{number:03d}.example/1.jpg" for number in range(600)])
    many, one = open_work(pooled), open_work(layout)
    assert (many.has_room, one.has_room) == (True, False)
    assert (len(list(many.next_rows())), len(list(one.next_rows()))) == (512, 512)
    assert (many.wants_chunk, many.has_room, one.has_room) == (False, True, False)
    list(many.next_rows())
    assert not many.has_room, "all are assigned"
    _, pair = partitioned_run(tmp_path / "pair", ["http://a.example/1.jpg", "http://b.example/1.jpg"])
    assert open_work(pair).has_room, "two are several"
    tight = open_work(pooled, batches=32)
    list(tight.next_rows())
    assert not tight.has_room, "32 batches share 16,384 rows"


def test_what_rows_learned_is_kept_beside_the_batch_and_comes_first(layout: RunLayout) -> None:
    work = open_work(layout)
    rows = list(work.next_rows())
    for row in (rows[20], rows[511]):
        row.move(RowState.IN_FLIGHT)
        row.attempt = 2
        row.defer(TORN, 5.0)
    rows[0].move(RowState.IN_FLIGHT)
    work.settle_error(rows[0], gone())
    item = work.give_back(3.0, now_s=1.0, now_unix_s=1000.0)
    assert (item.left, item.ready_in_s) == (701, 3.0)
    other = open_work(layout, "another")
    assert other.left == 701
    again = list(other.next_rows())
    assert numbers(again)[:5] == [20, 511, 512, 513, 1]
    assert sorted(numbers([*again, *other.next_rows()])) == list(range(1, 702))
    known = other.learned(again[1])
    assert known is not None
    assert (known["attempt"], known["rows"], known["not_before_unix_s"]) == (2, [511, 512, 513], 1004.0)
    assert other.learned(again[1]) is None, "given once"
    assert other.learned(again[2]) is None


def test_rows_that_nobody_came_to_keep_what_they_knew(layout: RunLayout) -> None:
    work = open_work(layout)
    rows = list(work.next_rows())
    rows[20].move(RowState.IN_FLIGHT)
    rows[20].defer(TORN, 5.0)
    work.give_back(0.0, 1.0, 1000.0)
    open_work(layout, "idle").give_back(0.0, 1.0, 1000.0)
    third = open_work(layout, "third")
    assert third.learned(next(third.next_rows())) is not None


def folder_of(layout: RunLayout) -> Path:
    (batch,) = load_batches(layout)
    return layout.batch_folder(batch.server_name, batch.partition_id)


def test_nothing_learned_leaves_no_file_behind(layout: RunLayout) -> None:
    work = open_work(layout)
    rows = list(work.next_rows())
    rows[20].move(RowState.IN_FLIGHT)
    rows[20].defer(TORN, 5.0)
    work.give_back(0.0, 1.0, 1000.0)
    assert (folder_of(layout) / UNDER_WAY).exists()
    work = open_work(layout, "another")
    for row in work.next_rows():
        known = work.learned(row)
        if known:
            row.resume(known, 0.0, 1000.0)
            row.move(RowState.IN_FLIGHT)
            work.settle_error(row, gone())
    work.give_back(0.0, 1.0, 1000.0)
    assert not (folder_of(layout) / UNDER_WAY).exists()


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"rows": 3}', '{"rows": [{"rows": [9999]}]}', '{"rows": [{"rows": ["x"]}]}', "\x00\xff"]
)
def test_a_damaged_file_of_what_was_learned_costs_requests_and_no_rows(layout: RunLayout, damage: str) -> None:
    folder_of(layout).mkdir(parents=True)
    (folder_of(layout) / UNDER_WAY).write_text(damage, "latin-1")
    work = open_work(layout)
    assert work.left == 702
    assert numbers(list(work.next_rows())) == list(range(514))


def test_a_row_whose_notes_are_damaged_begins_with_its_url(layout: RunLayout) -> None:
    folder_of(layout).mkdir(parents=True)
    (folder_of(layout) / UNDER_WAY).write_text('{"rows": [{"rows": [3], "attempt": 4, "url": "http://b.example/"}]}')
    work = open_work(layout)
    row = next(work.next_rows())
    assert (numbers([row]), work.resume(row, 0.0, 0.0)) == ([3], row.identifier)
    assert row.attempt == 1


def settle_all(work: BatchWork) -> None:
    while work.wants_chunk:
        for row in work.next_rows():
            work.settle_error(row, gone())


def test_a_settled_batch_is_published_with_every_row_once(layout: RunLayout) -> None:
    work = open_work(layout)
    settle_all(work)
    assert work.left == 0
    counts = work.publish()
    assert counts.by_kind == {"http_4xx": 702}
    assert pq.read_table(folder_of(layout) / ERRORS).num_rows == 702


def test_what_was_flushed_is_settled_for_the_next_task(layout: RunLayout) -> None:
    work = open_work(layout)
    for row in work.next_rows():
        work.settle_error(row, gone())
    work.flush()
    assert open_work(layout, "after a kill").left == 702 - 514


def test_a_row_under_decode_when_its_process_died_is_suspect(layout: RunLayout) -> None:
    work = open_work(layout)
    rows = list(work.next_rows())
    with work.decoding(rows[3]) as is_suspect:
        assert not is_suspect
        other = open_work(layout, "after a crash")
    again = list(other.next_rows())
    with other.decoding(again[3]) as is_suspect:
        assert is_suspect
    with other.decoding(again[4]) as is_suspect:
        assert not is_suspect


def test_rows_of_one_url_are_suspected_together_until_the_first_of_them_is_blamed(tmp_path: Path) -> None:
    urls = [f"http://a.example/{number}.jpg" for number in (0, 0, 0, *range(1, 8))]
    _, layout = partitioned_run(tmp_path, urls)
    in_hand = []
    for death in range(8):
        work = open_work(layout, f"task {death}")
        rows = list(work.next_rows())
        in_hand.append(numbers(rows))
        if work.is_blamed(rows[0]):
            break
        assert not any(work.is_blamed(row) for row in rows)
        work.begin()  # and its process dies
    assert in_hand == [list(range(10)), list(range(10)), [0, 1, 2, 3, 4, 5], [0, 1, 2, 3], *[[0, 1, 2]] * 4]
