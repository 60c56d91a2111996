"""What a filter listed is assigned to the runners in turn."""

from __future__ import annotations

from ray_downloader.tools import DefaultScheduler, FilterRegister, PythonFilterToolBase, SchedulerRegister
from ray_downloader.tools.legacy import register
from ray_downloader.tools.rows import write_rows
from tests.support.stored import StoredRun, rows_of
from tests.unit.tools.legacy.steps import config


def test_the_name_is_given_once_and_every_step_knows_it(run: StoredRun) -> None:
    @FilterRegister("mine")
    class Filter(PythonFilterToolBase): ...

    @SchedulerRegister("mine")
    class Scheduler(DefaultScheduler): ...

    Filter(config(run)).run()
    Scheduler(config(run)).run()
    folder = run.layout.tools / "mine"
    assert rows_of(folder / "filter_table" / "table.csv") == [
        {"server_name": "a.example", "partition_id": "0"},
        {"server_name": "b.example:8080", "partition_id": "3"},
    ]
    assert [one["rank"] for one in rows_of(folder / "schedule.csv")] == ["0", "1"]
    assert register.custom_tools() == {"mine"}


def test_each_batch_is_assigned_once_however_many_of_its_rows_are_listed(run: StoredRun) -> None:
    @SchedulerRegister("mine")
    class Scheduler(DefaultScheduler): ...

    folder = run.layout.tools / "mine" / "filter_table"
    columns = ("uuid", "server_name", "partition_id")
    write_rows(folder / "b.csv", columns, [("u3", "a", 2), ("u4", "a", 1)])
    write_rows(folder / "a" / "a.csv", columns, [("u1", "a", 1), ("u2", "b", 1), ("u5", "a", 1)])
    write_rows(folder.parent / "found.csv", columns, [("u9", "other", 9)])  # a file of the tool's own
    Scheduler(config(run, world_size=2)).run()
    rows = rows_of(run.layout.tools / "mine" / "schedule.csv")
    assert [tuple(one.values()) for one in rows] == [("a", "1", "0"), ("b", "1", "1"), ("a", "2", "0")]
    assert list(rows[0]) == ["server_name", "partition_id", "rank"]


def test_a_scheme_of_its_own_says_what_is_distinct(run: StoredRun) -> None:
    @SchedulerRegister("mine")
    class Scheduler(DefaultScheduler):
        scheme = ["server_name"]  # noqa: RUF012 (as legacy tools do)

    rows = [("a", 1), ("a", 2), ("b", 1)]
    write_rows(run.layout.tools / "mine" / "filter_table" / "t.csv", ("server_name", "partition_id"), rows)
    Scheduler(config(run, world_size=3)).run()
    assert rows_of(run.layout.tools / "mine" / "schedule.csv") == [
        {"server_name": "a", "rank": "0"},
        {"server_name": "b", "rank": "1"},
    ]
