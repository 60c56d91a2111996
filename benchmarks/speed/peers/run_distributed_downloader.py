"""The class `Downloader` of distributed-downloader, as its MPI ranks use it: one a core, each with its share.

Usage: run_distributed_downloader.py <list> <output folder> <its source>; prints seconds. It stores BGR bytes, not JPEG.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

RANKS = 2
#: Its class sleeps 1 / rate before each request; this takes the brake off.
RATE_RPS = 100_000
TIME_LIMIT_S = 600


def download(urls: list[str], output: str, source: str) -> int:
    """One rank's share; how many images it stored."""
    sys.path.insert(0, f"{source}/src/distributed_downloader/core")
    from mpi_downloader.dataclasses import RateLimit  # noqa: PLC0415
    from mpi_downloader.DirectWriter import write_batch  # noqa: PLC0415
    from mpi_downloader.Downloader import Downloader  # noqa: PLC0415
    from mpi_downloader.utils import create_new_session  # noqa: PLC0415

    ends_at_s = int(time.time()) + TIME_LIMIT_S
    session = create_new_session(urls[0].rpartition("/")[0], 64)
    downloader = Downloader({}, session, RateLimit(RATE_RPS), 256, ends_at_s)
    done, _ = downloader.get_images([{"identifier": url} for url in urls])
    stored = done.success_queue.qsize()
    write_batch(done, output, ends_at_s)
    return stored


def main() -> None:
    """Command line."""
    urls = Path(sys.argv[1]).read_text("utf-8").split()
    Path(sys.argv[2]).mkdir()
    with ProcessPoolExecutor(RANKS) as pool:
        list(pool.map(len, [""] * RANKS))  # the processes are there before the clock starts
        started_s = time.monotonic()
        shares = [
            pool.submit(download, urls[rank::RANKS], f"{sys.argv[2]}/{rank}", sys.argv[3]) for rank in range(RANKS)
        ]
        stored = sum(share.result() for share in shares)
        seconds = time.monotonic() - started_s
    if stored != len(urls):
        sys.exit(f"{stored} of {len(urls)} images")
    print(seconds)


if __name__ == "__main__":
    main()
