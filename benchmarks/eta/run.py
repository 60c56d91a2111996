"""The time left as real runs estimated it at half-time, beside what they then took.

python -m benchmarks.eta.run

Three runs against servers on loopback, one after the other: two servers of which one is slow and long; a server whose
limit nobody told, which says `Retry-After`; servers that answer in a second and a half, of which one forbids a part.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.job import ENVIRONMENT, as_override, command
from tests.support.options import HostLimit, OriginOptions
from tests.support.running import running_origin

INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class Run:
    """What is listed of which hosts, and how they behave."""

    name: str
    rows: Mapping[str, int]
    settings: Sequence[str] = ()
    origin: OriginOptions = field(default_factory=OriginOptions)


RUNS = (
    Run("a long slow server and a quick one", {"slow.example": 150, "quick.example": 300},
        ('politeness.rules=[{server: slow.example, rate_rps: 2},{server: quick.example, rate_rps: 20}]',)),
    Run("a limit that nobody told, with Retry-After", {"limited.example": 700, "other.example": 200}, (),
        OriginOptions(limits={"limited.example": HostLimit(8.0, 8, retry_after_s=2.0)})),
    Run("answers that take long, and robots.txt", {"late.example": 200, "second.example": 120},
        ("politeness.robots=obey",),
        OriginOptions(latency_s=1.5, robots={"late.example": "User-agent: *\nDisallow: /photo/1"})),
)  # fmt: skip


def measured(run: Run) -> tuple[float, float, float]:
    """Seconds of the download stage, those left at half-time, and those that it estimated then."""
    with tempfile.TemporaryDirectory() as folder, running_origin(run.origin) as origin:
        urls = [f"http://{host}/photo/{n}.jpg" for host, rows in run.rows.items() for n in range(rows)]
        (Path(folder) / "list.txt").write_text("\n".join(urls) + "\n", "utf-8")
        out = Path(folder) / "out"
        line = command("path_to_input=list.txt", f"path_to_output={out}", "stages=[partition,download]", *run.settings,
                       as_override("network.connect_to", origin.connect_to))  # fmt: skip
        seen: list[tuple[float, float]] = []
        with subprocess.Popen(line, cwd=folder, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None:
                time.sleep(INTERVAL_S)
                try:
                    found = json.loads((out / "logs" / "progress.json").read_text("utf-8"))
                except (FileNotFoundError, ValueError):
                    continue
                rows = found["rows"]
                if found["eta_s"] is not None and rows["successes"] + rows["errors"] and rows["left"]:
                    seen.append((time.monotonic(), found["eta_s"]))
        ended_s = seen[-1][0]
        half_s = (seen[0][0] + ended_s) / 2
        at_s, estimated_s = min(seen, key=lambda moment: abs(moment[0] - half_s))
        return ended_s - seen[0][0], ended_s - at_s, estimated_s


def main() -> None:
    """Print a line for each run."""
    for run in RUNS:
        whole_s, left_s, estimated_s = measured(run)
        print(f"{run.name}: {whole_s:.0f} s; at half-time {estimated_s:.0f} s were estimated, {left_s:.0f} s were left "
              f"({estimated_s / left_s - 1:+.0%}), load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
