"""The parser of commands that take options instead of settings: a mistake is one sentence."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from ray_downloader.errors import ExitCode


class OneSentenceParser(argparse.ArgumentParser):
    """Prints what is wrong without repeating all options, which `--help` explains."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit as for any other mistake of the user's."""
        name = self.prog.removeprefix("python -m ")
        print(f"{name}: {message}; {self.prog} --help explains", file=sys.stderr)  # noqa: T201
        sys.exit(ExitCode.USAGE)
