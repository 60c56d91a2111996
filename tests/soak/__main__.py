"""Runs the program against misbehaving servers under random faults, then proves each row, and keeps a record.

python -m tests.soak --minutes 30 --seed 1 --record benchmarks/soak
python -m tests.soak --minutes 0 --rows 960 --record /tmp/undisturbed    # no faults: what grows by itself
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.soak.listing import SERVERS, ListedRow, rows
from tests.soak.processes import FAULTS, Sample, kill_all, sample
from tests.soak.record import keep
from tests.support.job import ENVIRONMENT, RunFolder, as_override, command
from tests.support.options import HostLimit, OriginOptions
from tests.support.running import RunningOrigin, running_origin

SAMPLE_S = 1.0
#: Requests per second and server: a list lasts about as long as the soak.
RATE_RPS = 4.0
#: Patience with servers that refuse is short, or the last rows take longer than the soak.
PATIENCE_S = 20
#: How long the servers may wait for a request once the faults have ended: a busy machine takes its time, but goes on.
FINISH_S = 900.0


class Soak:
    """One soak.

    Args:
        folder: For the list and the run.
        origin: The servers.
        seed: Decides which faults come when.
    """

    def __init__(self, folder: Path, origin: RunningOrigin, seed: int) -> None:
        self.out = RunFolder(folder / "out")
        self.samples: list[Sample] = []
        self.faults: Counter[str] = Counter()
        self.faults_at_s: list[float] = []
        self.starts = 0
        self._folder = folder
        self._origin = origin
        self._rng = random.Random(seed)
        self._began_s = time.monotonic()

    @property
    def now_s(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._began_s

    def start(self) -> subprocess.Popen[bytes]:
        """The program, with the command that also continues it."""
        self.starts += 1
        arguments = (
            f"path_to_input={self._folder / 'list.txt'}", f"path_to_output={self.out.root}",
            "stages=[partition,download]", "politeness.robots=ignore", f"politeness.patience_s={PATIENCE_S}",
            f"downloader_parameters.default_rate_limit={RATE_RPS}", "downloader_parameters.rate_multiplier=0",
            "network.request_timeout_s=20",
            "network.max_attempts=2", "network.low_speed_s=5", "cluster.num_cpus=2", "cluster.task_seconds=20",
            as_override("network.connect_to", self._origin.connect_to),
        )  # fmt: skip
        with (self._folder / "program.log").open("ab") as log:
            return subprocess.Popen(command(*arguments), cwd=self._folder, env=ENVIRONMENT, stdout=log, stderr=log)

    def disturb(self, seconds: float) -> subprocess.Popen[bytes]:
        """Let it run under faults for so long; returns the last process."""
        driver = self.start()
        fault_at_s = self.now_s + self._rng.uniform(15, 30)
        while self.now_s < seconds:
            if driver.poll() is not None:
                if driver.returncode == 0:
                    break  # nothing is left to do
                driver = self.start()
                fault_at_s = self.now_s + self._rng.uniform(15, 30)
            self._sample(driver)
            if self.now_s >= fault_at_s:
                self._harm(driver)
                fault_at_s = self.now_s + self._rng.uniform(5, 20)
        return driver

    def finish(self, driver: subprocess.Popen[bytes]) -> int:
        """Let it end without faults, as long as it gets anywhere; returns its exit code."""
        asked, until_s = -1, self.now_s
        while True:
            if self.now_s >= until_s:
                before, asked = asked, len(self._origin.seen())
                if asked == before:
                    break
                until_s = self.now_s + FINISH_S
            code = driver.poll()
            if code == 0:
                return 0
            if code is not None:
                driver = self.start()
            self._sample(driver)
        kill_all(driver)
        return -1

    def _harm(self, driver: subprocess.Popen[bytes]) -> None:
        name = self._rng.choice(list(FAULTS))
        self.faults[name] += 1
        self.faults_at_s.append(round(self.now_s, 1))
        FAULTS[name](driver, self._rng)

    def _sample(self, driver: subprocess.Popen[bytes]) -> None:
        self.samples.append(sample(driver, round(self.now_s, 1)))
        time.sleep(SAMPLE_S)


def proven(out: RunFolder, listed: list[ListedRow]) -> dict[str, Any]:
    """Each row stands in exactly one of successes and errors, as it may end; what does not is named."""
    ended: dict[str, list[str]] = {}
    for row in out.successes(["identifier"]).to_pylist():
        ended.setdefault(row["identifier"], []).append("")
    for row in out.errors().select(["identifier", "error_kind"]).to_pylist():
        ended.setdefault(row["identifier"], []).append(row["error_kind"])
    wrong = {row.url: ended.get(row.url, []) for row in listed if not _may_end(row, ended.get(row.url, []))}
    return {
        "rows": len(listed),
        "successes": sum(kinds.count("") for kinds in ended.values()),
        "errors_by_kind": dict(sorted(Counter(kind for kinds in ended.values() for kind in kinds if kind).items())),
        "rows_not_in_the_list": len(ended.keys() - {row.url for row in listed}),
        "rows_that_end_wrongly": len(wrong),
        "some_of_them": dict(list(wrong.items())[:10]),
    }


def _may_end(row: ListedRow, kinds: list[str]) -> bool:
    return len(kinds) == 1 and kinds[0] in row.may_end


def requests_of(origin: RunningOrigin) -> Mapping[str, Any]:
    """What the servers saw."""
    seen = origin.seen()
    pictures = Counter(
        (one.host, one.target) for one in seen if one.target.startswith("/photo/") and "r.jpg" not in one.target
    )
    again = sum(count - 1 for count in pictures.values())
    return {
        "requests": len(seen),
        "most_in_flight_at_a_server": max(one.in_flight for one in seen),
        "pictures_asked_again": again,
        "share_asked_again": round(again / max(1, len(pictures)), 4),
    }


def main() -> int:
    """Returns 0 if every row ended as it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--rows", type=int, help="rows of each server; by default they last about as long as the faults"
    )
    parser.add_argument("--record", type=Path, help="folder in which the record is kept")
    given = parser.parse_args()
    seconds = given.minutes * 60
    listed = list(rows(given.rows or max(10, round(RATE_RPS * seconds * 0.4))))
    options = OriginOptions(limits={"s19.example": HostLimit(2.0, 2, 429, 5.0)})
    with tempfile.TemporaryDirectory() as name, running_origin(options) as origin:
        folder = Path(name)
        (folder / "list.txt").write_text("\n".join(row.url for row in listed) + "\n", "utf-8")
        soak = Soak(folder, origin, given.seed)
        code = soak.finish(soak.disturb(seconds))
        result = proven(soak.out, listed)
        figures = {
            "seconds_under_faults": round(min(seconds, soak.now_s)),
            "seconds": round(soak.now_s),
            "seed": given.seed,
            "servers": SERVERS,
            "machine": f"{os.cpu_count()} cores, {platform.system()}",
            "load_average": round(os.getloadavg()[1], 1),
            "exit_code": code,
            "starts": soak.starts,
            "faults": dict(sorted(soak.faults.items())),
            "most_mb": {name: round(max(getattr(one, name) for one in soak.samples)) for name in
                        ("driver_mb", "workers_mb", "decoders_mb", "ray_mb")},
            "most_descriptors": max(one.descriptors for one in soak.samples),
            **result,
            **requests_of(origin),
            "faults_at_s": soak.faults_at_s,
        }  # fmt: skip
    if given.record:
        keep(given.record, soak.samples, figures)
    for key, value in figures.items():
        sys.stdout.write(f"{key}: {value}\n")
    is_proven = not code and not result["rows_that_end_wrongly"] and not result["rows_not_in_the_list"]
    return 0 if is_proven else 1


if __name__ == "__main__":
    sys.exit(main())
