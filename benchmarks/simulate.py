"""A run of 200 M images over 545 servers in virtual time, with the real planner and the real law.

    python -m benchmarks.simulate [--rows 200000000] [--servers 545] [--nodes 1 5 20] [--cores 32] [--burst 1]
                                  [--only usual]

Three tables: what the law gets out of a server, how long the run takes beside the least possible time (and what one
server per process would cost), and what planning 10^6 servers takes. Figures are in `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.simulation.cluster import SimulatedCluster
from benchmarks.simulation.law import nearest_kind, simulate_law
from benchmarks.simulation.older import packed_node_hours, placed_node_hours, process_hours
from benchmarks.simulation.scale import plan_all
from benchmarks.simulation.world import SimulatedServer, batches_of, generous_rate_rps, make_world, usual_rate_rps
from ray_downloader.partition.batches import Batch
from ray_downloader.schedule.planner import CORE_RPS

WORLDS: dict[str, Callable[[int, int, random.Random], float]] = {
    "usual": usual_rate_rps,
    "generous": generous_rate_rps,
}
LAW_RATES_RPS = (3.0, 10.0, 30.0, 100.0, 400.0, 2000.0)


def show_law() -> None:
    """What share of its ceiling the law gets out of a server that allows it."""
    print("law: settled share of the ceiling, and seconds lost at the start")
    for rate_rps in LAW_RATES_RPS:
        kinds = [(tasks, burst) for tasks in (1, 2) for burst in (1, 4)]
        cells = [(kind, simulate_law(rate_rps, *kind)) for kind in kinds]
        text = "  ".join(
            f"{tasks} tasks, burst {burst}: {figures.share:.3f} {figures.ramp_s:3.1f} s"
            for (tasks, burst), figures in cells
        )
        print(f"  {rate_rps:6g}/s  {text}")


def show_world(
    name: str, servers: Sequence[SimulatedServer], nodes: Sequence[int], cores: int, *, task_seconds: float, burst: int
) -> None:
    """Makespan on each number of nodes beside the least possible, and node-hours beside those of the older design."""
    rates = {server.name: server.rate_rps for server in servers}
    slowest = max(servers, key=lambda server: server.rows / server.rate_rps)
    rows = sum(server.rows for server in servers)
    hours = process_hours(servers)
    print(
        f"{name}: {rows:,} rows, {len(servers)} servers, sum of rates {sum(rates.values()):,.0f}/s; "
        f"slowest: {slowest.name}, {slowest.rows:,} rows at {slowest.rate_rps:,.0f}/s; "
        f"one server per process: {packed_node_hours(hours, cores):,.1f} node-hours if packed perfectly"
    )
    for count in nodes:
        slots = count * cores
        bound_s = max(slowest.rows / slowest.rate_rps, rows / (slots * CORE_RPS))
        line = [f"  {count:3} nodes of {cores}  bound {bound_s / 3600:7.2f} h"]
        for label, law in (("rate given", None), ("with the law", partial(law_rate_rps, burst))):
            cluster = simulated(rates, law, slots, task_seconds)
            makespan_s = cluster.run(batches_of(list(servers)))
            line.append(f"{label}: {makespan_s / 3600:7.2f} h = {makespan_s / bound_s:.3f} x bound")
            node_hours = count * makespan_s / 3600
        line.append(
            f"node-hours {node_hours:,.1f}, one server per process {placed_node_hours(hours, count, cores):,.1f}"
        )
        print("  ".join(line), flush=True)


def law_rate_rps(burst: int, rate_rps: float, tasks: int) -> float:
    """What the law gets out of a server of this rate that so many tasks hold."""
    return rate_rps * simulate_law(nearest_kind(rate_rps, LAW_RATES_RPS), min(tasks, 2), burst).share


def simulated(
    rates: dict[str, float], law: Callable[[float, int], float] | None, slots: int, task_seconds: float
) -> SimulatedCluster:
    """A cluster whose servers yield their ceiling, or what the law makes of it."""

    def rate_rps(server: str, tasks: int) -> float:
        return law(rates[server], tasks) if law else rates[server]

    def expected_rps(batch: Batch) -> float:
        return rates[batch.server_name]

    return SimulatedCluster(rate_rps, expected_rps, slots, task_seconds)


def show_scale(servers: int) -> None:
    """Planning alone, for as many servers as batches."""
    seconds, memory_gb, slices = plan_all(servers)
    print(f"planning {servers:,} servers and batches in {slices:,} slices: {seconds:.1f} s, {memory_gb:.2f} GB")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000_000)
    parser.add_argument("--servers", type=int, default=545)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--cores", type=int, default=32, help="of a node")
    parser.add_argument("--only", choices=list(WORLDS), help="simulate this world only")
    parser.add_argument("--task-seconds", type=float, default=60.0)
    parser.add_argument("--burst", type=int, default=1, help="of every server")
    parser.add_argument("--planned-servers", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if not arguments.only:
        show_scale(arguments.planned_servers)
        show_law()
    make = partial(make_world, arguments.rows, arguments.servers)
    for name in [arguments.only] if arguments.only else WORLDS:
        options = {"task_seconds": arguments.task_seconds, "burst": arguments.burst}
        show_world(name, make(WORLDS[name]), arguments.nodes, arguments.cores, **options)


if __name__ == "__main__":
    main()
