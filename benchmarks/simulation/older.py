"""What the same list costs with one server per process, as in distributed-downloader.

There a process works at one server at its configured rate, and holds a core meanwhile. A server faster than a process
gets more of them. Nodes are leased whole. Two figures: with perfect packing (process hours by cores of a node), and as
placed, longest first, with a node given back when its last process ends.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from benchmarks.simulation.world import SimulatedServer
from ray_downloader.schedule.planner import CORE_RPS


def process_hours(servers: Sequence[SimulatedServer]) -> list[float]:
    """How long each process runs."""
    hours: list[float] = []
    for server in servers:
        processes = math.ceil(server.rate_rps / CORE_RPS)
        hours += [server.rows / server.rate_rps / 3600] * processes
    return hours


def packed_node_hours(hours: Sequence[float], cores: int) -> float:
    """No core ever idle."""
    return sum(hours) / cores


def placed_node_hours(hours: Sequence[float], nodes: int, cores: int) -> float:
    """The longest process goes to the core that is free first; a node is paid until its last process ends."""
    free_at = [(0.0, core) for core in range(nodes * cores)]
    ends = [0.0] * nodes
    for length in sorted(hours, reverse=True):
        start, core = heapq.heappop(free_at)
        heapq.heappush(free_at, (start + length, core))
        ends[core // cores] = max(ends[core // cores], start + length)
    return sum(ends)
