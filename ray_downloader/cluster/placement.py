"""Which actor holds which budget: pure.

An actor is a process of 62 MB that costs 0.5 s of CPU to start (both measured), so only servers with much work get one
of their own, and no more of them than memory and cores allow. All others share a few actors.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

ACTOR_MB = 62
#: Share of the cluster's memory that actors may take, whatever the mode: more of them would leave none for the work.
MEMORY_SHARE = 0.1
#: Dedicated actors a core, in `auto`: 16 x 0.5 s keeps start-up within the time the workers need for theirs.
ACTORS_PER_CPU = 4
#: Rows from which a server is worth an actor of its own, in `auto`: about an hour at 3 requests/s.
WORTHWHILE_ROWS = 10_000
#: Budgets from which a further shared actor is worth its process ...
BUDGETS_PER_SHARED_ACTOR = 1_000
#: ... and what one can do: a lease costs 0.09 ms (10^5 servers, 2 cores), a core of workers asks for some 400 a second.
CPUS_PER_SHARED_ACTOR = 4
MAX_SHARED_ACTORS = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placement:
    """How budgets are spread over actors.

    Args:
        dedicated: Budgets with an actor of their own.
        shared: Number of actors for all others; at least one, for servers met on the way (redirects).
    """

    dedicated: tuple[str, ...]
    shared: int


def place(
    rows_by_budget: Mapping[str, int], mode: Literal["auto", "dedicated", "shared"], memory_mb: float, cpus: float
) -> Placement:
    """Decide how budgets are spread.

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
        host = self.dedicated.get(budget)
        return host if host is not None else self.shared[zlib.crc32(budget.encode()) % len(self.shared)]

    @property
    def hosts(self) -> list[T]:
        """All actors."""
        return [*self.dedicated.values(), *self.shared]
