"""The program itself, as a user starts it: Ray, server actors, journal, parquet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.speed.origin import Origin
from benchmarks.speed.timing import Timing

CHECKOUT = Path(__file__).parents[2]
TIME_LIMIT_S = 300.0
#: Ray runs its workers at niceness 15, by which they yield to whatever else a machine does; here all have equal rights.
_VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "PYTHONPATH": str(CHECKOUT)}


def command_of(list_file: Path, output: Path, arguments: Sequence[str]) -> list[str]:
    """The command line for a list of loopback URLs, on two cores and without a law."""
    return [
        sys.executable, "-m", "ray_downloader", f"path_to_input={list_file}", f"path_to_output={output}",
        "stages=[partition,download]", "politeness=unlimited", "cluster.num_cpus=2",
        "network.allow_private_addresses=true", *arguments,
    ]  # fmt: skip


def run_ours(origin: Origin, urls: Sequence[str], batch_rows: int, arguments: Sequence[str] = ()) -> Timing:
    """Download the list.

    Raises:
        RuntimeError: It failed, or a row did.
    """
    with tempfile.TemporaryDirectory() as folder:
        list_file, output = Path(folder, "list.txt"), Path(folder, "out")
        list_file.write_text("\n".join(urls) + "\n", "utf-8")
        overrides = ["downloader_parameters.image_size=256", f"downloader_parameters.batch_size={batch_rows}"]
        overrides += [f"network.ca_bundle={origin.authority}"] if origin.authority else []
        command = command_of(list_file, output, [*overrides, *arguments])
        started_s = time.monotonic()
        run_quietly(command, Path(folder))
        command_s = time.monotonic() - started_s
        summary = json.loads((output / "summary.json").read_text("utf-8"))
        if summary["rows"]["successes"] != len(urls):
            raise RuntimeError(f"{summary['rows']} {summary['errors_by_kind']}")
        return Timing(len(urls), summary["download"]["seconds"], command_s)


def run_quietly(
    command: Sequence[str], folder: Path, variables: Mapping[str, str] = {}, time_limit_s: float = TIME_LIMIT_S
) -> None:
    """Run a command in a folder; its last lines are shown only if it fails.

    Raises:
        RuntimeError: It failed or took too long.
    """
    environment = {**os.environ, **_VARIABLES, **variables}
    with Path(folder, "log").open("w+b") as log:
        process = subprocess.run(
            command, cwd=folder, stdout=log, stderr=log, env=environment, timeout=time_limit_s, check=False
        )
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{command[:3]}: exit {process.returncode}: {log.read().decode()[-2000:]}")
