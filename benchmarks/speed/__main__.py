"""Images/s of the program beside its peers and the floor: `python -m benchmarks.speed`.

Every contender gets the same URLs of the same nginx, two cores and the same work: longest side 256 px, JPEG quality 95,
MD5, parquet. They take turns, several rounds, so that a change of the machine's load meets all of them.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.floor import floor_images_per_s
from benchmarks.speed.origin import Origin, running_nginx
from benchmarks.speed.ours import run_ours
from benchmarks.speed.peers.environment import PeerMissingError
from benchmarks.speed.peers.run import WORK, run_daft, run_distributed_downloader, run_img2dataset, run_ray_data
from benchmarks.speed.pictures import make_pictures
from benchmarks.speed.report import draw, table
from benchmarks.speed.timing import Timing
from ray_downloader.image import ImageOptions


@dataclass(frozen=True, slots=True)
class Task:
    """One list: its files, its length, and rows in a batch of ours or a shard of img2dataset's."""

    files: list[Path]
    rows: int
    batch_rows: int


#: About ten seconds each for the slowest of ours.
ROWS = {"small": (6000, 250), "big": (2000, 100)}
FAST = ("image.fast_gap=1",)
EXACT = ("image.decode=exact",)
ORIGINAL = ("image=original",)

Run = Callable[[Origin, Task, list[str]], Timing]


def _ours(*arguments: str) -> Run:
    return lambda origin, task, urls: run_ours(origin, urls, task.batch_rows, arguments)


def _floor(options: ImageOptions) -> Run:
    return lambda _, task, __: Timing.of_rate(floor_images_per_s(task.files, task.rows, options))


def contenders(distributed_downloader: Path | None) -> dict[str, Run]:
    """Who takes part, by name; each `floor` stands for the calls that the `ours` of the same name makes."""
    runs: dict[str, Run] = {
        "ours": _ours(),
        "img2dataset": lambda _, task, urls: run_img2dataset(urls, task.batch_rows),
        "ours fast": _ours(*FAST),
        "ours exact": _ours(*EXACT),
        "floor": _floor(ImageOptions(image_size=256)),
        "floor fast": _floor(ImageOptions(image_size=256, fast_gap=1)),
        "floor exact": _floor(ImageOptions(image_size=256, decode="exact")),
        "ours original": _ours(*ORIGINAL),
        "img2dataset original": lambda _, task, urls: run_img2dataset(
            urls, task.batch_rows, ["--disable_all_reencoding=True"]
        ),
        "daft": lambda _, __, urls: run_daft(urls),
        "ray data": lambda _, __, urls: run_ray_data(urls),
    }
    if distributed_downloader:
        runs["distributed-downloader"] = lambda _, __, urls: run_distributed_downloader(urls, distributed_downloader)
    return runs


def race(
    tasks: dict[str, Task], runs: dict[str, Run], rounds: int, pictures: Path
) -> dict[tuple[str, str], list[Timing]]:
    """Timings by (contender, size), round by round."""
    timings: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    missing: set[str] = set()
    with running_nginx(pictures) as origin:
        for turn in range(rounds):
            for size, task in tasks.items():
                urls = origin.urls(task.files, task.rows)
                for name in [name for name in runs if name not in missing]:
                    try:
                        timing = runs[name](origin, task, urls)
                    except PeerMissingError as error:
                        missing.add(name)
                        print(f"without {name}: {error}", flush=True)
                        continue
                    timings[name, size].append(timing)
                    load = os.getloadavg()[0]
                    print(f"{turn} {size:6} {name:24} {timing.images_per_s:7.0f} images/s, load {load:.1f}", flush=True)
    return timings


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of contenders")
    parser.add_argument("--sizes", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--picture", type=Path, default=Path(__file__).with_name("speed.svg"))
    parser.add_argument("--distributed-downloader", type=Path, help="folder of its source; it is on no package index")
    options = parser.parse_args(arguments)
    files = make_pictures(WORK / "pictures")
    runs = contenders(options.distributed_downloader)
    if options.only:
        runs = {name: runs[name] for name in options.only}
    tasks = {size: Task(files[size], *ROWS[size]) for size in options.sizes}
    timings = race(tasks, runs, options.rounds, WORK / "pictures")
    print(table(timings))
    draw(timings, options.picture)


if __name__ == "__main__":
    main()
