"""The list and the servers of a simulated run: how many images each server holds, and what it allows.

Rows follow Zipf's law over 545 servers ("approximately 200 million images across 545 servers": README of
Imageomics/distributed-downloader). What the servers allow is nowhere published, so two worlds are simulated, both
stated here; neither is fitted to the planner.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from ray_downloader.partition.batches import Batch
from ray_downloader.schedule.planner import WorkItem

#: Exponent of Zipf's law; the largest of 545 servers then holds 15 % of all rows (20 % at 1.1).
EXPONENT = 1.0
BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class SimulatedServer:
    """One server.

    Args:
        rows: Images on it.
        rate_rps: Requests/s that it is asked at most: its ceiling.
    """

    name: str
    rows: int
    rate_rps: float


def zipf_rows(rows: int, servers: int) -> list[int]:
    """Rows of each server, the largest first, at least one."""
    weights = [1 / rank**EXPONENT for rank in range(1, servers + 1)]
    scale = rows / sum(weights)
    counts = [max(1, round(weight * scale)) for weight in weights]
    counts[0] += rows - sum(counts)
    return counts


def usual_rate_rps(rank: int, rows: int, rng: random.Random) -> float:
    """The usual world: no server allows more than 400/s; most allow what a profile of a museum finds (3 to 30/s)."""
    return 400.0 if rank == 1 else 100.0 if rank <= 10 else rng.choice([3.0, 10.0, 10.0, 30.0])


def generous_rate_rps(rank: int, rows: int, rng: random.Random) -> float:
    """A world of cloud buckets: every server allows a rate that takes 10 minutes to 4.5 hours, and at least 3/s.

    The total then keeps 32 cores busy for nearly as long as the slowest server takes, which is the hardest case for a
    planner: neither bound hides its losses.
    """
    hours = 4.5 if rank == 1 else rng.uniform(1 / 6, 4.5)
    return max(3.0, rows / (3600.0 * hours))


def make_world(
    rows: int, servers: int, rate_rps: Callable[[int, int, random.Random], float], seed: int = 1
) -> list[SimulatedServer]:
    """The servers of a list."""
    rng = random.Random(seed)
    return [
        SimulatedServer(f"server-{rank}.example", count, rate_rps(rank, count, rng))
        for rank, count in enumerate(zipf_rows(rows, servers), start=1)
    ]


def batches_of(servers: list[SimulatedServer]) -> list[WorkItem]:
    """The batches that the partition stage would make."""
    work: list[WorkItem] = []
    for server in servers:
        for partition_id, start in enumerate(range(0, server.rows, BATCH_ROWS)):
            rows = min(BATCH_ROWS, server.rows - start)
            batch = Batch(len(work), server.name, partition_id, "part-0.parquet", 0, rows, 1)
            work.append(WorkItem(batch, rows))
    return work
