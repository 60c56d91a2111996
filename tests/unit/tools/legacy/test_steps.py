"""The steps of a custom tool, one by one, without Ray: registers, filter tables, schedules, runners that resume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.tools import (
    BatchRunner,
    DefaultScheduler,
    FilterRegister,
    FilterRunnerTool,
    MPIRunnerTool,
    PythonFilterToolBase,
    RunnerRegister,
    SchedulerRegister,
    SqlFilterToolBase,
    StoredBatch,
    ToolConfig,
    ToolsBase,
)
from ray_downloader.tools.legacy import register
from ray_downloader.tools.modules import load_modules
from tests.support.stored import StoredRun, received, row, rows_of


@pytest.fixture(autouse=True)
def _own_register() -> Iterator[None]:
    before = {name: dict(steps) for name, steps in register._FAMILIES.items()}
    register._FAMILIES.clear()
    yield
    register._FAMILIES.clear()
    register._FAMILIES.update(before)


def config(run: StoredRun, rank: int = 0, world_size: int = 2) -> ToolConfig:
    return ToolConfig(run.settings, "config.yaml", rank, world_size)


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


def test_a_step_cannot_be_registered_twice_nor_by_any_class() -> None:
    @RunnerRegister("mine")
    class First(FilterRunnerTool): ...

    with pytest.raises(ValueError, match=r"already has a runner: .*First"):

        @RunnerRegister("mine")
        class Second(FilterRunnerTool): ...

    with pytest.raises(TypeError, match="does not inherit from ToolsBase"):

        @FilterRegister("mine")
        class Third: ...  # type: ignore[type-var]


def test_a_filter_can_be_one_query(run: StoredRun) -> None:
    @FilterRegister("licensed")
    class Licensed(SqlFilterToolBase):
        query = "SELECT uuid, server_name, partition_id FROM images WHERE is_license_full"

    Licensed(config(run)).run()
    assert [one["uuid"] for one in rows_of(run.layout.tools / "licensed" / "filter_table" / "table.csv")] == ["d"]


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


def test_a_runner_of_the_older_project_is_given_a_data_frame(run: StoredRun) -> None:
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


def test_the_configuration_is_read_by_the_older_keys(run: StoredRun) -> None:
    cfg = config(run)
    assert cfg["tools_parameters"]["new_resize_size"] == 224
    assert cfg["downloader_parameters"]["batch_size"] == 10_000
    assert cfg["path_to_output_folder"] == str(run.root)
    assert cfg.get_folder("tools_folder") == str(run.root / "tools")
    assert cfg.get("nothing", 3) == 3


def test_options_are_read_where_the_older_project_has_keys_of_ones_own(run: StoredRun) -> None:
    parameters = {"options": {"image_crop_path": "/crops", "path_to_input": "not this one"}}
    values = {"path_to_input": "list", "path_to_output": run.root, "tools_parameters": parameters}
    cfg = ToolConfig(Settings.from_config(values), "config.yaml")
    assert (cfg["image_crop_path"], cfg["tools_parameters"]["image_crop_path"]) == ("/crops", "/crops")
    assert cfg["path_to_input"] == "list"


def test_modules_are_found_by_file_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_tool_file.py").write_text(
        "from ray_downloader.tools import RunnerRegister, BatchRunner\n"
        "@RunnerRegister('from_file')\nclass One(BatchRunner):\n    def process(self, batch): ...\n"
    )
    (tmp_path / "json.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    load_modules([str(tmp_path / "my_tool_file.py")])
    assert register.custom_tools() == {"from_file"}
    with pytest.raises(UserError, match=r"no_such\.py does not exist"):
        load_modules([str(tmp_path / "no_such.py")])
    with pytest.raises(UserError, match=r"there is no module .no_such_package\.tools"):
        load_modules(["no_such_package.tools"])
    with pytest.raises(UserError, match="json is already a module"):
        load_modules([str(tmp_path / "json.py")])


def test_a_runner_without_its_method_is_refused_when_it_is_registered() -> None:
    class Idle(BatchRunner):  # type: ignore[abstract,unused-ignore]
        """Would note every batch as done."""

    with pytest.raises(TypeError, match="Idle cannot be a runner: it lacks the method process"):
        RunnerRegister("idle")(Idle)
    assert "idle" not in register.custom_tools()
