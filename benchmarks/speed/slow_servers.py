"""300 servers at 3/s each from one machine: `python -m benchmarks.speed.slow_servers`. Counted in the server's own log.

Pictures are small (320 x 240), so that two cores could process more than the servers allow.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.speed.origin import Origin, running_nginx
from benchmarks.speed.ours import command_of, run_quietly
from benchmarks.speed.peers.run import WORK
from benchmarks.speed.pictures import make_pictures

SERVERS, RATE_RPS = 300, 3
#: Before that servers still start, after that the first have ended.
FIRST_S, LAST_S = 5.0, 5.0


def requests_per_s(origin: Origin, files: list[Path], seconds: float) -> float:
    """Requests/s at all servers together, without the run's first and last seconds."""
    rows = int(seconds * RATE_RPS)
    urls = [
        f"http://slow{server}.example/{row}/{files[row % len(files)].name}"
        for row in range(rows)
        for server in range(SERVERS)
    ]
    with tempfile.TemporaryDirectory() as folder:
        list_file = Path(folder, "list.txt")
        list_file.write_text("\n".join(urls) + "\n", "utf-8")
        overrides = [
            "politeness=polite", "politeness.robots=ignore", f"politeness.max_rate_limit={RATE_RPS}",
            f'network.connect_to={{"*:80":"{origin.base_url.removeprefix("http://")}"}}',
        ]  # fmt: skip
        run_quietly(command_of(list_file, Path(folder, "out"), overrides), Path(folder), time_limit_s=seconds * 3 + 60)
    times_s = sorted(float(line.split()[0]) for line in origin.log.read_text().splitlines())
    start_s, end_s = times_s[0] + FIRST_S, times_s[0] + seconds - LAST_S
    return sum(start_s <= at_s < end_s for at_s in times_s) / (end_s - start_s)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0)
    seconds = parser.parse_args().seconds
    files = make_pictures(WORK / "pictures")["thumb"]
    with running_nginx(WORK / "pictures", logs=True) as origin:
        rate_rps = requests_per_s(origin, files, seconds)
    allowed_rps = SERVERS * RATE_RPS
    print(f"{rate_rps:.0f} requests/s, {rate_rps / allowed_rps:.3f} of {allowed_rps}; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
