"""Command line: `python -m ray_downloader.tools tool=NAME path_to_output=RUN [tools_parameters.KEY=VALUE ...]`."""

from __future__ import annotations

import os
import re
import sys
from typing import NoReturn

import hydra
from omegaconf import DictConfig, OmegaConf

from ray_downloader.config.arguments import TOOL, check_arguments
from ray_downloader.config.command_line import sentences
from ray_downloader.config.compose import CONF, group_choices
from ray_downloader.config.plain_values import as_hydra_reads
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.tools.base import TOOLS
from ray_downloader.tools.configuration import given_keys
from ray_downloader.tools.entry import apply_tool_to
from ray_downloader.tools.usage import usage

_TOOL = re.compile(r"\+{0,2}tool=")


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _run(config: DictConfig) -> NoReturn:
    values = OmegaConf.to_container(config, resolve=False)
    assert isinstance(values, dict)
    composed = {str(key): value for key, value in values.items()}
    with sentences():
        name = composed.pop("tool", None)
        if not name:
            raise UserError(f"tool is required: set tool=... to one of: {', '.join(TOOLS)}")
        given = given_keys([argument for argument in sys.argv[1:] if "tool=" not in argument.split(".")[0]])
        sys.exit(apply_tool_to(str(name), composed, given))


def main() -> NoReturn:
    """Run, and exit with the code of the outcome; a mistake of the user's is one message without a traceback."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(usage(CONF / "config.yaml"))  # noqa: T201
        sys.exit(ExitCode.SETTLED)
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with sentences():
        others = [argument for argument in sys.argv[1:] if not _TOOL.match(argument)]
        check_arguments(others, group_choices(), TOOL)
        # A run's configuration has no key `tool`, and Hydra wants a `+` before a key that it does not know.
        arguments = [_TOOL.sub("+tool=", argument) for argument in sys.argv[1:]]
        sys.argv[1:] = as_hydra_reads(arguments)
        if several := [argument for argument in arguments if _TOOL.match(argument) and "," in argument]:
            raise UserError(f"{several[0].lstrip('+')}: one tool is expected, not several")
        _run()
    sys.exit(ExitCode.SETTLED)


if __name__ == "__main__":
    main()
