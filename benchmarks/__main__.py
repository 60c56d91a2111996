"""Lists and runs the benchmarks: `python -m benchmarks [--list] [name ...]`; without names, all of them.

Each is a separate program that prints its figures; the README beside it has those of our machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A program below `benchmarks/`.

    Args:
        command: Arguments of the interpreter.
        about: What it measures, and about how long it takes.
    """

    command: tuple[str, ...]
    about: str


BENCHMARKS = {
    "image": Benchmark(("benchmarks/image/share_of_floor.py",), "the image stage beside OpenCV alone (10 s)"),
    "partition": Benchmark(("benchmarks/partition/run.py",), "1 M rows of a GBIF list into batches (10 s)"),
    "profile": Benchmark(("-m", "benchmarks.profile.run"), "profiling many servers (a minute)"),
    "simulate": Benchmark(("-m", "benchmarks.simulate"), "200 M images over 545 servers, in virtual time (3 min)"),
    "speed": Benchmark(("-m", "benchmarks.speed"), "images/s beside peers and the floor; needs nginx (15 min)"),
    "start-up": Benchmark(
        ("-m", "benchmarks.speed.start_up"), "to the first request, and a finished run again (3 min)"
    ),
    "memory": Benchmark(("-m", "benchmarks.speed.memory"), "of a worker with many servers (1 min)"),
    "slow-servers": Benchmark(("-m", "benchmarks.speed.slow_servers"), "300 servers of 3/s at once (1 min)"),
    "names": Benchmark(("-m", "benchmarks.speed.names"), "what the resolver is asked; as root (3 min)"),
    "checks": Benchmark(("-m", "benchmarks.politeness.checks"), "two contracts that a server can check (2 min)"),
    "mutants": Benchmark(("-m", "benchmarks.mutants"), "do the unit tests notice when the code is wrong? (15 min)"),
    "report": Benchmark(("-m", "benchmarks.report.run"), "report.html of 1 M rows over 10,000 servers (2 min)"),
    "eta": Benchmark(("-m", "benchmarks.eta.run"), "the time left of real runs at half-time (6 min)"),
    "renditions": Benchmark(("-m", "benchmarks.renditions.run"), "bytes that smaller versions save (3 min)"),
    "politeness": Benchmark(("-m", "benchmarks.politeness"), "our law beside those of others (4 min)"),
}


def run(name: str) -> bool:
    """Run one; whether it succeeded."""
    benchmark = BENCHMARKS[name]
    print(f"== {name}: {benchmark.about}; load {os.getloadavg()[0]:.1f}", flush=True)
    started_s = time.monotonic()
    done = subprocess.run([sys.executable, *benchmark.command], cwd=CHECKOUT, check=False)
    print(f"== {name}: exit {done.returncode} after {time.monotonic() - started_s:.0f} s", flush=True)
    return not done.returncode


def main() -> int:
    """Command line; the exit code is 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--list", action="store_true", help="only say what there is")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{name:12} {benchmark.about}" for name, benchmark in BENCHMARKS.items()))
        return 0
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}")
    results = [run(name) for name in arguments.names or BENCHMARKS]
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
