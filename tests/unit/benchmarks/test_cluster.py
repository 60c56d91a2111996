"""The simulated cluster on lists whose makespan is plain."""

from __future__ import annotations

import pytest

from benchmarks.simulation.cluster import SLICE_OVERHEAD_S, SimulatedCluster
from benchmarks.simulation.older import packed_node_hours, placed_node_hours
from benchmarks.simulation.world import SimulatedServer, batches_of, zipf_rows
from ray_downloader.schedule.planner import CORE_RPS


def makespan_s(servers: list[SimulatedServer], slots: int, task_seconds: float = 1e6) -> float:
    rates = {server.name: server.rate_rps for server in servers}
    cluster = SimulatedCluster(
        lambda server, tasks: rates[server], lambda batch: rates[batch.server_name], slots, task_seconds
    )
    return cluster.run(batches_of(servers))


def test_a_single_server_takes_its_rows_by_its_rate() -> None:
    assert makespan_s([SimulatedServer("a", 1000, 10.0)], slots=4) == pytest.approx(100.0 + SLICE_OVERHEAD_S)


def test_slices_cost_their_overhead_each() -> None:
    seconds = makespan_s([SimulatedServer("a", 1000, 10.0)], slots=4, task_seconds=50.0)
    assert seconds == pytest.approx(100.0 + 2 * SLICE_OVERHEAD_S)


def test_a_server_that_is_faster_than_a_core_is_spread() -> None:
    rows = int(CORE_RPS * 1000)
    assert makespan_s([SimulatedServer("a", rows, 4 * CORE_RPS)], slots=4) < 1.2 * 250


def test_zipfs_law_gives_every_row_to_a_server() -> None:
    counts = zipf_rows(1_000_000, 545)
    assert sum(counts) == 1_000_000
    assert counts[0] == pytest.approx(2 * counts[1], rel=0.01)


def test_a_node_is_paid_until_its_last_process_ends() -> None:
    hours = [10.0, 1.0, 1.0, 1.0]
    assert packed_node_hours(hours, cores=2) == 6.5
    assert placed_node_hours(hours, nodes=1, cores=2) == 10.0
