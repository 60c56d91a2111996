"""Run worlds by number: `python -m tests.simulation 17` replays one, `--worlds 10000` looks for failing ones."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count

from tests.simulation.checking import found_in, run_world, sentence, shrink, world_of_seed
from tests.simulation.invariants import breaches
from tests.simulation.printing import source_of

_CHUNK = 10


def _check(seed: int) -> tuple[int, str]:
    return seed, sentence(found_in(world_of_seed(seed)))


def soak(first: int, count: int, processes: int) -> int:
    """Run many worlds; every failing one is printed with the command that replays it."""
    failed, started_at_s = 0, time.perf_counter()
    with ProcessPoolExecutor(processes) as pool:
        for seed, found in pool.map(_check, range(first, first + count), chunksize=_CHUNK):
            if found:
                failed += 1
                print(f"world {seed} fails; replay it with: python -m tests.simulation {seed}\n{found}", flush=True)
    seconds = time.perf_counter() - started_at_s
    print(f"{count} worlds in {seconds:.0f} s, {failed} failed")
    return int(failed > 0)


def replay(seed: int, *, shows_events: bool, shrinks: bool) -> int:
    """Run one world and tell everything."""
    world = world_of_seed(seed)
    run = run_world(world)
    found = breaches(run)
    if shows_events:
        for event in run.events:
            print(*event)
    if shrinks and found:
        world = shrink(world, next(iter(found)))
        found = found_in(world)
    print(source_of(world))
    print(f"{run.seconds:.1f} s, exits {run.exits}, {run.steps} events, {sum(map(len, run.arrivals))} requests")
    print(sentence(found) or "everything holds")
    return int(bool(found))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="replay this world")
    parser.add_argument("--events", action="store_true", help="print everything that happens in it")
    parser.add_argument("--shrink", action="store_true", help="make it as small as it can be while it still fails")
    parser.add_argument("--worlds", type=int, default=300, help="how many to run where no world is named")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--processes", type=int, default=cpu_count() or 1)
    given = parser.parse_args()
    if given.seed is None:
        return soak(given.first, given.worlds, given.processes)
    return replay(given.seed, shows_events=given.events, shrinks=given.shrink)


if __name__ == "__main__":
    sys.exit(main())
