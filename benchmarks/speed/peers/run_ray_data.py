"""Ray Data: the `download` expression, `map`, `write_parquet`.

Usage: run_ray_data.py <list> <output folder>; prints seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray.data.expressions import download

from benchmarks.speed.peers.work import stored


def make(row: dict[str, Any]) -> dict[str, object]:
    """The row of one body."""
    return {"url": row["url"], **stored(row["body"])}


def main() -> None:
    """Command line."""
    urls = Path(sys.argv[1]).read_text("utf-8").split()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=2**30)
    started_s = time.monotonic()
    rows = ray.data.from_items([{"url": url} for url in urls], override_num_blocks=16)
    rows.with_column("body", download("url")).map(make).write_parquet(sys.argv[2])
    print(time.monotonic() - started_s)


if __name__ == "__main__":
    main()
