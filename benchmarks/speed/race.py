"""Who takes part, and how they take turns."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import PeerMissingError
from benchmarks.speed.floor import floor_images_per_s
from benchmarks.speed.origin import Origin, running_nginx
from benchmarks.speed.ours import run_ours
from benchmarks.speed.peers.run import run_daft, run_distributed_downloader, run_img2dataset, run_ray_data
from benchmarks.speed.timing import Timing
from ray_downloader.image import ImageOptions


@dataclass(frozen=True, slots=True)
class Origins:
    """The same nginx three times: in the clear, by TLS with HTTP/2, by TLS with HTTP/1.1."""

    plain: Origin
    http2: Origin
    tls: Origin


@dataclass(frozen=True, slots=True)
class Task:
    """One list: its files, its length, and rows in a batch of ours or a shard of img2dataset's."""

    files: list[Path]
    rows: int
    batch_rows: int

    def urls(self, origin: Origin) -> list[str]:
        """The list, at one of the origins."""
        return origin.urls(self.files, self.rows)


Run = Callable[[Origins, Task], Timing]
Timings = dict[tuple[str, str], list[Timing]]


def _ours(*arguments: str, at: str = "plain") -> Run:
    def run(origins: Origins, task: Task) -> Timing:
        origin: Origin = getattr(origins, at)
        return run_ours(origin, task.urls(origin), task.batch_rows, arguments)

    return run


def _floor(options: ImageOptions) -> Run:
    return lambda _, task: Timing.of_rate(floor_images_per_s(task.files, task.rows, options))


def _img2dataset(*arguments: str, at: str = "plain") -> Run:
    def run(origins: Origins, task: Task) -> Timing:
        origin: Origin = getattr(origins, at)
        return run_img2dataset(task.urls(origin), task.batch_rows, arguments, origin.authority)

    return run


def _plain(run: Callable[[Sequence[str]], Timing]) -> Run:
    return lambda origins, task: run(task.urls(origins.plain))


def contenders(distributed_downloader: Path | None) -> dict[str, Run]:
    """The contenders by name; each `floor` makes just the calls that the `ours` of the same name makes."""
    runs: dict[str, Run] = {
        "ours": _ours(),
        "img2dataset": _img2dataset(),
        "ours fast": _ours("image.fast_gap=1"),
        "floor": _floor(ImageOptions(image_size=256)),
        "ours exact": _ours("image.decode=exact"),
        "floor fast": _floor(ImageOptions(image_size=256, fast_gap=1)),
        "ours original": _ours("image=original"),
        "img2dataset original": _img2dataset("--disable_all_reencoding=True"),
        "floor exact": _floor(ImageOptions(image_size=256, decode="exact")),
        "ours https 2": _ours(at="http2"),
        "ours https 1.1": _ours(at="tls"),
        "img2dataset https": _img2dataset(at="tls"),
        "daft": _plain(run_daft),
        "ray data": _plain(run_ray_data),
    }
    if distributed_downloader:
        runs["distributed-downloader"] = _plain(lambda urls: run_distributed_downloader(urls, distributed_downloader))
    return runs


@contextmanager
def running_origins(pictures: Path) -> Iterator[Origins]:
    """All three for as long as the `with` block lasts."""
    with (
        running_nginx(pictures) as plain,
        running_nginx(pictures, tls=True) as http2,
        running_nginx(pictures, tls=True, http2=False) as tls,
    ):
        yield Origins(plain, http2, tls)


def race(tasks: dict[str, Task], runs: dict[str, Run], rounds: int, origins: Origins) -> Timings:
    """Timings by (contender, size); everybody runs once a round."""
    timings: Timings = defaultdict(list)
    runs = dict(runs)
    for _ in range(rounds):
        for size, task in tasks.items():
            for name in list(runs):
                try:
                    timing = runs[name](origins, task)
                except PeerMissingError as error:
                    del runs[name]
                    print(f"without {name}: {error}", flush=True)
                    continue
                timings[name, size].append(timing)
                load = os.getloadavg()[0]
                print(f"{size:6} {name:24} {timing.images_per_s:7.0f} images/s, load {load:.1f}", flush=True)
    return timings
