"""Runners do the batches of their rank, each once, and continue where they stopped."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import UserError
from ray_downloader.tools import (
    BatchRunner,
    DefaultScheduler,
    FilterRegister,
    FilterRunnerTool,
    MPIRunnerTool,
    PythonFilterToolBase,
    RunnerRegister,
    SqlFilterToolBase,
    StoredBatch,
    ToolConfig,
    ToolsBase,
)
from ray_downloader.tools.rows import write_rows
from tests.support.stored import StoredRun, received, row, rows_of
from tests.unit.tools.legacy.steps import config


def _scheduled(run: StoredRun, cls: type[ToolsBase]) -> None:
    for base in (PythonFilterToolBase, DefaultScheduler):
        type("Step", (base,), {"filter_name": cls.filter_name})(config(run)).run()


def test_runners_share_the_batches_and_do_each_once(run: StoredRun) -> None:
    done: list[tuple[int, str]] = []

    @RunnerRegister("count")
    class Count(BatchRunner):
        def process(self, batch: StoredBatch) -> None:
            done.append((self.rank, batch.server_name))
            assert batch.path.exists()

    _scheduled(run, Count)
    for _ in range(2):
        for rank in range(2):
            Count(config(run, rank)).run()
    assert done == [(0, "a.example"), (1, "b.example:8080")]


def test_a_batch_that_fails_is_tried_again_and_does_not_stop_the_others(run: StoredRun) -> None:
    run.add([row("z", received(1))], "c.example")
    seen: list[str] = []

    @RunnerRegister("flaky")
    class Flaky(BatchRunner):
        def process(self, batch: StoredBatch) -> None:
            seen.append(batch.server_name)
            if len(seen) == 1:
                raise OSError("disk")

    _scheduled(run, Flaky)
    with pytest.raises(RuntimeError, match=r"1 batches failed, the first of them .*disk"):
        Flaky(config(run)).run()
    Flaky(config(run)).run()
    assert seen == ["a.example", "c.example", "a.example"]


def test_a_runner_of_the_legacy_project_is_given_a_data_frame(run: StoredRun) -> None:
    pytest.importorskip("pandas")
    seen: list[tuple[list[str], str, str]] = []

    @RunnerRegister("framed")
    class Framed(MPIRunnerTool):
        def __init__(self, cfg: ToolConfig) -> None:
            super().__init__(cfg)
            self.filter_name = "framed"
            self.total_time = 150

        def apply_filter(self, filtering_df, server_name, partition_id):  # type: ignore[no-untyped-def]
            self.is_enough_time()
            seen.append((list(filtering_df["server_name"]), server_name, partition_id))

    _scheduled(run, Framed)
    Framed(config(run, rank=1)).run()
    assert seen == [(["b.example:8080"], "b.example:8080", "3")]


def test_too_little_time_is_told_by_slurm(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = FilterRunnerTool(config(run))
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    runner.is_enough_time()
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1000")
    with pytest.raises(TimeoutError, match="Not enough time"):
        runner.is_enough_time()


def test_a_filter_runner_writes_the_batches_without_the_named_rows(run: StoredRun) -> None:
    @FilterRegister("drop")
    class Named(SqlFilterToolBase):
        query = "SELECT uuid, server_name, partition_id FROM images WHERE uuid IN ('a', 'd')"

    @RunnerRegister("drop")
    class Drop(FilterRunnerTool): ...

    Named(config(run)).run()
    type("Step", (DefaultScheduler,), {"filter_name": "drop"})(config(run)).run()
    for rank in range(2):
        Drop(config(run, rank)).run()
    kept = StoredRun(run.root)
    images = run.layout.tools / "drop" / "images"
    run.layout.images.rename(run.root / "before")
    images.rename(kept.layout.images)
    assert sorted(kept.images()) == ["b", "c", "e"]


def test_a_runner_knows_its_rank_by_both_names_and_its_folder(run: StoredRun) -> None:
    @RunnerRegister("mine")
    class Mine(FilterRunnerTool): ...

    runner = Mine(config(run, rank=1))
    assert (runner.rank, runner.mpi_rank) == (1, 1)
    assert runner.tool_folder == run.layout.tools / "mine"


def test_what_is_done_is_recorded_by_rank_under_one_header(run: StoredRun) -> None:
    @RunnerRegister("mine")
    class Mine(BatchRunner):
        def process(self, batch: StoredBatch) -> None: ...

    run.add([row("z", received(1))], "c.example", 7)
    _scheduled(run, Mine)
    for rank in range(2):
        Mine(config(run, rank)).run()
    done = run.layout.tools / "mine" / "verification"
    assert sorted(path.name for path in done.iterdir()) == ["0000.csv", "0001.csv"]
    assert rows_of(done / "0000.csv") == [
        {"server_name": "a.example", "partition_id": "0"},
        {"server_name": "c.example", "partition_id": "7"},
    ]


def test_a_batch_is_found_by_the_name_of_its_folder(run: StoredRun) -> None:
    seen: list[StoredBatch] = []

    @RunnerRegister("mine")
    class Mine(BatchRunner):
        def process(self, batch: StoredBatch) -> None:
            seen.append(batch)

    _scheduled(run, Mine)
    Mine(config(run, rank=1)).run()
    path = run.layout.batch_folder("b.example:8080", 3) / "successes.parquet"
    assert seen == [StoredBatch("b.example:8080", 3, path)]


def test_the_rows_of_a_batch_are_those_of_its_server_and_number_in_the_order_of_files(run: StoredRun) -> None:
    @RunnerRegister("mine")
    class Mine(FilterRunnerTool): ...

    folder = run.layout.tools / "mine" / "filter_table"
    columns = ("uuid", "server_name", "partition_id")
    write_rows(folder / "b.csv", columns, [("u3", "a.example", 0)])
    write_rows(folder / "a" / "a.csv", columns, [("u1", "a.example", 0), ("u2", "a.example", 1), ("u4", "b", 0)])
    table = Mine(config(run)).rows_of(StoredBatch("a.example", 0, Path("x")))
    assert table.to_pylist() == [
        {"uuid": "u1", "server_name": "a.example", "partition_id": "0"},
        {"uuid": "u3", "server_name": "a.example", "partition_id": "0"},
    ]


def test_named_rows_past_the_first_chunk_are_left_out(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    path = run.add([{**one, "uuid": f"u{number}"} for number in range(600)])

    @RunnerRegister("drop")
    class Drop(FilterRunnerTool): ...

    rows = [(f"u{number}", "a.example", 0) for number in (0, 255, 256, 599)]
    write_rows(run.layout.tools / "drop" / "filter_table" / "t.csv", ("uuid", "server_name", "partition_id"), rows)
    Drop(config(run)).process(StoredBatch("a.example", 0, path))
    written = run.layout.tools / "drop" / "images" / path.relative_to(run.layout.images)
    kept = pq.ParquetFile(written).read()["uuid"].to_pylist()
    assert kept == [f"u{number}" for number in range(600) if number not in (0, 255, 256, 599)]


@pytest.mark.parametrize(
    ("total_time", "left_s", "is_enough"),
    [(None, 150, True), (None, 149, False), (30, 30, True), (30, 29, False), ("60", 60, True), ("60", 59, False)],
)
def test_a_runner_stops_before_the_job_ends(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, total_time: int | str | None, left_s: int, is_enough: bool
) -> None:
    @RunnerRegister("mine")
    class Mine(FilterRunnerTool): ...

    runner = Mine(config(run))
    if total_time is not None:
        runner.total_time = total_time  # type: ignore[attr-defined]  # as legacy tools set it
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(1_000_000 + left_s))
    if is_enough:
        runner.is_enough_time()
    else:
        with pytest.raises(TimeoutError, match="Not enough time"):
            runner.is_enough_time()


def test_without_pandas_a_runner_that_needs_it_says_so(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    @RunnerRegister("framed")
    class Framed(MPIRunnerTool):
        def apply_filter(self, filtering_df, server_name, partition_id):  # type: ignore[no-untyped-def]
            raise AssertionError

    class Rows:
        def to_pandas(self) -> None:
            raise ModuleNotFoundError("pandas")

    monkeypatch.setattr(Framed, "rows_of", lambda _self, _batch: Rows())
    with pytest.raises(UserError, match="pip install pandas"):
        Framed(config(run)).process(StoredBatch("a.example", 0, Path("x")))


def test_the_data_frame_and_the_place_are_as_the_legacy_project_gave_them(run: StoredRun) -> None:
    seen: list[tuple[object, ...]] = []

    @RunnerRegister("framed")
    class Framed(MPIRunnerTool):
        def apply_filter(self, filtering_df, server_name, partition_id):  # type: ignore[no-untyped-def]
            seen.append((filtering_df, server_name, partition_id))

    class Rows:
        def to_pandas(self) -> str:
            return "frame"

    runner = Framed(config(run))
    runner.rows_of = lambda batch: Rows()  # type: ignore[method-assign,assignment,return-value]
    runner.process(StoredBatch("a.example", 4, Path("x")))
    assert seen == [("frame", "a.example", "4")]
