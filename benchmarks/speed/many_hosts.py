"""Many hosts with few rows each, as in LAION's lists: the whole command of ours and of img2dataset, turn by turn.

`python -m benchmarks.speed.many_hosts --hosts 2000 --rows-per-host 12`. All names lead to one nginx: ours by
`network.connect_to`, img2dataset by `http_proxy`. Says, too, how many files ours leaves and how much memory it takes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import psutil

from benchmarks.environments import PeerMissingError
from benchmarks.speed.origin import Origin, running_nginx
from benchmarks.speed.ours import command_of, run_quietly
from benchmarks.speed.peers.run import WORK, run_img2dataset
from benchmarks.speed.pictures import make_pictures

_SAMPLE_S = 1.0
#: Parts of the command lines of our processes: actors, tasks, driver.
_KINDS = ("BudgetActor", "work_slice", "ray_downloader")


class Memory(threading.Thread):
    """The most memory that each kind of our processes had, sampled (proportional set size, MB)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most_mb: defaultdict[str, float] = defaultdict(float)
        self._is_over = threading.Event()

    def run(self) -> None:
        """Sample until `end` is called."""
        while not self._is_over.wait(_SAMPLE_S):
            for process in psutil.Process().children(recursive=True):
                try:
                    name = " ".join(process.cmdline())
                    kind = next(
                        (kind for kind in ("BudgetActor", "work_slice", "ray_downloader") if kind in name), None
                    )
                    if kind:
                        self.most_mb[kind] = max(self.most_mb[kind], process.memory_full_info().pss / 2**20)
                except psutil.Error:
                    continue

    def end(self) -> dict[str, int]:
        """The maxima."""
        self._is_over.set()
        self.join()
        return {kind: round(most) for kind, most in self.most_mb.items()}


def run_ours(origin: Origin, urls: list[str], arguments: list[str], time_limit_s: float) -> None:
    """Print the figures of one run of ours."""
    with tempfile.TemporaryDirectory() as folder:
        list_file, output = Path(folder, "list.txt"), Path(folder, "out")
        list_file.write_text("\n".join(urls) + "\n", "utf-8")
        address = origin.base_url.removeprefix("http://")
        overrides = ["downloader_parameters.image_size=256", f"network.connect_to={{'*:80':'{address}'}}", *arguments]
        started_s, cpu_s, memory = time.monotonic(), _children_cpu_s(), Memory()
        memory.start()
        run_quietly(command_of(list_file, output, overrides), Path(folder), time_limit_s=time_limit_s)
        command_s, cpu_s = time.monotonic() - started_s, _children_cpu_s() - cpu_s
        summary = json.loads((output / "summary.json").read_text("utf-8"))
        stage_s = summary["download"]["seconds"]
        files = sum(len(names) for _, _, names in os.walk(output))
        print(
            f"ours: {len(urls) / command_s:.0f} images/s of the command ({command_s:.1f} s, {cpu_s:.0f} s of CPU), "
            f"{len(urls) / stage_s:.0f} of the stage, {files} files, {memory.end()} MB, {summary['rows']}",
            flush=True,
        )


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=2_000)
    parser.add_argument("--rows-per-host", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--time-limit-s", type=float, default=600.0)
    parser.add_argument("--alone", action="store_true", help="without img2dataset")
    parser.add_argument("overrides", nargs="*", help="further arguments of ours")
    options = parser.parse_args()
    files = make_pictures(WORK / "pictures")["small"]
    rows = range(options.hosts * options.rows_per_host)
    urls = [f"http://h{row % options.hosts}.example/{row}/{files[row % len(files)].name}" for row in rows]
    with running_nginx(WORK / "pictures") as origin:
        for _ in range(options.rounds):
            print(f"load {os.getloadavg()[0]:.1f}")
            run_ours(origin, urls, options.overrides, options.time_limit_s)
            if options.alone:
                continue
            os.environ["http_proxy"] = origin.base_url
            try:
                peer = run_img2dataset(urls, 1_000)
                print(
                    f"img2dataset: {len(urls) / peer.command_s:.0f} of the command ({peer.command_s:.1f} s), ", end=""
                )
                print(f"{peer.images_per_s:.0f} of the stage", flush=True)
            except PeerMissingError as error:
                print(f"without img2dataset: {error}")
            finally:
                del os.environ["http_proxy"]


if __name__ == "__main__":
    main()
