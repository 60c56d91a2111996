"""Memory of one worker task that serves 100 servers: `python -m benchmarks.speed.memory`.

The servers together allow 300 requests/s of 337 kB pictures, more than one core can process, so bodies pile up as far
as the worker lets them. Whole batches of 10,000 rows are cut and published with `--servers 1 --rows-per-server 80000
--size small --seconds 60 --unlimited` (the partition cuts a server's rows into eight batches at least).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.speed.origin import Origin, running_nginx
from benchmarks.speed.ours import CHECKOUT, command_of
from benchmarks.speed.peers.run import WORK
from benchmarks.speed.pictures import make_pictures

#: Ray names a task's process after the task, and that begins with the server's name.
NAME = "memory"
SAMPLE_INTERVAL_S = 0.2


def sampled_mb(origin: Origin, files: list[Path], batch_rows: int, options: argparse.Namespace) -> list[float]:
    """Resident memory of the worker over the time it downloads."""
    with tempfile.TemporaryDirectory() as folder:
        list_file = Path(folder, "list.txt")
        urls = _urls(files, options.servers, options.rows_per_server)
        list_file.write_text("\n".join(urls) + "\n", "utf-8")
        politeness = "unlimited" if options.unlimited else "polite"
        overrides = [
            "cluster.num_cpus=1", f"politeness={politeness}", "politeness.robots=ignore",
            f"downloader_parameters.batch_size={batch_rows}",
            f'network.connect_to={{"*:80":"{origin.base_url.removeprefix("http://")}"}}',
        ]  # fmt: skip
        command = [
            part for part in command_of(list_file, Path(folder, "out"), overrides) if part != "cluster.num_cpus=2"
        ]
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        with Path(folder, "log").open("w") as log:
            process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
            try:
                return _sample(process, options.seconds)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)


def _urls(files: list[Path], servers: int, rows: int) -> list[str]:
    return [
        f"http://{NAME}{server}.example/{row}/{files[row % len(files)].name}"
        for server in range(servers)
        for row in range(rows)
    ]


def _sample(process: subprocess.Popen[bytes], seconds: float) -> list[float]:
    samples: list[float] = []
    ends_at_s = None
    while process.poll() is None and (ends_at_s is None or time.monotonic() < ends_at_s):
        sizes = [worker.memory_info().rss / 1e6 for worker in psutil.process_iter() if _is_worker(worker)]
        if sizes and ends_at_s is None:
            ends_at_s = time.monotonic() + seconds
        samples += [max(sizes)] if sizes else []
        time.sleep(SAMPLE_INTERVAL_S)
    return samples


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.name().startswith(f"ray::{NAME}")
    except psutil.NoSuchProcess:
        return False


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--servers", type=int, default=100)
    parser.add_argument("--rows-per-server", type=int, default=10_000)
    parser.add_argument("--size", choices=["small", "big"], default="big")
    parser.add_argument("--unlimited", action="store_true", help="politeness=unlimited")
    parser.add_argument("--batch-rows", type=int, nargs="*", default=[1_000, 10_000])
    options = parser.parse_args()
    files = make_pictures(WORK / "pictures")[options.size]
    with running_nginx(WORK / "pictures") as origin:
        for batch_rows in options.batch_rows:
            samples = sampled_mb(origin, files, batch_rows, options)
            print(f"batches of {batch_rows:,} rows: at first {samples[0]:.0f} MB, at most {max(samples):.0f} MB")


if __name__ == "__main__":
    main()
