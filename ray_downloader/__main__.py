"""Command line: `python -m ray_downloader [+experiment=NAME] [key=value ...]`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import hydra
from omegaconf import DictConfig

from ray_downloader.config.command_line import command_again, sentences
from ray_downloader.config.compose import CONF, settings_from_hydra
from ray_downloader.config.plain_values import as_hydra_reads
from ray_downloader.errors import ExitCode


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _run(config: DictConfig) -> NoReturn:
    from ray_downloader.pipeline import run  # noqa: PLC0415 (`--help` need not load the stages)

    with sentences():  # here as well: Hydra would print a line of its own above an error that passes through it
        again = command_again(_given_arguments(), retry_errors="transient")
        sys.exit(run(settings_from_hydra(config), again=again))


def _given_arguments() -> list[str]:
    """The overrides as the user gave them, before they were escaped for Hydra."""
    return sys.orig_argv[len(sys.orig_argv) - len(sys.argv) + 1 :]


def main() -> NoReturn:
    """Run, and exit with the code of the outcome; a user's mistake becomes one message without a traceback."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us instead of Hydra's own printing and exit code 1
    sys.argv[1:] = as_hydra_reads(sys.argv[1:])
    with sentences():
        _run()
    sys.exit(ExitCode.SETTLED)


if __name__ == "__main__":
    main()
