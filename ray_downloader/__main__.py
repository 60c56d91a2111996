"""Command line: `python -m ray_downloader [+experiment=NAME] [key=value ...]`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ray_downloader.compose import CONF, settings_from_hydra
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.settings import unknown_key


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def _run(config: DictConfig) -> NoReturn:
    from ray_downloader.pipeline import run  # noqa: PLC0415 (`--help` need not load the stages)

    with _sentences():  # here too: Hydra would print a line of its own above an error that passes through it
        sys.exit(run(settings_from_hydra(config)))


def main() -> NoReturn:
    """Run, and end with the exit code that the outcome asks for; the user's mistakes are one message, no traceback."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of Hydra's own printing and exit code 1
    sys.argv[1:] = [_with_plain_keys(argument) for argument in sys.argv[1:]]
    with _sentences():
        _run()
    sys.exit(ExitCode.SETTLED)


def _with_plain_keys(override: str) -> str:
    """Let the keys of a mapping be quoted, as in JSON; Hydra's grammar knows quotes for values only."""
    escaped = partial(re.sub, r"([\\()\[\]{}:=, \t])", r"\\\1")
    return re.sub(r"""(?<=[{,])\s*(["'])([^"']*)\1\s*:""", lambda found: f"{escaped(found[2])}:", override)


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        _quit(str(error), error.exit_code)
    except (HydraException, OmegaConfBaseException) as error:
        _quit(_first_sentences(error), ExitCode.USAGE)
    except KeyboardInterrupt:
        _quit("interrupted; the same command continues", ExitCode.STOPPED)


def _first_sentences(error: Exception) -> str:
    """Hydra's message without its advice on stack traces, search paths and grammar."""
    text = str(error).partition("Config search path")[0].partition("See https://")[0]
    unknown = re.match(r"Could not override '([^']+)'", text)
    if unknown:
        return unknown_key(unknown[1])
    lines = [line.strip() for line in text.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("full_key", "object_type"))).rstrip(":")


def _quit(message: str, code: ExitCode) -> NoReturn:
    print(f"ray_downloader: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


if __name__ == "__main__":
    main()
