"""Which rows share a batch: a pure function of how many rows each server has.

A big server has batches of its own, of nearly equal size. Small servers share batches, so that 10^6 servers do not
make 10^6 folders. The plan is an order of servers, and the sizes of the batches into which rows in that order are cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ray_downloader.run_folder.layout import names_a_folder
from ray_downloader.run_folder.schemas import POOLED

#: At most this many servers have batches of their own, the biggest ones.
MAX_OWN_SERVERS = 10_000
#: Rows of a server, or of all small ones, are cut into this many batches if each still has this many rows: one core at
#: a time works on a batch, and a list of one server should keep several cores busy.
LEAST_PIECES = 8
LEAST_PIECE_ROWS = 500


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """One batch: the next `rows` rows in the plan's order, of `servers` servers."""

    server_name: str
    partition_id: int
    rows: int
    servers: int


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """Servers in order, the number of batches with rows of each of them, and the batches, all in the same order."""

    servers: tuple[str, ...]
    batches_of_server: tuple[int, ...]
    batches: tuple[PlannedBatch, ...]


def plan_batches(rows_of_server: Mapping[str, int], batch_size: int, pool_below: int) -> PartitionPlan:
    """Cut rows into batches of at most `batch_size`; servers with their own come first, each group sorted by name.

    Args:
        pool_below: A server with fewer rows shares batches: a folder and two files would be mostly overhead.
    """
    biggest = sorted(rows_of_server, key=lambda name: (-rows_of_server[name], name))[:MAX_OWN_SERVERS]
    own = sorted(
        name for name in biggest if name != POOLED and rows_of_server[name] >= pool_below and names_a_folder(name)
    )
    pooled = sorted(rows_of_server.keys() - set(own))
    own_batches = [list(_own_batches(name, rows_of_server[name], batch_size)) for name in own]
    spans, pooled_batches = _pooled_batches([rows_of_server[name] for name in pooled], batch_size)
    return PartitionPlan(
        servers=(*own, *pooled),
        batches_of_server=(*map(len, own_batches), *spans),
        batches=(*(batch for batches in own_batches for batch in batches), *pooled_batches),
    )


def _own_batches(name: str, rows: int, batch_size: int) -> Iterator[PlannedBatch]:
    """Batches of sizes that differ by at most one: 199,999 rows are 19 of 10,000 and one of 9,999."""
    count = _pieces(rows, batch_size)
    smaller, bigger_ones = divmod(rows, count)
    for partition_id in range(count):
        yield PlannedBatch(name, partition_id, smaller + (partition_id < bigger_ones), 1)


def _pooled_batches(rows: list[int], batch_size: int) -> tuple[list[int], list[PlannedBatch]]:
    """How many of the batches each server is in; and batches in the order of servers, all but the last of one size."""
    total = sum(rows)
    size = -(-total // _pieces(total, batch_size)) if total else batch_size
    spans: list[int] = []
    servers_in_batch: dict[int, int] = {}
    start = 0
    for count in rows:
        touched = range(start // size, (start + count - 1) // size + 1)
        spans.append(len(touched))
        for index in touched:
            servers_in_batch[index] = servers_in_batch.get(index, 0) + 1
        start += count
    return spans, [
        PlannedBatch(POOLED, index, min(size, total - index * size), servers)
        for index, servers in servers_in_batch.items()
    ]


def _pieces(rows: int, batch_size: int) -> int:
    return max(-(-rows // batch_size), min(LEAST_PIECES, rows // LEAST_PIECE_ROWS))
