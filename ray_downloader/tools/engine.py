"""Runs one tool on one run folder: units on Ray, then the last step, then `apply`; the same command continues it.

The tool's folder contains everything: results, `summary.json`, and the lock that keeps out a second run of the tool.
Ray starts only if a unit is left to do.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import pyarrow as pa
from rich.console import Console

from ray_downloader.cluster.environment import prepare_environment
from ray_downloader.config.settings import DownloaderParameters, Settings
from ray_downloader.errors import ExitCode, RunFolderError
from ray_downloader.progress import shown
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.lock import holding
from ray_downloader.run_folder.small_json import read_object
from ray_downloader.slurm.begin import working_job
from ray_downloader.tools.base import TOOLS, Step, Tool, Unit, UnitFunction
from ray_downloader.tools.context import FETCH_AGAIN, ToolContext
from ray_downloader.tools.publish import (
    apply_result,
    is_applied,
    is_half_applied,
    is_half_undone,
    refuse_if_applied,
    undo_result,
)
from ray_downloader.tools.rows import can_be_read

SUMMARY = "summary.json"
#: The answer to a command whose work is done.
IN_PLACE = "this result is already in place; tools_parameters.undo=true restores the images before it"

_log = logging.getLogger(__name__)


class StoppedError(Exception):
    """A signal stopped the tool before all units were done."""


def run_tool(context: ToolContext, console: Console) -> ExitCode:
    """Do what is left of a registered tool.

    Returns:
        `SETTLED`, or `STOPPED` if a signal came first.

    Raises:
        UserError: The run or the parameters are not usable, or another process uses the folder.
    """
    factory = TOOLS.get(context.name)
    with holding(context.folder / ".lock", f"another process runs {context.name} in {context.layout.root}"):
        if context.parameters.undo:
            return _undo(context, console)
        if is_half_undone(context.folder):
            _undo(context, console)
        if context.parameters.apply and is_applied(context.folder, context.request):
            say(console, f"{context.name}: {IN_PLACE}")
            return ExitCode.SETTLED
        refuse_if_applied(context.folder)
        if context.parameters.reset and not is_half_applied(context.folder):
            _remove_results(context)
        try:
            summary = _summary(factory(context), console)
        except StoppedError:
            say(console, f"{context.name}: stopped; the same command continues")
            return ExitCode.STOPPED
        _save(context, summary)
        show(context, summary, console)
    return ExitCode.SETTLED


def _summary(tool: Tool, console: Console) -> dict[str, Any]:
    context = tool.context
    if is_half_applied(context.folder):
        return {**_known_summary(context), "applied_batches": apply_result(context)}
    if context.parameters.apply and type(tool).staged is Tool.staged:
        tool.staged()  # raises, and better before the work than after it
    step = tool.work()
    counts = run_step(context, step, console) if step else Counter()
    summary = {"tool": context.name, **tool.finish(counts)}
    if context.parameters.apply:
        step = tool.staged()
        if step:
            run_step(context, step, console)
        _save(context, summary)
        summary["applied_batches"] = apply_result(context)
    return summary


def _known_summary(context: ToolContext) -> dict[str, Any]:
    """The summary, which was written before the exchange began; a damaged one only costs its figures."""
    try:
        return read_object(context.folder / SUMMARY)
    except ValueError:
        return {"tool": context.name}


def _save(context: ToolContext, summary: Mapping[str, Any]) -> None:
    write_text(context.folder / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False, default=str) + "\n")


def _undo(context: ToolContext, console: Console) -> ExitCode:
    batches = undo_result(context)
    say(console, f"{context.name}: undone, {batches} batches are as they were before")
    return ExitCode.SETTLED


def _remove_results(context: ToolContext) -> None:
    for path in context.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith(".lock"):
            path.unlink()


def run_step(context: ToolContext, step: Step, console: Console) -> Counter[str]:
    """Do the units that are not done.

    Returns:
        The sum of what all units counted.

    Raises:
        StoppedError: A signal came first.
    """
    counted = [unit.counts() for unit in step.units]
    total: Counter[str] = Counter()
    for counts in counted:
        total.update(counts or {})
    left = [unit for unit, counts in zip(step.units, counted, strict=True) if counts is None]
    if 0 < len(left) < len(counted):
        _log.info("%s: %d of %d units are done already", context.name, len(counted) - len(left), len(counted))
    if left:
        total.update(_run_units(context, step.function, left, len(step.units), console))
    return total


def _run_units(
    context: ToolContext, function: UnitFunction, left: list[Unit], units: int, console: Console
) -> Counter[str]:
    prepare_environment(context.settings.cluster)
    from ray_downloader.cluster.connect import running_cluster  # noqa: PLC0415 (Ray reads the environment on import)
    from ray_downloader.cluster.task_pool import TaskPool  # noqa: PLC0415

    total: Counter[str] = Counter()
    options = resources(context.settings)
    with (
        working_job(context.settings, context.layout),
        running_cluster(context.settings.cluster, options, context.layout, context.name) as cluster,
    ):
        task_pool = TaskPool(cluster.slots, options.cpu_per_worker, cluster.require_running)
        results = task_pool.run(partial(do_unit, function), left)
        for counts in shown(results, context.name, units, units - len(left), console):
            total.update(counts)
    if task_pool.is_stopped:
        raise StoppedError
    return total


def do_unit(function: UnitFunction, unit: Unit) -> Counter[str]:
    """One task: the unit's files, then its marker.

    Raises:
        RunFolderError: A table that it reads is damaged.
    """
    shutil.rmtree(unit.folder, ignore_errors=True)
    unit.folder.mkdir(parents=True)
    try:
        counts = function(unit)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's, and not what Arrow says of content
            raise
        damaged = next((batch.path for batch in unit.batches if not can_be_read(batch.path)), None)
        if damaged is None:
            raise
        raise RunFolderError(f"{damaged} is damaged; {FETCH_AGAIN}") from None
    unit.complete(counts)
    return counts


def resources(settings: Settings) -> DownloaderParameters:
    """The share of the cluster that tools may use, under the download's names for it."""
    tools = settings.tools_parameters
    return DownloaderParameters(
        max_nodes=tools.max_nodes, workers_per_node=tools.workers_per_node, cpu_per_worker=tools.cpu_per_worker
    )


def show(context: ToolContext, summary: Mapping[str, Any], console: Console) -> None:
    """Print the summary's numbers, one per line, and where the results are."""
    lines = {**summary, "results are in": context.shown(context.folder)}
    for key, value in lines.items():
        if key != "tool" and not isinstance(value, (dict, list)):
            say(console, f"{context.name}: {key.replace('_', ' ')}: {value}")


def say(console: Console, sentence: str) -> None:
    """Print as it is: brackets are not markup, and a path is not broken over two lines."""
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
