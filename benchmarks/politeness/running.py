"""Starts the limited origin, and our program against it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.politeness.origin import LOG_PATH

CHECKOUT = Path(__file__).parents[2]
#: From the start of the program to its first request: Ray alone takes about 5 s.
START_UP_S = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the origin saw it."""

    at_s: float
    host: str
    status: int

    @property
    def server(self) -> str:
        """The host without its first label: what has one limit."""
        return self.host.partition(".")[2]


@dataclass(frozen=True, slots=True)
class RunningOrigin:
    """Address of an origin process."""

    port: int

    def log(self) -> list[Request]:
        """Every request so far, in order of arrival."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{LOG_PATH}") as answer:
            return [Request(*entry) for entry in json.loads(answer.read())]


@contextmanager
def running_origin() -> Iterator[RunningOrigin]:
    """An origin process that lives as long as the `with` block."""
    command = [sys.executable, "-m", "benchmarks.politeness.origin"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield RunningOrigin(int(process.stdout.readline()))
        finally:
            process.stdin.close()


def run_program(origin: RunningOrigin, urls: Sequence[str], arguments: Sequence[str], seconds: float) -> None:
    """Run `python -m ray_downloader` on a list of URLs, on two worker tasks, for at most so many seconds of download.

    Raises:
        RuntimeError: It failed; its last lines are in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list.txt")
        path.write_text("\n".join(urls) + "\n", "utf-8")
        command = [
            sys.executable, "-m", "ray_downloader", f"path_to_input={path}", f"path_to_output={folder}/out",
            "stages=[partition,download]", "cluster.num_cpus=2", "politeness.robots=ignore",
            "politeness.contact=bench@example.org",
            f'network.connect_to={{"*:80":"127.0.0.1:{origin.port}"}}', *arguments,
        ]  # fmt: skip
        with Path(folder, "log").open("w+b") as log:
            process = subprocess.Popen(command, cwd=folder, env=_environment(), stderr=log)
            _drain_after(process, origin, seconds)
            if process.returncode not in {0, 3}:
                log.seek(0)
                raise RuntimeError(f"exit {process.returncode}: {log.read().decode()[-2000:]}")


def _environment() -> dict[str, str]:
    return {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}


def _drain_after(process: subprocess.Popen[bytes], origin: RunningOrigin, seconds: float) -> None:
    """Wait for the end. `seconds` after the first request, request it, and do not wait forever."""
    started_s = time.monotonic()
    before = len(origin.log())
    try:
        while process.poll() is None and len(origin.log()) == before and time.monotonic() < started_s + START_UP_S:
            time.sleep(0.2)
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
