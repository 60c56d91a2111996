"""A step has one class, and only one that can do it."""

from __future__ import annotations

import logging

import pytest

from ray_downloader.tools import (
    BatchRunner,
    DefaultScheduler,
    FilterRegister,
    FilterRunnerTool,
    PythonFilterToolBase,
    RunnerRegister,
    SchedulerRegister,
    ToolsBase,
)
from ray_downloader.tools.legacy import register
from tests.support.stored import StoredRun
from tests.unit.tools.legacy.steps import config


def test_a_step_cannot_be_registered_twice_nor_by_any_class() -> None:
    @RunnerRegister("mine")
    class First(FilterRunnerTool): ...

    with pytest.raises(ValueError, match=r"already has a runner: .*First"):

        @RunnerRegister("mine")
        class Second(FilterRunnerTool): ...

    with pytest.raises(TypeError, match="does not inherit from ToolsBase"):

        @FilterRegister("mine")
        class Third: ...  # type: ignore[type-var]


def test_a_runner_without_its_method_is_refused_when_it_is_registered() -> None:
    class Idle(BatchRunner):  # type: ignore[abstract,unused-ignore]
        """Would note every batch as done."""

    with pytest.raises(TypeError, match="Idle cannot be a runner: it lacks the method process"):
        RunnerRegister("idle")(Idle)
    assert "idle" not in register.custom_tools()


def test_a_class_knows_the_tool_and_the_step_that_it_is_for() -> None:
    @FilterRegister("mine")
    class Filter(PythonFilterToolBase): ...

    @SchedulerRegister("mine")
    class Scheduler(DefaultScheduler): ...

    @RunnerRegister("other")
    class Runner(FilterRunnerTool): ...

    assert (Filter.filter_name, Filter.filter_family) == ("mine", "filter")
    assert (Scheduler.filter_name, Scheduler.filter_family) == ("mine", "scheduler")
    assert register.custom_tools() == {"mine", "other"}
    assert register.step_class("mine", "filter", PythonFilterToolBase) is Filter
    assert register.step_class("mine", "runner", FilterRunnerTool) is FilterRunnerTool
    assert register.step_class("unknown", "filter", PythonFilterToolBase) is PythonFilterToolBase


def test_a_module_that_is_imported_again_registers_its_class_anew() -> None:
    """As a worker process does that knows the module by another way."""
    first = type("Same", (FilterRunnerTool,), {"__module__": "own", "__qualname__": "Same"})
    again = type("Same", (FilterRunnerTool,), {"__module__": "own", "__qualname__": "Same"})
    RunnerRegister("mine")(first)
    RunnerRegister("mine")(again)
    assert register.step_class("mine", "runner", FilterRunnerTool) is again
    elsewhere = type("Same", (FilterRunnerTool,), {"__module__": "other", "__qualname__": "Same"})
    with pytest.raises(ValueError, match="mine"):
        RunnerRegister("mine")(elsewhere)


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be a filter"):
        FilterRegister("mine")(lambda: None)  # type: ignore[type-var]


def test_a_step_knows_the_folders_of_the_run_and_how_many_runners_there_are(run: StoredRun) -> None:
    @FilterRegister("mine")
    class Filter(PythonFilterToolBase): ...

    step = Filter(config(run, world_size=5))
    assert step.urls_path == str(run.layout.urls)
    assert step.downloaded_images_path == str(run.layout.images)
    assert step.tools_path == str(run.layout.tools)
    assert (step.total_workers, step.config.rank) == (5, 0)
    assert step.logger is logging.getLogger("ray_downloader.tools.mine")


def test_a_step_without_a_name_logs_under_its_class(run: StoredRun) -> None:
    class Nameless(ToolsBase):
        def run(self) -> None: ...

    assert Nameless(config(run)).logger.name == "ray_downloader.tools.Nameless"
    assert issubclass(BatchRunner, ToolsBase)
