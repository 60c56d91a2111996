"""Daft: `download`, a function over each row, `write_parquet`.

Usage: run_daft.py <list> <output folder>; prints seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import daft
from daft.functions import download

from benchmarks.speed.peers.work import stored

ROW = daft.DataType.struct(
    {"image": daft.DataType.binary(), "md5": daft.DataType.string(), "md5_stored": daft.DataType.string()}
)


@daft.func(return_dtype=ROW, unnest=True)
def make(body: bytes) -> dict[str, object]:
    """The row of one body."""
    return stored(body)


def main() -> None:
    """Command line."""
    urls = Path(sys.argv[1]).read_text("utf-8").split()
    started_s = time.monotonic()
    rows = daft.from_pydict({"url": urls}).into_batches(250)
    rows.select(rows["url"], make(download(rows["url"]))).write_parquet(sys.argv[2])
    print(time.monotonic() - started_s)


if __name__ == "__main__":
    main()
