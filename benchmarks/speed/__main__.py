"""Images/s of the program beside its peers and the floor: `python -m benchmarks.speed`.

Every contender gets the same URLs of the same nginx, two cores and the same work: longest side 256 px, JPEG quality 95,
MD5, parquet. They take turns, several rounds, so that a change of the machine's load meets all of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.speed.peers.run import WORK
from benchmarks.speed.pictures import make_pictures
from benchmarks.speed.race import Task, contenders, race, running_origins
from benchmarks.speed.report import draw, table

#: Rows, and rows per batch: about ten seconds each for the slowest of ours, and batches small enough to end together.
SIZES = {"small": (6000, 250), "big": (2000, 100)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of contenders")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--picture", type=Path, default=Path(__file__).with_name("speed.svg"))
    parser.add_argument("--distributed-downloader", type=Path, help="folder of its source; it is on no package index")
    options = parser.parse_args()
    files = make_pictures(WORK / "pictures")
    runs = contenders(options.distributed_downloader)
    if options.only:
        runs = {name: runs[name] for name in options.only}
    tasks = {size: Task(files[size], *SIZES[size]) for size in options.sizes}
    with running_origins(WORK / "pictures") as origins:
        timings = race(tasks, runs, options.rounds, origins)
    print(table(timings))
    draw(timings, options.picture)


if __name__ == "__main__":
    main()
