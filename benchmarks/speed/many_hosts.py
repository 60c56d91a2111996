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
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.environments import PeerMissingError
from benchmarks.speed.origin import Origin, running_nginx
from benchmarks.speed.ours import command_of, run_quietly
from benchmarks.speed.peers.run import WORK, run_img2dataset
from benchmarks.speed.pictures import make_pictures

_SAMPLE_S = 1.0


class Use(threading.Thread):
    """What each kind of our processes used, sampled: the most memory of one (MB), and the CPU time of all (s)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._most_mb: defaultdict[str, float] = defaultdict(float)
        self._cpu_s: dict[tuple[str, int], float] = {}
        self._is_over = threading.Event()

    def run(self) -> None:
        """Sample until `end` is called."""
        while not self._is_over.wait(_SAMPLE_S):
            for process in psutil.Process().children(recursive=True):
                try:
                    kind, times = _kind_of(process.cmdline()), process.cpu_times()
                    self._cpu_s[kind, process.pid] = times.user + times.system
                    self._most_mb[kind] = max(self._most_mb[kind], process.memory_full_info().pss / 2**20)
                except psutil.Error:
                    continue

    def end(self) -> str:
        """What was seen, in words."""
        self._is_over.set()
        self.join()
        cpu_s: Counter[str] = Counter()
        for (kind, _), used_s in self._cpu_s.items():
            cpu_s[kind] += round(used_s)
        return ", ".join(f"{kind} {round(most)} MB {cpu_s[kind]} s" for kind, most in self._most_mb.items())


def _kind_of(command: Sequence[str]) -> str:
    name = " ".join(command)
    if name.startswith("ray::"):
        return "actor" if "BudgetActor" in name else "task"
    if "-m ray_downloader" in name:
        return "driver"
    return "nginx" if "nginx" in name else "Ray's own"


def run_ours(origin: Origin, urls: list[str], arguments: list[str], time_limit_s: float) -> None:
    """Print the figures of one run of ours."""
    with tempfile.TemporaryDirectory() as folder:
        list_file, output = Path(folder, "list.txt"), Path(folder, "out")
        list_file.write_text("\n".join(urls) + "\n", "utf-8")
        address = origin.base_url.removeprefix("http://")
        overrides = ["downloader_parameters.image_size=256", f"network.connect_to={{'*:80':'{address}'}}", *arguments]
        started_s, use = time.monotonic(), Use()
        use.start()
        run_quietly(command_of(list_file, output, overrides), Path(folder), time_limit_s=time_limit_s)
        command_s = time.monotonic() - started_s
        summary = json.loads((output / "summary.json").read_text("utf-8"))
        stage_s = summary["download"]["seconds"]
        files = sum(len(names) for _, _, names in os.walk(output))
        print(
            f"ours: {len(urls) / command_s:.0f} images/s of the command ({command_s:.1f} s), "
            f"{len(urls) / stage_s:.0f} of the stage, {files} files; {use.end()}; {summary['rows']}",
            flush=True,
        )


def _children_cpu_s() -> float:
    """CPU time of processes that have ended, and of theirs for which they waited."""
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
