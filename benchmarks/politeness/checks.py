"""Two contracts that a server can check, with the real program: `python -m benchmarks.politeness.checks`.

(a) Four servers at a configured 25/s with burst 1, 60-row batches: no window of w seconds sees more than 25 w + 1
requests, and at least 85 % of the budget is used. (b) Servers that allow 30/s and answer 429 with Retry-After: 1,
told a ceiling of 200/s and started at 10/s: at least 85 % of 30/s over the whole run, at most 10 429s per 1,000 images.
"""

from __future__ import annotations

import argparse
import os

from benchmarks.politeness.behaviours import LIMIT_RPS
from benchmarks.politeness.measure import Figures, excess_over
from benchmarks.politeness.running import Request, run_program, running_origin


def check_budget(rows: int, rate_rps: float = 25.0) -> None:
    """(a): one line a server."""
    hosts = [f"s{number}.healthy.{number}.example" for number in range(4)]
    arguments = [
        f"downloader_parameters.default_rate_limit={rate_rps}", "downloader_parameters.rate_multiplier=0",
        "downloader_parameters.batch_size=60", "politeness.burst=1",
    ]  # fmt: skip
    for host, log in _logs(hosts, rows, arguments).items():
        times_s = [entry.at_s for entry in log]
        excess = excess_over(rate_rps, times_s)
        used = len(log) / (times_s[-1] - times_s[0]) / rate_rps
        print(f"a  {host:28} requests {len(log):5}  burst seen {excess:5.2f} (<= 1)  used {used:.3f} (>= 0.85)")


def check_limit(rows: int, behaviours: list[str]) -> None:
    """(b): one line a server."""
    hosts = [f"s.{behaviour}.{number}.example" for number, behaviour in enumerate(behaviours)]
    arguments = ["politeness.max_rate_limit=200", "downloader_parameters.default_rate_limit=10"]
    for host, log in _logs(hosts, rows, arguments).items():
        figures = Figures.of(log, LIMIT_RPS)
        print(
            f"b  {host:28} images {figures.images:5}  share of 30/s {figures.share:.3f} (>= 0.85)"
            f"  429s per 1,000 {figures.refusals:5.1f} (<= 10)  requests an image {figures.requests:.3f}"
        )


def _logs(hosts: list[str], rows: int, arguments: list[str]) -> dict[str, list[Request]]:
    urls = [f"http://{host}/{number}.jpg" for number in range(rows) for host in hosts]
    with running_origin() as origin:
        run_program(origin, urls, arguments, seconds=300)
        log = origin.log()
    return {host: [entry for entry in log if entry.host == host] for host in hosts}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=600, help="images a server")
    parser.add_argument("--behaviours", nargs="+", default=["bucket-1", "bucket-5", "bucket-30", "window"])
    parser.add_argument("--only", choices=["a", "b"])
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    if arguments.only != "b":
        check_budget(arguments.rows)
    if arguments.only != "a":
        check_limit(arguments.rows, arguments.behaviours)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
