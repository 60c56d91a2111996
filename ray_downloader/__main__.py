"""Command line: `ray-downloader [SUBCOMMAND | +experiment=NAME] [key=value ...]`, or `python -m ray_downloader ...`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn, cast

import hydra
from omegaconf import DictConfig

from ray_downloader import __version__
from ray_downloader.config.arguments import check_arguments
from ray_downloader.config.command_line import command_again, sentences
from ray_downloader.config.completion import completion_script
from ray_downloader.config.compose import CONF, group_choices, settings_from_hydra
from ray_downloader.config.help import SHORT, full_help
from ray_downloader.config.plain_values import as_hydra_reads
from ray_downloader.errors import ExitCode
from ray_downloader.machine import refuse_windows
from ray_downloader.slurm.begin import require_job

#: Subcommands that are modules with a `main(arguments)` that returns the exit code.
_MODULES = {
    "status": "ray_downloader.status",
    "report": "ray_downloader.report.__main__",
    "control": "ray_downloader.control",
    "profile": "ray_downloader.profile.__main__",
}
_COMPLETION = "--shell-completion"


def _runner(given: Sequence[str]) -> Callable[[], None]:
    """Hydra's entry point.

    Args:
        given: The arguments as the user gave them, before they were escaped for Hydra.
    """

    @hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
    def run_composed(config: DictConfig) -> NoReturn:
        with sentences():  # here as well: Hydra would print a line of its own above an error that passes through it
            settings = settings_from_hydra(config)
            require_job(settings)  # half a second earlier than in the pipeline, which loads the stages
            from ray_downloader.pipeline import run  # noqa: PLC0415 (`--cfg` need not load the stages)

            sys.exit(run(settings, again=command_again(given, retry_errors="transient")))

    return cast("Callable[[], None]", run_composed)


def main() -> NoReturn:
    """Run, and exit with the code of the outcome; a user's mistake becomes one message without a traceback."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["tools"]:
        sys.argv[1:] = arguments[1:]
        from ray_downloader.tools.__main__ import main as run_tool  # noqa: PLC0415 (loads every tool)

        run_tool()
    if arguments and arguments[0] in _MODULES:
        sys.exit(import_module(_MODULES[arguments[0]]).main(arguments[1:]))
    with sentences():
        _print_and_exit_if_asked(arguments)
        refuse_windows()
        if arguments[:1] == ["plan"]:
            arguments = [*arguments[1:], "mode=plan"]
        check_arguments(arguments, group_choices())
        os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us instead of Hydra's own printing and exit code 1
        sys.argv[1:] = as_hydra_reads(arguments)
        _runner(arguments)()
    sys.exit(ExitCode.SETTLED)


def _print_and_exit_if_asked(arguments: Sequence[str]) -> None:
    """Answer the options that only print something."""
    text = _printed(arguments)
    if text is not None:
        print(text, end="")  # noqa: T201
        sys.exit(ExitCode.SETTLED)


def _printed(arguments: Sequence[str]) -> str | None:
    if "--help-all" in arguments:
        return full_help(group_choices())
    if {"--help", "-h"} & set(arguments):
        return SHORT
    if "--version" in arguments:
        return f"ray_downloader {__version__}\n"
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        option, equals, shell = argument.partition("=")
        if option == _COMPLETION:
            return completion_script(shell if equals else following, group_choices())
    return None


if __name__ == "__main__":
    main()
