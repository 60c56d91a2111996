"""Runs a three-class tool: filter and scheduler in this process, then a runner on each worker, each step once.

`tool_checkpoint.yaml` records which steps are done; `tools_parameters.reset` starts over from one of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from rich.console import Console

from ray_downloader.cluster.environment import prepare_environment
from ray_downloader.config.legacy_environment import legacy_environment
from ray_downloader.errors import ExitCode
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.lock import holding
from ray_downloader.slurm.begin import working_job
from ray_downloader.tools.context import ToolContext
from ray_downloader.tools.dropping import FILTER_TABLE, IMAGES
from ray_downloader.tools.engine import IN_PLACE, resources, say
from ray_downloader.tools.legacy.filters import PythonFilterToolBase
from ray_downloader.tools.legacy.register import Family, ToolsBase, custom_tools, step_class
from ray_downloader.tools.legacy.runners import VERIFICATION, MPIRunnerTool
from ray_downloader.tools.legacy.schedulers import SCHEDULE, DefaultScheduler
from ray_downloader.tools.legacy.tool_config import ToolConfig
from ray_downloader.tools.publish import apply_result, is_applied, refuse_if_applied, undo_result

_CHECKPOINT = "tool_checkpoint.yaml"
_DEFAULTS: Mapping[Family, type[ToolsBase]] = {
    "filter": PythonFilterToolBase,
    "scheduler": DefaultScheduler,
    "runner": MPIRunnerTool,  # type: ignore[type-abstract]  # for a missing step: its error names what is missing
}
#: The steps before the runners, and their names in the checkpoint.
_STEPS: tuple[tuple[Family, str], ...] = (("filter", "filtering_completed"), ("scheduler", "scheduling_completed"))
#: What each reset removes: the results of that step and of those after it.
_RESULTS = {
    "filtering": (FILTER_TABLE, SCHEDULE, VERIFICATION, IMAGES, _CHECKPOINT),
    "scheduling": (SCHEDULE, VERIFICATION, IMAGES),
    "runners": (VERIFICATION, IMAGES),
}
_STEPS_LEFT = {
    "filtering": (),
    "scheduling": ("filtering_completed",),
    "runners": ("filtering_completed", "scheduling_completed"),
}


def is_custom(name: str) -> bool:
    """Whether a tool has three classes. If it has the name of a built-in tool, it replaces that tool."""
    return name in custom_tools()


def run_custom(context: ToolContext, config_path: Path, console: Console) -> ExitCode:
    """Do the steps that are not done.

    Raises:
        UserError: Another process runs the tool, or there is nothing to apply or undo.
        Exception: Whatever a step raised.
    """
    folder = context.folder
    folder.mkdir(parents=True, exist_ok=True)
    with holding(folder / ".lock", f"another process runs {context.name} in {context.layout.root}"):
        if context.parameters.undo:
            _exchange(context, undo_result, console)
            return ExitCode.SETTLED
        if context.parameters.apply and is_applied(folder, context.request):
            say(console, f"{context.name}: {IN_PLACE}")
            return ExitCode.SETTLED
        refuse_if_applied(folder)
        checkpoint = _Checkpoint.load(folder)
        if context.parameters.reset:
            checkpoint.reset(context.parameters.reset)
        if not checkpoint.has("completed") and not _run_steps(context, config_path, checkpoint):
            say(console, f"{context.name}: stopped; the same command continues")
            return ExitCode.STOPPED
        say(console, f"{context.name}: completed; results are in {folder}")
        if context.parameters.apply:
            _exchange(context, apply_result, console)
    return ExitCode.SETTLED


def _run_steps(context: ToolContext, config_path: Path, checkpoint: _Checkpoint) -> bool:
    """Whether all steps are done."""
    prepare_environment(context.settings.cluster)
    from ray_downloader.cluster.connect import running_cluster  # noqa: PLC0415 (Ray reads the environment on import)
    from ray_downloader.cluster.task_pool import TaskPool  # noqa: PLC0415

    options = resources(context.settings)
    with (
        working_job(context.settings, context.layout),
        running_cluster(context.settings.cluster, options, context.layout) as cluster,
    ):
        workers = checkpoint.workers or cluster.slots
        config = ToolConfig(context.settings, str(config_path), 0, workers)
        for family, done in _STEPS:
            if not checkpoint.has(done):
                _run_step(context.name, family, config)
                checkpoint.note(done, workers)
        runner = step_class(context.name, "runner", _DEFAULTS["runner"])
        configs = [ToolConfig(context.settings, str(config_path), rank, workers) for rank in range(workers)]
        task_pool = TaskPool(cluster.slots, options.cpu_per_worker, cluster.require_running)
        for _ in task_pool.run(partial(_run_rank, runner), configs):
            pass
    if not task_pool.is_stopped:
        checkpoint.note("completed", workers)
    return not task_pool.is_stopped


def _run_step(name: str, family: Family, config: ToolConfig) -> None:
    cls = step_class(name, family, _DEFAULTS[family])
    _named(cls, name)(config).run()


def _named(cls: type[ToolsBase], name: str) -> type[ToolsBase]:
    """The class itself; for a base class that replaces a missing step, a copy that has the tool's name."""
    return cls if cls.filter_name else type(cls.__name__, (cls,), {"filter_name": name})


def _run_rank(cls: type[ToolsBase], config: ToolConfig) -> int:
    """One runner, in a task of its own, with the environment variables of the legacy project."""
    os.environ.update(legacy_environment(config.settings, Path(config.config_path), cls.filter_name))
    try:
        cls(config).run()
    except SystemExit as end:  # legacy runners exit if there is nothing to do
        if end.code not in (None, 0):
            raise RuntimeError(f"{cls.__name__} of rank {config.rank} ended with exit code {end.code}") from None
    return config.rank


def _exchange(context: ToolContext, exchange: Callable[[ToolContext], int], console: Console) -> None:
    say(console, f"{context.name}: {exchange(context)} batches exchanged")


@dataclass(slots=True)
class _Checkpoint:
    """The steps that are done."""

    folder: Path
    done: dict[str, bool | int]

    @classmethod
    def load(cls, folder: Path) -> _Checkpoint:
        try:
            return cls(folder, dict(yaml.safe_load((folder / _CHECKPOINT).read_text("utf-8")) or {}))
        except FileNotFoundError:
            return cls(folder, {})

    @property
    def workers(self) -> int:
        """Number of runners that the schedule was made for; 0 if there is no schedule."""
        return int(self.done.get("workers", 0)) if self.has("scheduling_completed") else 0

    def has(self, step: str) -> bool:
        return bool(self.done.get(step))

    def note(self, step: str, workers: int) -> None:
        self.done |= {step: True, "workers": workers}
        self._save()

    def reset(self, step: str) -> None:
        for name in _RESULTS[step]:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self.done = {key: value for key, value in self.done.items() if key in (*_STEPS_LEFT[step], "workers")}
        self._save()

    def _save(self) -> None:
        write_text(self.folder / _CHECKPOINT, yaml.safe_dump(self.done))
