"""The report and the status of a run of 10^6 rows over 10^4 servers, each with a folder of its own: seconds and size.

python -m benchmarks.report.run [--servers N] [--rows N] [--times N] [--folder FOLDER]

Rows are Zipf over servers; a tenth are errors of ten kinds, each with a message of its server. Pictures are 300 bytes,
as the report does not read the column.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.config.settings import Settings
from ray_downloader.output.batch_folder import SUCCESS, BatchCounts
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import COMPLETED
from ray_downloader.run_folder.schemas import BATCH_SCHEMA, ERROR_SCHEMA, SUCCESS_SCHEMA, URL_SCHEMA

KINDS = ("http_4xx", "server_dead", "not_image", "tls", "http_5xx", "timeout", "dns", "http_429", "reset", "truncated")
LICENSES = ("CC0", "CC BY 4.0", "CC BY-NC 4.0", None)
FORMATS = ("jpeg", "png", "webp")
STARTED_MS = 1_790_000_000_000
DURATION_MS = 3 * 86_400_000


def make_run(folder: Path, servers: int, rows: int, rng: np.random.Generator) -> RunLayout:
    """Write everything that the report reads."""
    settings = Settings.from_config({"path_to_input": "multimedia.txt", "path_to_output": folder})
    layout = RunLayout.of(settings)
    layout.urls.mkdir(parents=True)
    layout.schedules.mkdir()
    layout.settings_file.write_text(settings.to_json(), "utf-8")
    weights = 1 / np.arange(1, servers + 1) ** 0.6
    counts = np.maximum(10, (weights / weights.sum() * rows).astype(int)).tolist()
    names = [f"images{number}.museum{number % 97}.example" for number in range(servers)]
    with pq.ParquetWriter(layout.urls / "rows-00000.parquet", URL_SCHEMA) as writer:
        for number, (name, count) in enumerate(zip(names, counts, strict=True)):
            writer.write_table(_batch(layout, number, name, count, rng))
    batches = [(n, name, 0, "rows-00000.parquet", n, counts[n], 1) for n, name in enumerate(names)]
    columns = [list(column) for column in zip(*batches, strict=True)]
    pq.write_table(pa.table(columns, schema=BATCH_SCHEMA), layout.batches_table)
    pq.write_table(pa.table({"server_name": names, "rows": counts}), layout.servers_table)
    total = sum(counts)
    summary = {"input_rows": total, "accepted_rows": total, "rejected_by_reason": {}, "servers": servers}
    (layout.urls / "partition.json").write_text(json.dumps({**summary, "batches": servers}), "utf-8")
    states = {name: {"rate_rps": 3.0, "requests": 9, "throttled": 1, "condition": "healthy"} for name in names}
    layout.servers_state_file.write_text(json.dumps(states), "utf-8")
    return layout


def _batch(layout: RunLayout, number: int, name: str, count: int, rng: np.random.Generator) -> pa.Table:
    """Write the results of one batch; returns its rows of the list."""
    failed = count if number % 50 == 7 else int(count * rng.beta(0.3, 3))
    kinds = [KINDS[(number + int(draw)) % len(KINDS)] for draw in rng.integers(0, 3, failed)]
    rows = list(_rows(number, name, count, rng))
    images, errors = rows[failed:], [{**row, "error_kind": kind} for row, kind in zip(rows, kinds, strict=False)]
    for error in errors:
        error |= {"error_code": -1, "error_msg": f"{name} said: {error['error_kind']} <b>sorry</b>"}
    folder = layout.batch_folder(name, 0)
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(images, SUCCESS_SCHEMA), folder / SUCCESSES, row_group_size=500)
    pq.write_table(pa.Table.from_pylist(errors, ERROR_SCHEMA), folder / ERRORS)
    by_kind = {kind: rows for kind, rows in {**Counter(kinds), SUCCESS: len(images)}.items() if rows}
    (folder / COMPLETED).write_text(BatchCounts({name: by_kind}).to_json(), "utf-8")
    listed = [{**row, "server_name": name} for row in rows]
    return pa.Table.from_pylist(listed, URL_SCHEMA)


def _rows(number: int, name: str, count: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    sizes, draws = rng.integers(200, 5000, (count, 2)).tolist(), rng.integers(0, 12, count).tolist()
    times = rng.integers(STARTED_MS, STARTED_MS + DURATION_MS, count).tolist()
    for row in range(count):
        url = f"https://{name}/photos/{row}.jpg"
        yield {
            "uuid": f"{number:08}-{row:08}",
            "identifier": url,
            "final_url": url,
            "is_license_full": False,
            "license": LICENSES[draws[row] % len(LICENSES)],
            "source": f"Museum {number % 97}",
            "original_size": sizes[row],
            "resized_size": [224, 168],
            "image": b"\xff" * 300,
            "image_format": "jpeg",
            "original_format": FORMATS[draws[row] % len(FORMATS)],
            "fetched_at": times[row],
        }


def _cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _timed(command: str, *arguments: str | Path) -> str:
    """Seconds of a whole command."""
    started_s, cpu_s = time.monotonic(), _cpu_s()
    line = [sys.executable, "-m", f"ray_downloader.{command}", *map(str, arguments)]
    subprocess.run(line, check=True, capture_output=True)
    return f"{time.monotonic() - started_s:.2f} s ({_cpu_s() - cpu_s:.2f} s of CPU)"


def main() -> None:
    """Make the run if it is not there, and time its report and its status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp()) / "run"
    if not folder.exists():
        make_run(folder, given.servers, given.rows, np.random.default_rng(1))
    states_file = RunLayout.of(
        Settings.from_config({"path_to_input": "multimedia.txt", "path_to_output": folder})
    ).servers_state_file
    server = next(iter(json.loads(states_file.read_text("utf-8"))))
    for _ in range(given.times):
        report = _timed("report", folder)
        size_mb = (folder / "report.html").stat().st_size / 1e6
        print(f"report {report}, {size_mb:.2f} MB; status {_timed('status', folder, '--json')}; status of one server "
              f"{_timed('status', folder, '--server', server)}; load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
    if given.folder is None:
        shutil.rmtree(folder.parent)


if __name__ == "__main__":
    main()
