"""Tools on finished images: those of `builtin/`, and a user's own.

A tool of one class inherits from `Tool` and is registered with `TOOLS.register("name")`. A tool of three classes, as
the legacy project has them, is registered with `FilterRegister`, `SchedulerRegister` and `RunnerRegister`; a step
without a class of its own is done by `PythonFilterToolBase` or `DefaultScheduler`.
"""

from __future__ import annotations

from ray_downloader.tools.base import TOOLS, Step, Tool, Unit
from ray_downloader.tools.context import StoredBatch, ToolContext, finished_batches
from ray_downloader.tools.legacy.filters import FilterRegister, FilterToolBase, PythonFilterToolBase, SqlFilterToolBase
from ray_downloader.tools.legacy.register import ToolsBase
from ray_downloader.tools.legacy.runners import (
    BatchRunner,
    FilterRunnerTool,
    MPIRunnerTool,
    RunnerRegister,
    RunnerToolBase,
)
from ray_downloader.tools.legacy.schedulers import DefaultScheduler, SchedulerRegister, SchedulerToolBase
from ray_downloader.tools.legacy.tool_config import ToolConfig

__all__ = [
    "TOOLS",
    "BatchRunner",
    "DefaultScheduler",
    "FilterRegister",
    "FilterRunnerTool",
    "FilterToolBase",
    "MPIRunnerTool",
    "PythonFilterToolBase",
    "RunnerRegister",
    "RunnerToolBase",
    "SchedulerRegister",
    "SchedulerToolBase",
    "SqlFilterToolBase",
    "Step",
    "StoredBatch",
    "Tool",
    "ToolConfig",
    "ToolContext",
    "ToolsBase",
    "Unit",
    "finished_batches",
]
