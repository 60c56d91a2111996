"""The program's commands in a process that has imported the program: for the many that end at once.

Each runs in a fork, as `__main__`, with its own working directory and output; only the second of imports is shared.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from tests.support.job import ENVIRONMENT
from tests.support.running import CHECKOUT

#: What the commands import before they have looked at their arguments.
IMPORTED = ("hydra", "ray_downloader.pipeline", "ray_downloader.config.compose", "ray_downloader.tools.entry")


class Commands:
    """The running process.

    Args:
        process: Takes one command a line and returns its exit code.
        folder: For their output.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def run(self, module: str, arguments: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Like `python -m module arguments` in the folder `cwd`."""
        assert self._process.stdin and self._process.stdout
        texts = [self._folder / "stdout", self._folder / "stderr"]
        command = [module, list(arguments), str(cwd), *map(str, texts)]
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess([module, *arguments], code, *(path.read_text("utf-8") for path in texts))


@contextmanager
def running_commands() -> Iterator[Commands]:
    """The process, as long as the `with` block."""
    command = [sys.executable, "-m", "tests.support.commands"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, cwd=CHECKOUT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        yield Commands(process, Path(folder))
        assert process.stdin
        process.stdin.close()


def serve(commands: IO[str], answers: IO[str]) -> None:
    """Run each command in a fork and write its exit code, until there are no more."""
    for name in IMPORTED:
        importlib.import_module(name)
    for line in commands:
        module, arguments, cwd, stdout, stderr = json.loads(line)
        child = os.fork()
        if not child:
            _become(module, arguments, cwd, (stdout, stderr))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def _become(module: str, arguments: list[str], cwd: str, outputs: Sequence[str]) -> NoReturn:
    code: object = 1
    try:
        os.chdir(cwd)
        for descriptor, path in enumerate(outputs, start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        sys.argv = [module, *arguments]
        sys.orig_argv = [sys.executable, "-m", module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code) if isinstance(code, int) else 1)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
