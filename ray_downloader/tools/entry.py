"""Starts a tool by its name: a subclass of `Tool`, or three classes as in the legacy project."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from ray_downloader.config.legacy_environment import legacy_environment
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.logs import start_logging
from ray_downloader.run_folder.file_errors import file_error
from ray_downloader.signals import run_until_stopped
from ray_downloader.slurm.begin import require_job
from ray_downloader.stores.session import results_of_tool
from ray_downloader.tools.base import TOOLS
from ray_downloader.tools.configuration import tool_context
from ray_downloader.tools.context import ToolContext
from ray_downloader.tools.engine import run_tool
from ray_downloader.tools.legacy.register import custom_tools
from ray_downloader.tools.legacy.run import is_custom, run_custom
from ray_downloader.tools.modules import load_modules


def apply_tool_to(
    name: str, values: Mapping[str, Any], given: Collection[str], config_path: Path | None = None
) -> ExitCode:
    """Run a tool on the run that its configuration names by a path or URL.

    Args:
        name: The tool's name.
        values: The whole configuration.
        given: As `tool_context`.
        config_path: As `apply_tool`.

    Raises:
        UserError: As both.
    """
    with results_of_tool(values) as (of_folder, results):
        return results.finish(apply_tool(tool_context(name, of_folder, given), config_path))


def apply_tool(context: ToolContext, config_path: Path | None = None) -> ExitCode:
    """Run the tool that the context names.

    Args:
        context: Which tool, and on which run.
        config_path: The user's YAML file, for tools that read it themselves.

    Raises:
        UserError: There is no such tool, or the run or the parameters are not usable.
    """
    require_job(context.settings)
    load_modules(context.parameters.modules)
    choices = sorted({*TOOLS, *custom_tools()})
    if context.name not in choices:
        raise UserError(
            f"there is no tool {context.name!r}; choose one of: {', '.join(choices)} "
            "(for a tool of your own, name its module with tools_parameters.modules)"
        )
    if not (context.parameters.undo or is_custom(context.name)):
        context.require_batches()  # before anything is written into a folder that may not be a run
    console = Console(stderr=True)
    start_logging(
        context.layout.logs,
        context.settings.downloader_parameters.logger_level,
        console,
        context.settings.logging.format,
    )
    try:
        if not is_custom(context.name):
            return run_until_stopped(lambda: run_tool(context, console), context.settings)
        file = config_path or context.layout.settings_file
        os.environ.update(legacy_environment(context.settings, file, context.name))
        return run_until_stopped(lambda: run_custom(context, file, console), context.settings)
    except OSError as error:
        told = file_error(error, context.layout.root)
        if told is None:
            raise
        raise told from None
