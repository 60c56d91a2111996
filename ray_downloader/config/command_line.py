"""What all commands share: how to repeat the command, and mistakes as one sentence with an exit code."""

from __future__ import annotations

import difflib
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ray_downloader.config.mistakes import unknown_key
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, UserError

#: Hydra's words for a choice that a group does not have.
_NO_CHOICE = re.compile(r"Could not find '([\w/]+)/([^']+)'\s+Available options in '[^']*':\s*([\w\s.-]*)")


def command_again(arguments: Sequence[str], **changed: str) -> str:
    """The command line that repeats the given command.

    Args:
        arguments: Its overrides.
        changed: Keys to be set differently. `reset` and `confirm`, which would start over, are left out.
    """
    dropped = {"reset", "confirm", *changed}
    kept = [argument for argument in arguments if argument.lstrip("+").partition("=")[0] not in dropped]
    given = [f"{key}={value}" for key, value in changed.items()]
    return shlex.join(["python", "-m", "ray_downloader", *kept, *given])


@contextmanager
def sentences() -> Iterator[None]:
    """Turn the user's mistakes into one message and the matching exit code."""
    try:
        yield
    except UserError as error:
        _quit(str(error), error.exit_code)
    except (HydraException, OmegaConfBaseException) as error:
        _quit(first_sentences(error), ExitCode.USAGE)
    except KeyboardInterrupt:
        _quit("interrupted; the same command continues", ExitCode.STOPPED)


def first_sentences(error: Exception) -> str:
    """Hydra's message without its advice on stack traces, search paths and grammar."""
    text = str(error).partition("Config search path")[0].partition("See https://")[0]
    unknown = re.match(r"Could not override '([^']+)'", text)
    if unknown:
        return unknown_key(unknown[1], Settings)
    choice = _NO_CHOICE.search(text)
    if choice:
        group, name, choices = choice[1], choice[2], choice[3].split()
        near = difflib.get_close_matches(name, choices, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"{group}={name} does not exist; {hint}choose from {', '.join(choices)}"
    lines = [line.strip() for line in text.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("full_key", "object_type"))).rstrip(":")


def _quit(message: str, code: ExitCode) -> NoReturn:
    print(f"ray_downloader: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
