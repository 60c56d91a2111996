"""Which actor holds which budget: pure.

An actor is a process of 62 MB that costs 0.5 s of CPU to start (both measured), so only servers with much work get one
of their own, as far as memory and cores allow. All others share a few actors.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

ACTOR_MB = 62
#: Share of the cluster's memory that actors may use, whatever the mode: more would leave none for the work.
MEMORY_SHARE = 0.1
#: Dedicated actors per core, in `auto`: 16 x 0.5 s keeps start-up within the time that workers need for theirs.
ACTORS_PER_CPU = 4
#: Rows that make a server worth an actor of its own, in `auto`: about an hour at 3 requests/s.
WORTHWHILE_ROWS = 10_000
#: Number of budgets that justifies the process of a further shared actor ...
BUDGETS_PER_SHARED_ACTOR = 1_000
#: ... and its capacity: a lease costs 0.09 ms (10^5 servers, 2 cores), a core of workers requests some 400 a second.
CPUS_PER_SHARED_ACTOR = 4
MAX_SHARED_ACTORS = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placement:
    """How budgets are distributed over actors.

    Args:
        dedicated: Budgets with an actor of their own.
        shared: Number of actors for all others; at least one, for servers met on the way (redirects).
    """

    dedicated: tuple[str, ...]
    shared: int


def place(
    rows_by_budget: Mapping[str, int], mode: Literal["auto", "dedicated", "shared"], memory_mb: float, cpus: float
) -> Placement:
    """Decide how budgets are distributed.

    Args:
        rows_by_budget: Rows still to do.
        mode: `cluster.server_actors`.
        memory_mb: Memory of the whole cluster.
        cpus: Cores of the whole cluster.
    """
    most, least_rows = memory_mb * MEMORY_SHARE / ACTOR_MB, 0
    if mode == "auto":
        most, least_rows = min(most, cpus * ACTORS_PER_CPU), WORTHWHILE_ROWS
    elif mode == "shared":
        most = 0
    big = [budget for budget, rows in rows_by_budget.items() if rows >= least_rows]
    dedicated = sorted(big, key=lambda budget: rows_by_budget[budget], reverse=True)[: int(most)]
    others = len(rows_by_budget) - len(dedicated)
    useful = math.ceil(cpus / CPUS_PER_SHARED_ACTOR)
    return Placement(tuple(dedicated), max(1, min(MAX_SHARED_ACTORS, 1 + others // BUDGETS_PER_SHARED_ACTOR, useful)))


@dataclass(frozen=True, slots=True)
class Directory(Generic[T]):
    """Finds the actor of a budget; the same in every task."""

    dedicated: Mapping[str, T]
    shared: tuple[T, ...]

    def actor_of(self, budget: str) -> T:
        """The actor that holds the budget."""
        actor = self.dedicated.get(budget)
        return actor if actor is not None else self.shared[zlib.crc32(budget.encode()) % len(self.shared)]

    @property
    def actors(self) -> list[T]:
        """All actors."""
        return [*self.dedicated.values(), *self.shared]
