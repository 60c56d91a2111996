"""What Slurm's variables say of the job."""

from __future__ import annotations

import pytest

from ray_downloader.slurm.allocation import Allocation, expand_counts

JOB = {"SLURM_JOB_ID": "4711", "SLURM_JOB_CPUS_PER_NODE": "2(x3),8"}


@pytest.mark.parametrize(
    ("text", "counts"), [("2", (2,)), ("2(x3)", (2, 2, 2)), ("72(x2),36", (72, 72, 36)), ("1,2(x2),1", (1, 2, 2, 1))]
)
def test_short_forms_are_expanded_in_the_order_of_the_nodes(text: str, counts: tuple[int, ...]) -> None:
    assert expand_counts(text) == counts


def test_there_is_no_allocation_outside_of_a_job() -> None:
    assert Allocation.from_environ({"PATH": "/bin"}) is None


def test_a_job_knows_its_cpus_and_how_often_it_came_back() -> None:
    allocation = Allocation.from_environ({**JOB, "SLURM_RESTART_COUNT": "2"})
    assert allocation == Allocation(4711, (2, 2, 2, 8), restarts=2)


@pytest.mark.parametrize(
    ("variables", "memory_mb"),
    [
        ({}, None),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_NODE": "4096"}, (4096, 4096, 4096, 4096)),
        ({"SLURM_MEM_PER_CPU": "1000"}, (2000, 2000, 2000, 8000)),
    ],
)
def test_memory_is_what_the_job_may_use_on_each_node(
    variables: dict[str, str], memory_mb: tuple[int, ...] | None
) -> None:
    allocation = Allocation.from_environ({**JOB, **variables})
    assert allocation is not None
    assert allocation.memory_mb == memory_mb


def test_the_first_nodes_keep_job_and_memory() -> None:
    allocation = Allocation(1, (2, 2, 8), (100, 100, 400), restarts=1)
    assert allocation.first_nodes(2) == Allocation(1, (2, 2), (100, 100), restarts=1)
    assert allocation.first_nodes(9) == allocation
    assert allocation.first_nodes(None) == allocation


def test_jobs_that_follow_one_another_have_ports_of_their_own() -> None:
    ports = [port for job in range(100_000, 104_000) for port in _ports(Allocation(job, (1,)))]
    assert len(set(ports)) == len(ports)
    assert min(ports) > 19_999 and max(ports) < 32_768, "clear of Ray's worker ports and of the ephemeral ones"


def _ports(allocation: Allocation) -> tuple[int, ...]:
    return allocation.gcs_port, allocation.client_port, allocation.dashboard_port
