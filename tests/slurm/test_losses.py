"""A node is lost at each moment of a run. These take long, so they run in `make slurm-soak`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.running import RunningOrigin
from tests.support.slurm import submit
from tests.support.slurm_runs import arguments, assert_nothing_left, assert_settled_once, wait_for_requests

pytestmark = [pytest.mark.slurm, pytest.mark.slurm_soak]

#: A line of the log at which the node goes.
MOMENTS = {
    "before anything": r"run 1:",
    "partition": r"read as:",
    "profile": r"MPI ranks on 3 nodes",
    "launch of Ray": r"rank \d of \d, \d of \d servers",
    "head listens": r"head listens at",
}
#: From the loss to the next step that works, at most.
WITHIN_S = 180.0


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_goes_on_without_a_node_that_is_lost(
    shared_folder: Path,
    slurm_origin: RunningOrigin,
    idle_nodes: list[str],
    fail_node: Callable[[str], None],
    moment: str,
) -> None:
    name = moment.replace(" ", "-").lower()
    job = submit(shared_folder, *arguments(shared_folder, slurm_origin, name, rows=400, rate_rps=2.0))
    job.wait_for_line(MOMENTS[moment])
    lost = next(node for node in reversed(idle_nodes) if node != job.field("BatchHost"))
    fail_node(lost)
    job.wait_for_line(r"Ray: 2 nodes", WITHIN_S)
    assert job.wait(150) == "COMPLETED 0:0", job.log
    assert lost in job.log
    assert job.has("Restarts", "0")
    assert_settled_once(shared_folder, name, rows=400)
    assert_nothing_left(shared_folder, name, job, [node for node in idle_nodes if node != lost])


@pytest.mark.parametrize("moment", ["partition", "profile", "launch of Ray"])
def test_a_run_whose_first_node_is_lost_is_requeued(
    shared_folder: Path,
    slurm_origin: RunningOrigin,
    idle_nodes: list[str],
    fail_node: Callable[[str], None],
    moment: str,
) -> None:
    name = f"first-{moment.replace(' ', '-').lower()}"
    run = arguments(shared_folder, slurm_origin, name, rows=400, rate_rps=2.0)
    job = submit(shared_folder, *run, options=("--nodes=2-3", "--cpus-per-task=2"))
    job.wait_for_line(MOMENTS[moment])
    lost = job.field("BatchHost")
    fail_node(lost)
    job.wait_for_line(rf"{lost}, the node of the batch script and of Ray's head, is lost", WITHIN_S)
    assert job.wait(200) == "COMPLETED 0:0", job.log
    assert job.has("Restarts", "1")
    assert_settled_once(shared_folder, name, rows=400)


def test_a_node_that_is_lost_at_the_end_does_not_matter(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], fail_node: Callable[[str], None]
) -> None:
    job = submit(shared_folder, *arguments(shared_folder, slurm_origin, "end", rows=400, rate_rps=2.0))
    wait_for_requests(slurm_origin, "end", 390)
    lost = next(node for node in reversed(idle_nodes) if node != job.field("BatchHost"))
    fail_node(lost)
    assert job.wait(180) == "COMPLETED 0:0", job.log
    assert_settled_once(shared_folder, "end", rows=400)
