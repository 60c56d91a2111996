"""Command line: `python -m ray_downloader [+experiment=NAME] [key=value ...]`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ray_downloader.compose import CONF, settings_from_hydra
from ray_downloader.errors import ExitCode, UserError


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _run(config: DictConfig) -> NoReturn:
    from ray_downloader.pipeline import run  # noqa: PLC0415 (`--help` need not load the stages)

    sys.exit(run(settings_from_hydra(config)))


def main() -> NoReturn:
    """Run, and end with the exit code that the outcome asks for; the user's mistakes are one message, no traceback."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of Hydra's own printing and exit code 1
    try:
        _run()
    except UserError as error:
        _quit(str(error), error.exit_code)
    except (HydraException, OmegaConfBaseException) as error:
        _quit(_first_sentences(error), ExitCode.USAGE)
    except KeyboardInterrupt:
        _quit("interrupted; the same command continues", ExitCode.STOPPED)
    sys.exit(ExitCode.SETTLED)


def _first_sentences(error: Exception) -> str:
    """Hydra's message without its advice on stack traces."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith(("Set the environment", "full_key", "object_type")))


def _quit(message: str, code: ExitCode) -> NoReturn:
    print(f"ray_downloader: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


if __name__ == "__main__":
    main()
