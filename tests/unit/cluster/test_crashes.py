"""Batches whose tasks die again and again are found, and given up before the run is."""

from __future__ import annotations

from ray_downloader.cluster.crashes import ALONE_FROM, MAX_CRASHES, Crashes
from ray_downloader.partition.batches import Batch
from ray_downloader.schedule.planner import WorkItem


def item(batch_id: int, left: int) -> WorkItem:
    return WorkItem(Batch(batch_id, "a.example", batch_id, "rows.parquet", 0, 100, 1), left)


def test_one_crash_may_be_anybodys_and_a_second_puts_a_batch_into_a_task_of_its_own() -> None:
    crashes = Crashes()
    again, abandoned = crashes.judge([item(1, 100), item(2, 100)])
    assert [(one.batch.batch_id, one.is_alone) for one in again] == [(1, False), (2, False)]
    again, abandoned = crashes.judge([item(2, 100), item(3, 100)])
    assert [(one.batch.batch_id, one.is_alone) for one in again] == [(2, True), (3, False)]
    assert (abandoned, ALONE_FROM) == ([], 2)


def test_a_batch_whose_tasks_die_without_settling_a_row_is_given_up() -> None:
    crashes = Crashes()
    for _ in range(MAX_CRASHES - 1):
        again, abandoned = crashes.judge([item(1, 100)])
        assert len(again) == 1 and not abandoned
    again, abandoned = crashes.judge([item(1, 100), item(2, 5)])
    assert [one.batch.batch_id for one in again] == [2]
    assert [one.batch.batch_id for one in abandoned] == [1]


def test_progress_since_the_last_crash_begins_the_count_anew() -> None:
    crashes = Crashes()
    for left in range(3 * MAX_CRASHES, 0, -1):
        again, abandoned = crashes.judge([item(1, left)])
        assert not abandoned
        assert not again[0].is_alone
    again, _ = crashes.judge([item(1, 1)])
    assert again[0].is_alone
