"""What Slurm's variables say of the job."""

from __future__ import annotations

import pytest

from ray_downloader.errors import UserError
from ray_downloader.slurm.allocation import Allocation, Node, expand_counts, required_allocation

JOB = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_CPUS_PER_NODE": "2(x3),8",
    "SLURM_JOB_NODELIST": "n[1-3],big",
    "SLURMD_NODENAME": "n1",
}
NAMES = ("n1", "n2", "n3", "big")


def allocation_of(**variables: str) -> Allocation:
    allocation = Allocation.from_environ({**JOB, **variables})
    assert allocation is not None
    return allocation


@pytest.mark.parametrize(
    ("text", "counts"), [("2", (2,)), ("2(x3)", (2, 2, 2)), ("72(x2),36", (72, 72, 36)), ("1,2(x2),1", (1, 2, 2, 1))]
)
def test_short_forms_are_expanded_in_the_order_of_the_nodes(text: str, counts: tuple[int, ...]) -> None:
    assert expand_counts(text) == counts


def test_there_is_no_allocation_outside_of_a_job() -> None:
    assert Allocation.from_environ({"PATH": "/bin"}) is None


def test_a_job_knows_its_nodes_and_how_often_it_came_back() -> None:
    nodes = (Node("n1", 2), Node("n2", 2), Node("n3", 2), Node("big", 8))
    assert allocation_of(SLURM_RESTART_COUNT="2") == Allocation(4711, nodes, restarts=2, own_node="n1")


@pytest.mark.parametrize(
    ("variables", "memory_mb"),
    [
        ({}, [None] * 4),
        ({"SLURM_MEM_PER_NODE": "0"}, [None] * 4),
        ({"SLURM_MEM_PER_NODE": "4096"}, [4096, 4096, 4096, 4096]),
        ({"SLURM_MEM_PER_CPU": "1000"}, [2000, 2000, 2000, 8000]),
    ],
    ids=["none", "all", "by node", "by cpu"],
)
def test_memory_is_what_the_job_may_use_on_each_node(variables: dict[str, str], memory_mb: list[int | None]) -> None:
    assert [node.memory_mb for node in allocation_of(**variables).nodes] == memory_mb


@pytest.mark.parametrize(
    ("own", "count", "names"),
    [
        ("n1", 2, ("n1", "n2")),
        ("n3", 2, ("n1", "n3")),
        ("big", 1, ("big",)),
        ("n1", 9, NAMES),
        ("n1", None, NAMES),
    ],
)
def test_a_part_of_the_nodes_has_that_of_this_process(own: str, count: int | None, names: tuple[str, ...]) -> None:
    assert allocation_of(SLURMD_NODENAME=own).first_nodes(count).names == names


def test_without_lost_nodes_the_others_keep_their_cpus() -> None:
    assert allocation_of().only(["n2", "big"]).cpus == (2, 8)


def test_jobs_that_follow_one_another_have_ports_of_their_own() -> None:
    ports = [port for job in range(100_000, 104_000) for port in _ports(Allocation(job, ()))]
    assert len(set(ports)) == len(ports)
    assert min(ports) > 19_999 and max(ports) < 32_768, "clear of Ray's worker ports and of the ephemeral ones"


def _ports(allocation: Allocation) -> tuple[int, ...]:
    return allocation.gcs_port, allocation.client_port, allocation.dashboard_port


def test_outside_of_a_job_the_user_is_told_how_to_submit_it() -> None:
    with pytest.raises(UserError, match="this process is in none: submit it with `sbatch"):
        required_allocation({"PATH": "/bin"})


@pytest.mark.parametrize("own", ["", "login1"])
def test_the_login_node_of_an_salloc_is_not_a_node_of_the_job(own: str) -> None:
    with pytest.raises(UserError, match=r"not on one of job 4711 \(n1, n2, n3, ...\); .*`srun --overlap"):
        required_allocation({**JOB, "SLURMD_NODENAME": own})


@pytest.mark.parametrize(
    "variables", [{"SLURM_MEM_PER_NODE": "60"}, {"SLURM_MEM_PER_CPU": "200"}], ids=["by node", "by cpu"]
)
def test_memory_that_cannot_do_is_refused_before_anything_starts(variables: dict[str, str]) -> None:
    with pytest.raises(UserError, match="on n1, and Ray with one task needs at least 512 MB"):
        required_allocation({**JOB, **variables})
