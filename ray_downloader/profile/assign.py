"""Which rank probes which servers: pure and deterministic.

Servers that share a budget (`politeness.rules` groups) stay together, as only one process can pace them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ray_downloader.partition.batches import Batch


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """One server to be probed, with the batches from which its sample rows are taken."""

    server_name: str
    budget_key: str
    rows: int
    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class BudgetJobs:
    """Servers of one budget, probed one after the other at the budget's pace.

    Args:
        rate_rps: The pace.
        cost_s: Expected duration.
    """

    budget_key: str
    jobs: tuple[ProbeJob, ...]
    rate_rps: float
    cost_s: float


def balanced_shares(work: Iterable[BudgetJobs], ranks: int) -> list[list[BudgetJobs]]:
    """Give each piece, longest first, to the rank with the least work (LPT rule: at most 4/3 of the best makespan)."""
    shares: list[list[BudgetJobs]] = [[] for _ in range(ranks)]
    loads = [(0.0, rank) for rank in range(ranks)]
    for piece in sorted(work, key=_longest_first):
        load_s, rank = heapq.heappop(loads)
        shares[rank].append(piece)
        heapq.heappush(loads, (load_s + piece.cost_s, rank))
    return shares


def spread_positions(rows: int, count: int) -> Sequence[int]:
    """Row numbers of `count` samples, in the middle of equal parts of the list; fewer if there are fewer rows."""
    count = min(rows, count)
    return [(2 * index + 1) * rows // (2 * count) for index in range(count)]


def _longest_first(piece: BudgetJobs) -> tuple[float, str]:
    return -piece.cost_s, piece.budget_key
