"""Measures the partition stage on a generated GBIF list, and in the same run the floor: DuckDB merely reading it.

    python benchmarks/partition/run.py --rows 1000000 10000000

Prints one line a size: rows, seconds, rows/s, CPU seconds and peak memory of the stage (a process of its own), and
the seconds of the floor. CPU seconds are what to compare on a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import tempfile
import time
from pathlib import Path

import duckdb
from make_gbif import make_gbif

from ray_downloader.config.settings import Settings
from ray_downloader.partition import partition
from ray_downloader.run_folder.layout import RunLayout


def read_only(path: Path) -> float:
    """Seconds in which DuckDB reads every cell of one column, on all cores."""
    started = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            "SELECT count(identifier) FROM read_csv(?, delim='\t', quote='', escape='', header=true, all_varchar=true)",
            [str(path)],
        )
    return time.perf_counter() - started


def measure(path: Path, out: Path) -> tuple[int, float, float, float]:
    """Rows, seconds, CPU seconds and peak memory in GB of the stage; runs in a process of its own."""
    settings = Settings.from_config(
        {
            "path_to_input": str(path),
            "path_to_output": str(out),
            "dataset": {"name": "gbif", "drop_basis_of_record": ["MATERIAL_CITATION"]},
        }
    )
    started = time.perf_counter()
    summary = partition(settings, RunLayout.of(settings))
    return summary.input_rows, time.perf_counter() - started, time.process_time(), peak_memory_gb()


def peak_memory_gb() -> float:
    """Of this process alone; `getrusage` would count what its parent had when it was forked."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1e6


def main() -> None:
    """Command line of the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--servers", type=int, default=545)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for rows in arguments.rows:
            path = Path(folder, f"multimedia_{rows}.txt")
            make_gbif(path, rows, arguments.servers)
            floor_s = read_only(path)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                count, seconds, cpu_s, memory_gb = pool.apply(measure, (path, Path(folder, f"out_{rows}")))
            size_gb = path.stat().st_size / 1e9
            print(
                f"{count:>11,} rows  {size_gb:.2f} GB  {seconds:6.1f} s  {count / seconds:>9,.0f} rows/s"
                f"  {cpu_s:.0f} CPU s  peak {memory_gb:.2f} GB  floor (reading only) {floor_s:.1f} s",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    main()
