"""A custom tool of three classes: each step once, continued by the same command, put in place and undone."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from rich.console import Console

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, FolderBusyError, UserError
from ray_downloader.tools import (
    BatchRunner,
    FilterRegister,
    FilterRunnerTool,
    PythonFilterToolBase,
    RunnerRegister,
    SchedulerRegister,
    SchedulerToolBase,
    SqlFilterToolBase,
    StoredBatch,
    ToolContext,
    ToolsBase,
)
from ray_downloader.tools.engine import IN_PLACE
from ray_downloader.tools.legacy.run import is_custom, run_custom
from tests.support.stored import StoredRun, rows_of
from tests.unit.tools.cluster import HereCluster


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def steps() -> list[str]:
    """The tool `mine`, which drops image a; what it does is noted here."""
    done: list[str] = []

    @FilterRegister("mine")
    class Filter(SqlFilterToolBase):
        query = "SELECT uuid, server_name, partition_id FROM images WHERE uuid = 'a'"

        def run(self) -> None:
            done.append("filter")
            super().run()

    @RunnerRegister("mine")
    class Runner(FilterRunnerTool):
        def run(self) -> None:
            done.append(f"runner {self.rank} of {self.total_workers}")
            super().run()

    return done


def context(run: StoredRun, name: str = "mine", **parameters: object) -> ToolContext:
    values = {"path_to_input": "", "path_to_output": run.root, "tools_parameters": parameters}
    return ToolContext(name, Settings.from_config(values))


def said(given: ToolContext, code: ExitCode = ExitCode.SETTLED) -> list[str]:
    text = io.StringIO()
    assert run_custom(given, Path("mine.yaml"), Console(file=text, width=30)) is code
    return [line.removeprefix(f"{given.name}: ") for line in text.getvalue().splitlines()]


def test_a_name_is_custom_where_one_of_its_steps_is_registered(steps: list[str]) -> None:
    assert is_custom("mine")
    assert not is_custom("resize")


def test_the_steps_run_in_order_and_each_worker_is_a_runner(
    run: StoredRun, cluster: HereCluster, steps: list[str]
) -> None:
    given = context(run, cpu_per_worker=0.5)
    (line,) = said(given)
    assert line == f"completed; results are in {given.folder}"
    assert steps == ["filter", "runner 0 of 2", "runner 1 of 2"]
    assert cluster.pools == [(2, 0.5)]
    assert cluster.started[0][0].cpu_per_worker == 0.5
    assert [one["rank"] for one in rows_of(given.folder / "schedule.csv")] == ["0"], "the default scheduler took part"
    assert (given.folder / "images" / "server_name=a.example" / "partition_id=0" / "successes.parquet").exists()
    checkpoint = yaml.safe_load((given.folder / "tool_checkpoint.yaml").read_text("utf-8"))
    assert checkpoint == {
        "filtering_completed": True, "scheduling_completed": True, "completed": True, "workers": 2,
    }  # fmt: skip


def test_a_tool_that_is_done_does_nothing(run: StoredRun, cluster: HereCluster, steps: list[str]) -> None:
    said(context(run))
    said(context(run))
    assert len(steps) == 3
    assert len(cluster.started) == 1


def test_a_stopped_tool_continues_with_its_runners_as_they_were_scheduled(
    run: StoredRun, cluster: HereCluster, steps: list[str]
) -> None:
    cluster.stops_after = 1
    assert said(context(run), ExitCode.STOPPED) == ["stopped; the same command continues"]
    cluster.stops_after, cluster.is_stopped, cluster.slots = None, False, 7
    said(context(run))
    assert steps == ["filter", "runner 0 of 2", "runner 0 of 2", "runner 1 of 2"]


@pytest.mark.parametrize(
    ("reset", "again", "files"),
    [
        ("filtering", ["filter", "runner 0 of 3", "runner 1 of 3", "runner 2 of 3"], set()),
        ("scheduling", ["runner 0 of 3", "runner 1 of 3", "runner 2 of 3"], {"filter_table"}),
        ("runners", ["runner 0 of 2", "runner 1 of 2"], {"filter_table", "schedule.csv"}),
    ],
)
def test_reset_starts_over_from_a_step(
    run: StoredRun, cluster: HereCluster, steps: list[str], monkeypatch: pytest.MonkeyPatch,
    reset: str, again: list[str], files: set[str],
) -> None:  # fmt: skip
    given = context(run, reset=reset)
    said(context(run))
    (given.folder / "filter_table" / "old").touch()
    before = (given.folder / "schedule.csv").stat().st_mtime_ns
    steps.clear()
    cluster.slots = 3
    said(given)
    assert steps == again
    assert (given.folder / "filter_table" / "old").exists() == ("filter_table" in files)
    assert ((given.folder / "schedule.csv").stat().st_mtime_ns == before) == ("schedule.csv" in files)
    assert (given.folder / "images").exists()


def test_a_result_is_put_in_place_and_back(run: StoredRun, cluster: HereCluster, steps: list[str]) -> None:
    assert said(context(run, apply=True))[-1] == "1 batches exchanged"
    assert sorted(run.images()) == list("bcde")
    assert said(context(run, apply=True)) == [IN_PLACE]
    with pytest.raises(UserError, match="the result of mine is in place"):
        said(context(run))
    assert said(context(run, undo=True)) == ["1 batches exchanged"]
    assert sorted(run.images()) == list("abcde")


def test_one_process_uses_the_folder_of_a_tool(run: StoredRun, cluster: HereCluster, steps: list[str]) -> None:
    folder = context(run).folder
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(FolderBusyError, match="another process runs mine"):
        said(context(run))
    assert steps == []


def test_a_runner_finds_the_variables_of_the_legacy_project(run: StoredRun, cluster: HereCluster) -> None:
    found: list[tuple[str, str]] = []

    @RunnerRegister("env")
    class Runner(BatchRunner):
        def process(self, batch: StoredBatch) -> None:
            found.append((os.environ["CONFIG_PATH"], os.environ["OUTPUT_TOOLS_LOGS_FOLDER"]))

    said(context(run, "env"))
    assert found == [("mine.yaml", str(run.layout.tools / "env" / "logs"))] * 2


def test_a_missing_filter_lists_every_batch_under_the_tools_name(run: StoredRun, cluster: HereCluster) -> None:
    scheduled: list[str] = []

    @SchedulerRegister("mine")
    class Scheduler(SchedulerToolBase):
        def run(self) -> None:
            scheduled.append(self.filter_name)
            (Path(self.tools_path) / self.filter_name / "schedule.csv").write_text("server_name,partition_id,rank\n")

    @RunnerRegister("mine")
    class Runner(BatchRunner):
        def process(self, batch: StoredBatch) -> None: ...

    said(context(run))
    assert len(rows_of(context(run).folder / "filter_table" / "table.csv")) == 2
    assert scheduled == ["mine"]
    assert PythonFilterToolBase.filter_name == ""


@pytest.mark.parametrize(("code", "is_failure"), [(None, False), (0, False), (3, True)])
def test_a_runner_may_exit_where_it_has_nothing_to_do(
    run: StoredRun, cluster: HereCluster, code: int | None, is_failure: bool
) -> None:
    @RunnerRegister("exiting")
    class Runner(ToolsBase):
        def run(self) -> None:
            raise SystemExit(code)

    if is_failure:
        with pytest.raises(RuntimeError, match="Runner of rank 0 ended with exit code 3"):
            said(context(run, "exiting"))
    else:
        said(context(run, "exiting"))
        assert len(cluster.done) == 2


def test_a_schedule_that_does_not_say_for_how_many_is_done_by_as_many_as_there_are(
    run: StoredRun, cluster: HereCluster, steps: list[str]
) -> None:
    folder = context(run).folder
    said(context(run))
    steps.clear()
    (folder / "tool_checkpoint.yaml").write_text("filtering_completed: true\nscheduling_completed: true\n")
    said(context(run))
    assert steps == ["runner 0 of 2", "runner 1 of 2"]
    (folder / "tool_checkpoint.yaml").write_text("")
    steps.clear()
    said(context(run))
    assert steps[0] == "filter"
