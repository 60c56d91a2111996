"""Tools that work on finished images: those in `builtin/`, and the user's own.

A tool is a subclass of `Tool`, registered with `TOOLS.register("name")`. A tool of three classes, as in the legacy
project, is registered with `FilterRegister`, `SchedulerRegister` and `RunnerRegister`; `PythonFilterToolBase` and
`DefaultScheduler` do the steps for which it has no class.
"""

from __future__ import annotations

from ray_downloader.tools.base import TOOLS, Step, Tool, Unit, unit_of_each_batch
from ray_downloader.tools.context import StoredBatch, ToolContext, finished_batches
from ray_downloader.tools.dropping import DroppingTool
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
from ray_downloader.tools.rows import chunks_of

__all__ = [
    "TOOLS",
    "BatchRunner",
    "DefaultScheduler",
    "DroppingTool",
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
    "chunks_of",
    "finished_batches",
    "unit_of_each_batch",
]
