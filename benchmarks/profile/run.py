"""Does a profile pay? The same list and the same law after it, once with the profile stage and once without.

    python -m benchmarks.profile.run [--rows-per-server 240]

Starts a loopback origin whose hosts differ in true limit (429 with Retry-After above it) and in latency, runs the
whole program on it both ways, each in a process of its own, and prints a line each: seconds of the profile and of the
download, requests that the origin saw, and how many of them it answered with 429.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.config.settings import OutputStructure
from ray_downloader.profile.table import load_profiled_rates
from ray_downloader.run_folder.layout import RunLayout
from tests.support.log import Seen
from tests.support.options import HostLimit, OriginOptions
from tests.support.running import RunningOrigin, running_origin

RETRY_AFTER_S = 2.0


@dataclass(frozen=True)
class Host:
    """A server: its true limit (None: none), and how long it takes to answer."""

    name: str
    limit_rps: float | None
    latency_s: float

    def rows(self, most: int) -> int:
        """As many as it could serve in some 20 s, so that no host decides the comparison by its size."""
        return most if self.limit_rps is None else min(most, int(self.limit_rps * 20))


#: Mostly, slow servers have low limits; the last two are the exceptions that a profile cannot see through.
HOSTS = (
    Host("tiny.example", 1.5, 0.4),
    Host("small.example", 3.0, 0.2),
    Host("middle.example", 6.0, 0.1),
    Host("large.example", 12.0, 0.05),
    Host("huge.example", 24.0, 0.02),
    Host("store.example", None, 0.005),
    Host("strict-but-quick.example", 3.0, 0.005),
    Host("generous-but-slow.example", None, 0.4),
)


def write_list(path: Path, most_rows: int) -> int:
    """Write the URLs of all hosts; returns how many."""
    urls = [
        f"http://{host.name}/delay/{row}.jpg?s={host.latency_s}"
        for host in HOSTS
        for row in range(host.rows(most_rows))
    ]
    path.write_text("\n".join(urls) + "\n", "utf-8")
    return len(urls)


def run_stages(stages: list[str], path_to_input: Path, out: Path, origin: RunningOrigin) -> float:
    """Seconds of the program's process for some stages, start-up included."""
    config = out.with_suffix(".yaml")  # JSON is YAML
    keys = {"path_to_input": str(path_to_input), "path_to_output": str(out), "stages": stages}
    config.write_text(json.dumps(keys | {"network": {"connect_to": origin.connect_to}}), "utf-8")
    command = [
        sys.executable,
        "-c",
        f"import ray_downloader as r; raise SystemExit(r.download_images({str(config)!r}))",
    ]
    started_s = time.perf_counter()
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"stages {stages} ended with exit code {ended.returncode}:\n{ended.stderr}")
    return time.perf_counter() - started_s


def measure(name: str, has_profile: bool, path_to_input: Path, folder: Path, origin: RunningOrigin) -> None:
    """One way through the whole list, as one printed line."""
    out = folder / name
    origin.forget()
    run_stages(["partition"], path_to_input, out, origin)
    profile_s = run_stages(["profile"], path_to_input, out, origin) if has_profile else 0.0
    probed = len(origin.seen())
    run_stages(["download"], path_to_input, out, origin)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    seen = origin.seen()
    refused = sum(entry.status == 429 for entry in seen)
    print(
        f"{name:<10} profile {profile_s:6.1f} s  download {summary['download']['seconds']:7.1f} s  "
        f"successes {summary['rows']['successes']:5}  requests {len(seen):5}  429s {refused:4}",
        flush=True,
    )
    rates = load_profiled_rates(RunLayout(out, OutputStructure()))
    for host in HOSTS:
        downloads = [entry for entry in seen[probed:] if entry.host == host.name]
        print(_host_line(host, rates.get(host.name), downloads), flush=True)


def _host_line(host: Host, first_rps: float | None, seen: list[Seen]) -> str:
    lasted_s = seen[-1].at_s - seen[0].at_s
    refused = sum(entry.status == 429 for entry in seen)
    first = "     -" if first_rps is None else f"{first_rps:6.2f}"
    return (
        f"    {host.name:<28} limit {host.limit_rps or '-':>5}  first rate {first}  {lasted_s:6.1f} s  429s {refused:3}"
    )


def main() -> None:
    """Command line of the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows-per-server", type=int, default=240)
    arguments = parser.parse_args()
    limits = {
        host.name: HostLimit(host.limit_rps, burst=2, retry_after_s=RETRY_AFTER_S) for host in HOSTS if host.limit_rps
    }
    with tempfile.TemporaryDirectory() as folder, running_origin(OriginOptions(limits=limits)) as origin:
        path_to_input = Path(folder, "list.txt")
        print(f"{write_list(path_to_input, arguments.rows_per_server)} rows on {len(HOSTS)} servers")
        measure("constant", False, path_to_input, Path(folder), origin)
        measure("profile", True, path_to_input, Path(folder), origin)


if __name__ == "__main__":
    main()
